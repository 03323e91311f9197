// The compressed protocol: bytes travel in frames, each with a header of 7 bytes (size on the wire u24, number u8, plain size u24 or 0 for a frame
// that is not compressed). Packets lie across frames in any way. No I/O; one thread. Bounded: a frame is below 16 MiB, and streamed.
// Format: the servers' documentation, "Compression", and net_serv.cc of MariaDB 10.11 and MySQL 8.0 (frames below 50 bytes stay plain).
//
// Frames are numbered by themselves, from 0 at each command on, through both directions: an answer goes on where its command's last frame ended.
// The numbers of the packets inside are no guide to a relay: a server that compresses lets them jump to the frames' number at each flush.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace godwit::layer {

enum class Compression { zlib, zstd };

inline constexpr std::size_t kFrameHeaderBytes = 7;

// Out of frames.
class Inflow {
 public:
  explicit Inflow(Compression kind);
  Inflow(Inflow&&) noexcept;
  Inflow& operator=(Inflow&&) noexcept;
  ~Inflow();

  // Takes bytes off the front of `network` and gives plain ones. Fewer than `into` has room for: all of `network` was taken, and more is needed.
  // Throws Error(frame_malformed); it is of no use any more then.
  std::size_t read(std::string_view& network, std::span<char> into);
  // The number for the first frame of an answer to what was read.
  std::uint8_t next_number() const { return next_number_; }
  bool is_between_frames() const { return header_bytes_ == 0; }
  // Frees what decompresses, some 40 KiB, until the next frame needs it. Nothing inside a frame.
  void release();

 private:
  struct Stream;
  struct ZlibStream;
  struct ZstdStream;

  bool take_header(std::string_view& network);
  void begin_frame();
  std::size_t read_plain(std::string_view& network, std::span<char> into);
  std::size_t read_compressed(std::string_view& network, std::span<char> into);

  Compression kind_;
  std::unique_ptr<Stream> stream_;
  unsigned char header_[kFrameHeaderBytes]{};
  std::size_t header_bytes_ = 0;  // all of them: inside a frame
  std::size_t wire_left_ = 0;
  std::size_t plain_left_ = 0;
  bool is_compressed_ = false;
  std::uint8_t next_number_ = 0;
};

// What compresses; frames are independent of each other, so the sessions of a thread share one (it takes up to 1.5 MiB).
class Compressor {
 public:
  Compressor();
  ~Compressor();
  // One frame of at most kFramePlainBytes. level 0 is the servers' default: 6 for zlib, 3 for zstd.
  void append_frame(Compression kind, int level, std::string_view plain, std::uint8_t number, std::string& out);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

inline constexpr std::size_t kFramePlainBytes = std::size_t{1} << 20;
inline constexpr int kZstdLevelMax = 6;  // a client may ask for 22, which takes 700 MiB

// Into frames.
class Outflow {
 public:
  Outflow(Compressor& compressor, Compression kind, int level = 0) : compressor_(&compressor), kind_(kind), level_(level) {}
  // 0 for a command; for an answer, its command's Inflow::next_number().
  void set_number(std::uint8_t number) { number_ = number; }
  std::uint8_t number() const { return number_; }
  void append(std::string_view plain, std::string& out);

 private:
  Compressor* compressor_;
  Compression kind_;
  int level_;
  std::uint8_t number_ = 0;
};

}  // namespace godwit::layer
