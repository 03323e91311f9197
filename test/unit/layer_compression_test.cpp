#include "godwit/layer/compression.h"

#include "catch.h"

#include <zlib.h>
#include <zstd.h>

#include <array>
#include <random>
#include <vector>

#include "godwit/util/error.h"

using namespace godwit;
using namespace godwit::layer;

namespace {

std::string frame(std::string_view body, std::uint8_t number, std::size_t plain_bytes) {
  std::string bytes;
  for (unsigned i = 0; i < 3; ++i) bytes.push_back(static_cast<char>(body.size() >> 8 * i));
  bytes.push_back(static_cast<char>(number));
  for (unsigned i = 0; i < 3; ++i) bytes.push_back(static_cast<char>(plain_bytes >> 8 * i));
  return bytes.append(body);
}

std::string zlib_of(std::string_view plain) {
  std::string body(compressBound(plain.size()), '\0');
  uLongf size = body.size();
  REQUIRE(compress(reinterpret_cast<Bytef*>(body.data()), &size, reinterpret_cast<const Bytef*>(plain.data()), plain.size()) == Z_OK);
  body.resize(size);
  return body;
}

std::string zstd_of(std::string_view plain) {
  std::string body(ZSTD_compressBound(plain.size()), '\0');
  body.resize(ZSTD_compress(body.data(), body.size(), plain.data(), plain.size(), 3));
  return body;
}

std::string text_of(std::size_t bytes) {
  std::string text;
  while (text.size() < bytes) text += "row " + std::to_string(text.size() * 7919 % 10007) + ";";
  text.resize(bytes);
  return text;
}

std::string noise_of(std::size_t bytes) {
  std::mt19937 engine(7);
  std::string noise(bytes, '\0');
  for (char& c : noise) c = static_cast<char>(engine());
  return noise;
}

// All that comes out, the network giving `step` bytes at a time and the reader taking `room`.
std::string plain_of(Inflow& in, std::string_view network, std::size_t step, std::size_t room) {
  std::string all;
  std::vector<char> piece(room);
  while (!network.empty()) {
    std::string_view came = network.substr(0, step);
    network.remove_prefix(came.size());
    while (true) {
      const std::size_t size = in.read(came, piece);
      all.append(piece.data(), size);
      if (size < room) break;
    }
    REQUIRE(came.empty());
  }
  return all;
}

std::string plain_of(Compression kind, std::string_view network) {
  Inflow in(kind);
  return plain_of(in, network, network.size(), 100000);
}

bool is_refused(Compression kind, std::string_view network) {
  try {
    plain_of(kind, network);
  } catch (const Error& error) {
    return error.code() == Code::frame_malformed;
  }
  return false;
}

}  // namespace

TEST_CASE("compression: what goes out comes in, whatever pieces it comes in", "[layer]") {
  Compressor compressor;
  const std::string plain = text_of(49) + text_of(50) + text_of(200000) + noise_of(3000);
  for (const auto kind : {Compression::zlib, Compression::zstd}) {
    std::string network;
    Outflow out(compressor, kind);
    for (const std::size_t size : {49U, 50U, 200000U}) out.append(text_of(size), network);
    out.append(noise_of(3000), network);
    CHECK(network.size() < plain.size() / 2);
    CHECK(out.number() == 4);
    for (const std::size_t step : {1U, 13U, 100000U}) {
      for (const std::size_t room : {1U, 777U, 1000000U}) {
        if (step == 1 && room == 1) continue;
        Inflow in(kind);
        CHECK(plain_of(in, network, step, room) == plain);
        CHECK(in.is_between_frames());
        CHECK(in.next_number() == 4);
      }
    }
  }
}

TEST_CASE("compression: short ones and those that would grow stay plain, as servers have it", "[layer]") {
  Compressor compressor;
  for (const auto kind : {Compression::zlib, Compression::zstd}) {
    Outflow out(compressor, kind);
    out.set_number(255);
    std::string network;
    out.append(std::string(49, 'a'), network);
    CHECK(network == frame(std::string(49, 'a'), 255, 0));
    network.clear();
    out.append(noise_of(300), network);
    CHECK(network == frame(noise_of(300), 0, 0));
    network.clear();
    out.append(std::string(50, 'a'), network);
    CHECK(network.size() < 50);
    CHECK(plain_of(kind, network) == std::string(50, 'a'));
  }
}

TEST_CASE("compression: frames of the libraries themselves, and all levels", "[layer]") {
  const std::string plain = text_of(300000);
  CHECK(plain_of(Compression::zlib, frame(zlib_of(plain), 3, plain.size())) == plain);
  CHECK(plain_of(Compression::zstd, frame(zstd_of(plain), 3, plain.size())) == plain);
  Compressor compressor;
  for (const auto kind : {Compression::zlib, Compression::zstd}) {
    for (const int level : {1, 9, 22, 0, -5}) {
      std::string network;
      Outflow(compressor, kind, level).append(plain, network);
      CHECK(plain_of(kind, network) == plain);
    }
  }
}

TEST_CASE("compression: more than a frame holds becomes several", "[layer]") {
  Compressor compressor;
  const std::string plain = text_of(2 * kFramePlainBytes + 10);
  std::string network;
  Outflow out(compressor, Compression::zstd);
  out.append(plain, network);
  CHECK(out.number() == 3);
  CHECK(plain_of(Compression::zstd, network) == plain);
}

TEST_CASE("compression: empty frames are passed over", "[layer]") {
  CHECK(plain_of(Compression::zlib, frame("", 0, 0) + frame("abc", 1, 0) + frame("", 2, 0)) == "abc");
}

TEST_CASE("compression: a frame that lies about its size is refused, without more memory than it takes on the wire", "[layer]") {
  const std::string plain = text_of(1000);
  for (const auto kind : {Compression::zlib, Compression::zstd}) {
    const std::string body = kind == Compression::zlib ? zlib_of(plain) : zstd_of(plain);
    CHECK_FALSE(is_refused(kind, frame(body, 0, 1000)));
    CHECK(is_refused(kind, frame(body, 0, 999)));
    CHECK(is_refused(kind, frame(body, 0, 1)));
    CHECK(is_refused(kind, frame(body, 0, 1001)));
    CHECK(is_refused(kind, frame(body, 0, 0xffffff)));
    CHECK(is_refused(kind, frame(body + "x", 0, 1000)));
    CHECK(is_refused(kind, frame(body + body, 0, 2000)));
    CHECK(is_refused(kind, frame(body.substr(0, body.size() - 1), 0, 1000)));
    CHECK(is_refused(kind, frame("", 0, 10)));
    CHECK(is_refused(kind, frame("no stream at all, but bytes", 0, 1000)));
  }
}

TEST_CASE("compression: memory is freed between frames only", "[layer]") {
  const std::string plain = text_of(1000);
  const std::string network = frame(zlib_of(plain), 0, 1000);
  Inflow in(Compression::zlib);
  std::array<char, 400> piece{};
  std::string_view rest = network;
  CHECK(in.read(rest, piece) == 400);
  in.release();
  CHECK(in.read(rest, piece) == 400);
  CHECK(in.read(rest, piece) == 200);
  in.release();
  CHECK(plain_of(in, network, 10, 100) == plain);
}
