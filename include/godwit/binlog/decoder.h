// Bytes of events in, decoded events out. No I/O. Total: whatever the bytes are, there is an Event or an Error
// (event_corrupt, event_checksum_wrong, event_unsupported for an encrypted log), and memory stays below Limits. One thread.
//
//   log      = format_description { event }           the first rotate of a stream comes before it
//   event    = header body [crc32]
//   payload  = header fields zstd( { header body } )   given out as TransactionPayload, then its events
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include "godwit/binlog/event.h"

namespace godwit::binlog {

struct DecoderLimits {
  std::size_t event_bytes_max = std::size_t{1} << 30;  // of one event after decompression
  std::size_t table_bytes_max =
      std::size_t{256}
      << 20;  // of table maps remembered; beyond it they are forgotten between statements
};

class Decoder {
 public:
  explicit Decoder(const DecoderLimits& limits = {});
  Decoder(Decoder&&) noexcept;
  Decoder& operator=(Decoder&&) noexcept;
  ~Decoder();

  // One event as the server sent it or the file holds it, header and checksum included. The bytes must stay valid until
  // the next feed(). Only when next() has given nothing.
  void feed(std::string_view event);
  // The event fed, then those inside it (TRANSACTION_PAYLOAD), then nothing.
  const Event* next();

  // The server prints -0e0 as 0 (newer MariaDB): its rows' negative zeros are then rendered likewise.
  void have_no_negative_zero();

  // Tables, format and checksum start anew: for another connection or file. Files and connections do so by themselves with
  // their format description.
  void reset();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The header alone, for readers that must know how long an event is. Throws Error(event_corrupt).
Header decode_header(std::string_view bytes);

}  // namespace godwit::binlog
