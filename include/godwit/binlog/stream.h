// The binlog as a server sends it to a replica, from a position on: one decoded event after the other. One thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>

#include "godwit/binlog/decoder.h"
#include "godwit/db/connection.h"
#include "godwit/gtid/position.h"

namespace godwit::binlog {

struct StreamOptions {
  gtid::Position
      from;  // what is behind the reader; the first event it gets is of a transaction that is not in it
  // Nothing at all within this time (heartbeats included) is connection_lost. A server that must read through much of its binlog
  // to find the position is silent meanwhile.
  std::chrono::seconds deadline{60};
  std::chrono::milliseconds heartbeat{1000};
  bool is_endless =
      true;  // false: next() gives nothing at the end of the server's log, instead of waiting
  bool has_statements = false;  // MariaDB: ask for ANNOTATE_ROWS events too
  std::uint32_t server_id = 0;  // 0: random; servers end a reader when another comes with the same
  DecoderLimits limits;
};

class Stream {
 public:
  // Connects, but asks for nothing yet: the caller may look at server() and refuse it. Throws Error as connections do, and
  // position_foreign when the position is of the other flavour.
  Stream(const db::Endpoint& endpoint, const StreamOptions& options);
  Stream(Stream&&) noexcept;
  Stream& operator=(Stream&&) noexcept;
  ~Stream();

  const db::Server& server() const;
  // The next event, heartbeats included, so that it returns at least once per heartbeat and a caller may look whether to stop.
  // Valid until the next call. Throws Error: position_purged, position_foreign, dump_displaced,
  // connection_lost, and what the decoder throws. After an error the stream is over: open another from the last position.
  const Event* next();
  // From any thread: a next() that waits, or comes later, fails at once.
  void interrupt() const noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace godwit::binlog
