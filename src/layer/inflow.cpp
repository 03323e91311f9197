#include <zlib.h>
#include <zstd.h>

#include <algorithm>

#include "godwit/layer/compression.h"
#include "godwit/util/error.h"

namespace godwit::layer {
namespace {

[[noreturn]] void fail(std::string cause) {
  throw Error(Code::frame_malformed, {.object = "compressed protocol", .cause = std::move(cause), .remedy = "connect again; without compression if it comes again"});
}

std::size_t u24(const unsigned char* bytes) { return bytes[0] | static_cast<std::size_t>(bytes[1]) << 8U | static_cast<std::size_t>(bytes[2]) << 16U; }

constexpr int kZstdWindowLogMax = 24;  // no frame holds more than 16 MiB

}  // namespace

struct Inflow::Stream {
  virtual ~Stream() = default;
  virtual void begin() = 0;
  struct Step {
    std::size_t taken;
    std::size_t made;
    bool is_ended;
  };
  virtual Step step(std::string_view in, std::span<char> out) = 0;
};

struct Inflow::ZlibStream final : Inflow::Stream {
  ZlibStream() { GODWIT_CHECK(inflateInit(&zlib) == Z_OK); }
  ~ZlibStream() override { inflateEnd(&zlib); }
  void begin() override { inflateReset(&zlib); }
  Step step(std::string_view in, std::span<char> out) override {
    zlib.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
    zlib.avail_in = static_cast<uInt>(in.size());
    zlib.next_out = reinterpret_cast<Bytef*>(out.data());
    zlib.avail_out = static_cast<uInt>(out.size());
    const int status = inflate(&zlib, Z_NO_FLUSH);
    if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR) fail("a frame holds no zlib stream");
    return {.taken = in.size() - zlib.avail_in, .made = out.size() - zlib.avail_out, .is_ended = status == Z_STREAM_END};
  }
  z_stream zlib{};
};

struct Inflow::ZstdStream final : Inflow::Stream {
  ZstdStream() : zstd(ZSTD_createDStream()) {
    GODWIT_CHECK(zstd != nullptr);
    GODWIT_CHECK(ZSTD_isError(ZSTD_DCtx_setParameter(zstd, ZSTD_d_windowLogMax, kZstdWindowLogMax)) == 0);
  }
  ~ZstdStream() override { ZSTD_freeDStream(zstd); }
  void begin() override { ZSTD_DCtx_reset(zstd, ZSTD_reset_session_only); }
  Step step(std::string_view in, std::span<char> out) override {
    ZSTD_inBuffer from{in.data(), in.size(), 0};
    ZSTD_outBuffer to{out.data(), out.size(), 0};
    const std::size_t hint = ZSTD_decompressStream(zstd, &to, &from);
    if (ZSTD_isError(hint) != 0) fail(std::string("a frame holds no zstd frame: ") + ZSTD_getErrorName(hint));
    return {.taken = from.pos, .made = to.pos, .is_ended = hint == 0};
  }
  ZSTD_DStream* zstd;
};

Inflow::Inflow(Compression kind) : kind_(kind) {}
Inflow::Inflow(Inflow&&) noexcept = default;
Inflow& Inflow::operator=(Inflow&&) noexcept = default;
Inflow::~Inflow() = default;

void Inflow::release() {
  if (is_between_frames()) stream_.reset();
}

std::size_t Inflow::read(std::string_view& network, std::span<char> into) {
  std::size_t made = 0;
  while (made < into.size()) {
    if (header_bytes_ < kFrameHeaderBytes && !take_header(network)) break;
    const auto room = into.subspan(made);
    const std::size_t before = network.size();
    const std::size_t more = is_compressed_ ? read_compressed(network, room) : read_plain(network, room);
    made += more;
    const bool needs_more = more == 0 && network.size() == before && header_bytes_ != 0;
    if (needs_more) break;
  }
  return made;
}

// True: the header is whole, and the frame has begun.
bool Inflow::take_header(std::string_view& network) {
  const std::size_t taken = std::min(network.size(), kFrameHeaderBytes - header_bytes_);
  std::copy_n(network.data(), taken, reinterpret_cast<char*>(header_) + header_bytes_);
  network.remove_prefix(taken);
  header_bytes_ += taken;
  if (header_bytes_ < kFrameHeaderBytes) return false;
  begin_frame();
  return true;
}

void Inflow::begin_frame() {
  wire_left_ = u24(header_);
  next_number_ = static_cast<std::uint8_t>(header_[3] + 1);
  plain_left_ = u24(header_ + 4);
  is_compressed_ = plain_left_ != 0;
  if (!is_compressed_) return;
  if (!stream_ && kind_ == Compression::zlib) stream_ = std::make_unique<ZlibStream>();
  if (!stream_ && kind_ == Compression::zstd) stream_ = std::make_unique<ZstdStream>();
  stream_->begin();
}

std::size_t Inflow::read_plain(std::string_view& network, std::span<char> into) {
  const std::size_t size = std::min({wire_left_, network.size(), into.size()});
  std::copy_n(network.data(), size, into.data());
  network.remove_prefix(size);
  wire_left_ -= size;
  if (wire_left_ == 0) header_bytes_ = 0;
  return size;
}

// When all was made that the header promised, the stream must end without another byte; there is room for one, to notice it.
std::size_t Inflow::read_compressed(std::string_view& network, std::span<char> into) {
  char excess;
  const bool is_full = plain_left_ == 0;
  const auto out = is_full ? std::span<char>(&excess, 1) : into.first(std::min(into.size(), plain_left_));
  const auto step = stream_->step(network.substr(0, wire_left_), out);
  network.remove_prefix(step.taken);
  wire_left_ -= step.taken;
  if (is_full && step.made > 0) fail("a frame holds more than it says");
  plain_left_ -= step.made;
  if (step.is_ended) {
    if (plain_left_ != 0 || wire_left_ != 0) fail("a frame is not as long as it says");
    header_bytes_ = 0;
  } else if (step.taken == 0 && step.made == 0 && (wire_left_ == 0 || !network.empty())) {
    fail("a frame ends early");
  }
  return step.made;
}

}  // namespace godwit::layer
