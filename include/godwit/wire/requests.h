// Where each request of a client begins and ends. Pure; one for each client. What is in a local file is no request.
#pragma once

#include <cstdint>
#include <span>

#include "godwit/wire/protocol.h"

namespace godwit::wire {

class Requests {
 public:
  enum class Event : std::uint8_t {
    none,       // more bytes are needed
    command,    // the first frame of a request begins at `pass`; go on by begin()
    file_ended,  // the local file's last packet has passed
    broken,     // an empty request, or a sequence number that is none
  };
  struct Step {
    std::size_t pass = 0;
    std::uint32_t length = 0;    // of the frame's payload
    std::size_t available = 0;   // of the frame, its header included, in the bytes given
    Event event = Event::none;
  };
  // `data` begins where the last step and the bytes passed since ended.
  Step next(std::span<char> data);
  // The frame that next() showed is taken: its header and payload pass with the next calls.
  void begin(std::uint32_t length);
  // Inside compression the packets' own numbers mean nothing (layer/compression.h): they are made anew, in place.
  void renumber() { is_renumbering_ = true; }
  // Behind the server's request for a local file, which has the number before it.
  void begin_file(std::uint8_t sequence) {
    mode_ = Mode::file;
    sequence_ = sequence;
  }

  bool is_between() const { return skip_ == 0 && !continues_ && mode_ == Mode::commands; }
  bool is_inside_request() const { return skip_ > 0 || continues_; }
  bool is_in_file() const { return mode_ == Mode::file; }

 private:
  void number(std::span<char> header);

  enum class Mode : std::uint8_t { commands, file };
  std::uint64_t skip_ = 0;
  bool continues_ = false;
  bool was_full_ = false;  // the file's last frame has another behind it
  bool is_renumbering_ = false;
  std::uint8_t sequence_ = 0;  // of the next frame
  Mode mode_ = Mode::commands;
};

}  // namespace godwit::wire
