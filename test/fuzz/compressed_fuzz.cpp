// Compressed frames of both kinds, in pieces of any size: any bytes, and what a Compressor made of them.
#include <array>
#include <cstdlib>

#include "input.h"
#include "godwit/layer/compression.h"
#include "godwit/util/error.h"

using namespace godwit;
using layer::Compression;

namespace {

constexpr std::size_t kOutBytesMax = std::size_t{1} << 20;  // a frame may unfold to 16 MiB: no need to see all of it

std::string read(Compression kind, std::string_view network, std::size_t step) {
  layer::Inflow in(kind);
  std::string out;
  std::array<char, 4096> piece{};
  while (!network.empty() && out.size() < kOutBytesMax) {
    auto came = network.substr(0, step);
    network.remove_prefix(came.size());
    std::size_t size;
    do {
      size = in.read(came, piece);
      out.append(piece.data(), size);
    } while (size == piece.size() && out.size() < kOutBytesMax);
    if (size < piece.size() && !came.empty()) std::abort();
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static layer::Compressor compressor;
  fuzz::Input input(data, size);
  const auto kind = input.u8() % 2 == 0 ? Compression::zlib : Compression::zstd;
  const std::size_t step = 1U + input.u8();
  const auto bytes = input.rest();
  try {
    read(kind, bytes, step);
  } catch (const Error&) {
  }
  std::string network;
  layer::Outflow(compressor, kind, 1).append(bytes, network);
  if (read(kind, network, step) != bytes) std::abort();
  return 0;
}
