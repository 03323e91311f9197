#include "compression.h"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>

#include "bytes.h"
#include "godwit/util/error.h"

namespace godwit::binlog {
namespace {

constexpr std::size_t kStepBytes = std::size_t{1}
                                   << 20;  // memory is taken in such steps, whatever was declared

class Inflater {
 public:
  Inflater(std::string_view compressed, bool has_wrap) {
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(compressed.data()));
    stream_.avail_in = static_cast<uInt>(compressed.size());
    GODWIT_CHECK(inflateInit2(&stream_, has_wrap ? MAX_WBITS : -MAX_WBITS) == Z_OK);
  }
  ~Inflater() { inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  // How many bytes were made; fewer than asked for at the end.
  std::size_t read(char* out, std::size_t bytes) {
    stream_.next_out = reinterpret_cast<Bytef*>(out);
    stream_.avail_out = static_cast<uInt>(bytes);
    const int status = inflate(&stream_, Z_NO_FLUSH);
    const bool is_fine = status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR;
    if (!is_fine) fail_corrupt("a compressed part is no zlib stream");
    is_ended_ = status == Z_STREAM_END;
    return bytes - stream_.avail_out;
  }
  bool is_ended() const { return is_ended_; }

 private:
  z_stream stream_{};
  bool is_ended_ = false;
};

}  // namespace

void append_inflated(std::string& out,
                     std::string_view compressed,
                     std::size_t bytes,
                     bool has_wrap) {
  Inflater inflater(compressed, has_wrap);
  std::size_t left = bytes;
  while (left > 0) {
    const std::size_t step = std::min(left, kStepBytes);
    const std::size_t begin = out.size();
    out.resize(begin + step);
    const std::size_t made = inflater.read(out.data() + begin, step);
    out.resize(begin + made);
    if (made == 0) fail_corrupt("a compressed part ends early");
    left -= made;
  }
  char excess;
  const bool has_excess = !inflater.is_ended() && inflater.read(&excess, 1) != 0;
  if (has_excess || !inflater.is_ended()) fail_corrupt("a compressed part is longer than it says");
}

void append_uncompressed(std::string& out, std::string_view bytes, std::size_t bytes_max) {
  Bytes in(bytes);
  const std::uint8_t head = in.u8();
  const std::size_t length_bytes = head & 0x07U;
  if ((head & 0xf0U) != 0x80U || length_bytes == 0 || length_bytes > 4)
    fail_corrupt("its compression is not known");
  const auto size = big_endian<std::size_t>(in.take(length_bytes));
  if (size > bytes_max) fail_corrupt("it is larger than the limit after decompression");
  append_inflated(out, in.rest(), size, true);
}

// --- Transaction payloads -----------------------------------------------------------------------------------------

struct PayloadStream::Impl {
  struct Free {
    void operator()(ZSTD_DStream* freed) const { ZSTD_freeDStream(freed); }
  };
  std::unique_ptr<ZSTD_DStream, Free> stream;  // none: the bytes are plain
  ZSTD_inBuffer in{};
  bool is_frame_ended = false;

  // At least one byte of room; 0 at the end.
  std::size_t read(char* out, std::size_t bytes) {
    if (!stream) {
      const std::size_t taken = std::min(bytes, in.size - in.pos);
      std::copy_n(static_cast<const char*>(in.src) + in.pos, taken, out);
      in.pos += taken;
      return taken;
    }
    ZSTD_outBuffer piece{out, bytes, 0};
    while (piece.pos == 0) {
      if (in.pos == in.size && is_frame_ended) return 0;
      const std::size_t consumed_before = in.pos;
      const std::size_t hint = ZSTD_decompressStream(stream.get(), &piece, &in);
      if (ZSTD_isError(hint) != 0)
        fail_corrupt(std::string("its payload is no zstd frame: ") + ZSTD_getErrorName(hint));
      is_frame_ended = hint == 0;
      const bool is_stuck = piece.pos == 0 && in.pos == consumed_before;
      if (is_stuck && !is_frame_ended) fail_corrupt("its payload ends early");
      if (is_stuck) return 0;
    }
    return piece.pos;
  }
};

PayloadStream::PayloadStream(std::string_view bytes, bool is_compressed)
    : impl_(std::make_unique<Impl>()) {
  impl_->in = {bytes.data(), bytes.size(), 0};
  if (!is_compressed) return;
  impl_->stream.reset(ZSTD_createDStream());
  GODWIT_CHECK(impl_->stream != nullptr);
}
PayloadStream::PayloadStream(PayloadStream&&) noexcept = default;
PayloadStream& PayloadStream::operator=(PayloadStream&&) noexcept = default;
PayloadStream::~PayloadStream() = default;

bool PayloadStream::append(std::string& out, std::size_t bytes) {
  std::size_t left = bytes;
  while (left > 0) {
    const std::size_t step = std::min(left, kStepBytes);
    const std::size_t begin = out.size();
    out.resize(begin + step);
    const std::size_t made = impl_->read(out.data() + begin, step);
    out.resize(begin + made);
    if (made == 0 && left == bytes) return false;
    if (made == 0) fail_corrupt("its payload ends inside an event");
    left -= made;
  }
  return true;
}

}  // namespace godwit::binlog
