// A request whose payload has become longer in front: its frames are cut anew as it streams by, so that a packet of any size needs no more memory than what
// it has grown by. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace godwit::wire {

class Reframing {
 public:
  // `head` stands for the first `replaced` bytes of the payload; its first frame has `length` bytes.
  Reframing(std::string_view head, std::size_t replaced, std::uint32_t length, std::string& out);
  // Takes bytes off the front of `data`, which begins behind the replaced ones, and appends what goes to the server. True: the packet has ended.
  bool feed(std::string_view& data, std::string& out);
  bool has_ended() const { return is_last_ && in_left_ == 0; }

 private:
  void begin_frame(std::uint64_t length, bool is_last, std::string& out);
  void put_header(std::uint64_t length, std::string& out);
  void put_bytes(std::string_view bytes, std::string& out);

  std::string carry_;            // what the last frame had no room for
  std::uint64_t in_left_ = 0;    // of the frame that comes in
  std::uint64_t out_left_ = 0;   // of the frame that goes out
  std::uint64_t rest_ = 0;       // of a last frame, what needs one more
  bool is_last_ = false;
  bool has_rest_ = false;
  std::uint8_t sequence_ = 0;
};

}  // namespace godwit::wire
