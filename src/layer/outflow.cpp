#include <zlib.h>
#include <zstd.h>

#include <algorithm>

#include "godwit/layer/compression.h"
#include "godwit/util/error.h"

namespace godwit::layer {
namespace {

constexpr std::size_t kPlainBelowBytes = 50;
constexpr int kZlibLevel = 6;
constexpr int kZstdLevel = 3;

void put_u24(char* out, std::size_t value) {
  for (unsigned i = 0; i < 3; ++i) out[i] = static_cast<char>(value >> 8 * i);
}

}  // namespace

struct Compressor::Impl {
  z_stream zlib{};
  bool has_zlib = false;
  int zlib_level = 0;
  ZSTD_CCtx* zstd = nullptr;

  void set_zlib(int level) {
    if (has_zlib && zlib_level == level) {
      deflateReset(&zlib);
      return;
    }
    if (has_zlib) deflateEnd(&zlib);
    GODWIT_CHECK(deflateInit(&zlib, level) == Z_OK);
    has_zlib = true;
    zlib_level = level;
  }

  // 0: it would not be smaller.
  std::size_t deflate_into(int level, std::string_view plain, char* out, std::size_t room) {
    set_zlib(level == 0 ? kZlibLevel : std::clamp(level, 1, 9));
    zlib.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(plain.data()));
    zlib.avail_in = static_cast<uInt>(plain.size());
    zlib.next_out = reinterpret_cast<Bytef*>(out);
    zlib.avail_out = static_cast<uInt>(room);
    return deflate(&zlib, Z_FINISH) == Z_STREAM_END ? room - zlib.avail_out : 0;
  }
  std::size_t zstd_into(int level, std::string_view plain, char* out, std::size_t room) {
    if (zstd == nullptr) zstd = ZSTD_createCCtx();
    GODWIT_CHECK(zstd != nullptr);
    const int clamped = level == 0 ? kZstdLevel : std::clamp(level, 1, kZstdLevelMax);
    const std::size_t size = ZSTD_compressCCtx(zstd, out, room, plain.data(), plain.size(), clamped);
    return ZSTD_isError(size) != 0 ? 0 : size;
  }
};

Compressor::Compressor() : impl_(std::make_unique<Impl>()) {}
Compressor::~Compressor() {
  if (impl_->has_zlib) deflateEnd(&impl_->zlib);
  ZSTD_freeCCtx(impl_->zstd);
}

void Compressor::append_frame(Compression kind, int level, std::string_view plain, std::uint8_t number, std::string& out) {
  GODWIT_CHECK(plain.size() <= kFramePlainBytes);
  const std::size_t begin = out.size();
  out.resize(begin + kFrameHeaderBytes + plain.size());
  char* body = out.data() + begin + kFrameHeaderBytes;
  std::size_t size = 0;
  if (plain.size() >= kPlainBelowBytes) {
    const std::size_t room = plain.size() - 1;
    size = kind == Compression::zlib ? impl_->deflate_into(level, plain, body, room) : impl_->zstd_into(level, plain, body, room);
  }
  const bool is_compressed = size != 0;
  if (!is_compressed) std::copy(plain.begin(), plain.end(), body);
  out.resize(begin + kFrameHeaderBytes + (is_compressed ? size : plain.size()));
  char* header = out.data() + begin;
  put_u24(header, is_compressed ? size : plain.size());
  header[3] = static_cast<char>(number);
  put_u24(header + 4, is_compressed ? plain.size() : 0);
}

void Outflow::append(std::string_view plain, std::string& out) {
  while (!plain.empty()) {
    const auto piece = plain.substr(0, kFramePlainBytes);
    compressor_->append_frame(kind_, level_, piece, number_++, out);
    plain.remove_prefix(piece.size());
  }
}

}  // namespace godwit::layer
