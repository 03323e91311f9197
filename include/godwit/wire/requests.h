// Where each request of a client begins and ends. Pure; one for each client. What is in a local file, or in the conversation of a change of user, is no request.
#pragma once

#include <cstdint>
#include <string_view>

#include "godwit/wire/protocol.h"

namespace godwit::wire {

class Requests {
 public:
  enum class Event : std::uint8_t {
    none,       // more bytes are needed
    command,    // the first frame of a request begins at `pass`; go on by begin()
    packet,     // a packet of a conversation (auth), whole, at `pass`; go on by begin()
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
  Step next(std::string_view data);
  // The frame that next() showed is taken: its header and payload pass with the next calls.
  void begin(std::uint32_t length);
  // Bytes of the frame, from its header on, that the caller has dealt with himself.
  void skip(std::size_t bytes) { skip_ -= bytes; }

  bool is_between() const { return skip_ == 0 && !continues_ && mode_ == Mode::commands; }
  bool is_inside_request() const { return skip_ > 0 || continues_; }

  void begin_file() { mode_ = Mode::file; }
  void begin_conversation() { mode_ = Mode::conversation; }
  void end_conversation() { mode_ = Mode::commands; }

 private:
  enum class Mode : std::uint8_t { commands, file, conversation };
  std::uint64_t skip_ = 0;
  bool continues_ = false;
  bool was_full_ = false;  // the file's last frame has another behind it
  Mode mode_ = Mode::commands;
};

}  // namespace godwit::wire
