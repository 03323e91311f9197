// [what u8][seed u16][bytes]: a PROXY header, and compressed frames. A header is decided within its bound; frames give the same plain bytes however cut.
#include <array>
#include <optional>
#include <string>

#include "godwit/layer/compression.h"
#include "godwit/layer/proxy_header.h"
#include "godwit/util/error.h"
#include "input.h"

using namespace godwit;
using fuzz::demand;
using Kind = layer::ProxyHeader::Kind;

namespace {

constexpr std::size_t kPlainMax = std::size_t{1} << 20;

void header(std::string_view bytes, fuzz::Pieces pieces) {
  const auto whole = layer::read_proxy_header(bytes);
  demand(whole.bytes <= bytes.size());
  demand(whole.kind != Kind::needs_more || bytes.size() < layer::kProxyHeaderBytesMax);
  for (std::size_t there = 0; there < bytes.size(); there += pieces()) {
    const auto part = layer::read_proxy_header(bytes.substr(0, there));
    if (part.kind == Kind::needs_more) continue;
    demand(part.kind == whole.kind && part.bytes == whole.bytes && part.source.address == whole.source.address && part.source.port == whole.source.port);
  }
  if (whole.kind != Kind::client) return;
  const auto again = layer::read_proxy_header(layer::make_proxy_header(whole.source, whole.destination));
  demand(again.kind == Kind::client && again.source.port == whole.source.port);
}

struct Inflated {
  std::string plain;
  bool has_failed = false;
};

template <typename Next>
Inflated inflate(layer::Compression kind, std::string_view bytes, std::size_t room, Next next) {
  layer::Inflow inflow(kind);
  Inflated it;
  std::array<char, 4096> into;
  try {
    for (std::size_t there = 0, gone = 0; there < bytes.size() && it.plain.size() < kPlainMax;) {
      there = std::min(bytes.size(), there + std::min(bytes.size(), next()));
      std::string_view network = bytes.substr(gone, there - gone);
      for (std::size_t got = room; got == room && it.plain.size() < kPlainMax;) {
        got = inflow.read(network, std::span(into).first(room));
        demand(got <= room);
        it.plain.append(into.data(), got);
      }
      demand(network.empty() || it.plain.size() >= kPlainMax);
      gone = there;
    }
  } catch (const Error&) {
    it.has_failed = true;
  }
  return it;
}

void frames(layer::Compression kind, std::string_view bytes, fuzz::Pieces pieces) {
  const auto whole = inflate(kind, bytes, 4096, [] { return kPlainMax; });
  const auto parts = inflate(kind, bytes, 1 + pieces() % 64, pieces);
  if (whole.plain.size() >= kPlainMax || parts.plain.size() >= kPlainMax) return;
  demand(whole.has_failed == parts.has_failed);
  // What was made of a frame that turns out bad is given up with it, or was given already.
  const auto common = std::min(whole.plain.size(), parts.plain.size());
  demand(std::string_view(whole.plain).substr(0, common) == std::string_view(parts.plain).substr(0, common));
  demand(whole.has_failed || whole.plain.size() == parts.plain.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input in(data, size);
  const std::uint8_t what = in.u8();
  const fuzz::Pieces pieces(in.u16());
  const auto bytes = in.rest();
  if (what % 3 == 0) header(bytes, pieces);
  if (what % 3 == 1) frames(layer::Compression::zlib, bytes, pieces);
  if (what % 3 == 2) frames(layer::Compression::zstd, bytes, pieces);
  return 0;
}
