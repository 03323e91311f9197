// Where each response of a server ends, found without looking into rows. Pure; one for each connection to a server. Rules: docs/proxy-protocol.md.
//
//   what was sent is told by expect(), in order; the server's bytes go through next(), which gives at each call
//     `pass` bytes that go on as they are, then one packet that somebody must look at (`event`), or none: more bytes are needed.
//
//   text/binary result   OK | ERR | file request | count, definitions [EOF], rows, end      again while more_results is set
//   prepared             12 bytes, then definitions of parameters and of columns
//   fetch, field list    packets up to an end
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "godwit/wire/protocol.h"

namespace godwit::wire {

struct Expected {
  Reply reply = Reply::none;
  Command command = Command::ping;
  bool is_own = false;               // asked by the relay itself
  std::uint32_t statement = 0;       // of the client's numbering, where the command names or makes one
  std::uint32_t tag = 0;             // the caller's
};

class Responses {
 public:
  enum class Event : std::uint8_t {
    none,         // more bytes are needed
    ok,           // OK, or the OK or EOF that ends a result
    error,
    prepared,     // the first packet of a prepared statement's answer
    file_request,
    metadata,     // the count of columns
    auth,         // a packet of a change of user that is not its end
    text,         // statistics
    ended,        // a response has ended behind the last bytes that passed, without a packet to look at
    unexpected,   // a packet where nothing was asked
    broken,       // what no server sends; nothing more can be understood
  };
  struct Step {
    std::size_t pass = 0;      // bytes before the packet
    std::size_t packet = 0;    // bytes of the packet, its header included; 0 where the event has none
    Event event = Event::none;
    bool is_last = false;      // the response ends with it, and was taken from the queue: `answered` says what it answered
    bool is_eof = false;       // an EOF packet, not an OK
    std::size_t wanted = 0;    // event none: so many bytes from `pass` on are needed to go on, 0 for any
  };

  void set_capabilities(Capabilities capabilities) { capabilities_ = capabilities; }
  void expect(const Expected& expected);
  bool is_empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }
  const Expected& front() const { return ring_[first_]; }
  const Expected& back() const { return ring_[(first_ + size_ - 1) % ring_.size()]; }
  // What the last step with is_last was the end of.
  const Expected& answered() const { return answered_; }
  bool is_between_packets() const { return skip_ == 0 && !continues_; }
  // Nothing is expected any more: the connection is another.
  void reset();
  // `data` begins where the last step ended: behind its packet.
  Step next(std::string_view data);
  std::uint64_t rows() const { return rows_; }  // of the result being read, or the last one
  // A fingerprint of the definitions of the last statement that was prepared.
  std::uint64_t definitions() const { return definitions_; }

 private:
  enum class Phase : std::uint8_t { first, definitions, definitions_end, rows, prepared_definitions, auth };
  enum class Kind : std::uint8_t { plain, whole, unexpected };

  Kind kind_of(std::uint8_t first, std::uint32_t length) const;
  Step take(std::size_t pass, std::string_view packet);
  Step take_first(Step step, std::string_view payload);
  Step take_metadata(Step step, std::string_view payload);
  Step take_prepared(Step step, std::string_view payload);
  Step take_end(Step step, std::string_view payload);
  void pass_plain(std::uint32_t length);
  void end_result(Step& step, std::uint16_t status);
  void finish();
  bool has(Capabilities capability) const { return (capabilities_ & capability) != 0; }

  Capabilities capabilities_ = 0;
  std::vector<Expected> ring_;
  std::size_t first_ = 0;
  std::size_t size_ = 0;
  Expected answered_;
  Phase phase_ = Phase::first;
  std::uint64_t definitions_left_ = 0;
  std::uint64_t skip_ = 0;     // bytes of the frame that are still to pass
  bool continues_ = false;     // the next frame belongs to the same packet
  bool has_out_parameters_ = false;  // the result being read is that of a procedure's parameters
  bool ends_after_ = false;    // the response ends when these have passed
  std::uint64_t rows_ = 0;
  std::uint64_t definitions_ = 0;
};

}  // namespace godwit::wire
