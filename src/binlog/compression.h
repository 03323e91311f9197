// Decompression that does not trust declared sizes: memory grows with what comes out, and stops at a limit. Private to binlog.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace godwit::binlog {

// Appends what a zlib stream (raw deflate when has_wrap is false) holds. Throws Error(event_corrupt) unless it is `bytes` bytes.
void append_inflated(std::string& out,
                     std::string_view compressed,
                     std::size_t bytes,
                     bool has_wrap);

// MariaDB's binlog compression: one byte (0x80 | algorithm << 4 | bytes of the length), the length big-endian, a zlib stream.
void append_uncompressed(std::string& out, std::string_view bytes, std::size_t bytes_max);

// A zstd frame, or plain bytes, read piece by piece.
class PayloadStream {
 public:
  PayloadStream(std::string_view bytes, bool is_compressed);
  PayloadStream(PayloadStream&&) noexcept;
  PayloadStream& operator=(PayloadStream&&) noexcept;
  ~PayloadStream();
  // Appends exactly `bytes` bytes. False, and nothing appended, when it has ended.
  bool append(std::string& out, std::size_t bytes);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace godwit::binlog
