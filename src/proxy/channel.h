// One connection of the proxy, to a client or to a server: the socket, and what lies between it and the protocol's packets (TLS, compression). It
// reads ahead all the time, within bounds, and sends at once what the socket takes. Everything in its event loop's thread.
#pragma once

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>
#include <asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "buffer.h"
#include "godwit/layer/compression.h"
#include "godwit/layer/tls.h"
#include "poller.h"

namespace godwit::proxy {

using Deadline = std::chrono::steady_clock::time_point;

inline constexpr std::size_t kReadBytesMin = 2048;
inline constexpr std::size_t kReadBytesMax = 65536;
// Above this the other side is not read from until it has drained.
inline constexpr std::size_t kUnsentBytesMax = 262144;
// So much is read ahead, or made of compressed frames, while nobody takes it.
inline constexpr std::size_t kUntakenBytesMax = 262144;

class Channel final : public std::enable_shared_from_this<Channel>, private Polled {
 public:
  // Of a socket that is connected, or about to be: it closes it in the end. The peer is for messages: "client 127.0.0.1:41522", "source 127.0.0.1:3306".
  Channel(asio::any_io_executor executor, int socket, std::string peer);
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  // Called when bytes have come, when all that waited was sent, and once when no more will come; none of them while a packet() is awaited.
  std::function<void()> on_input;
  std::function<void()> on_drained;
  std::function<void()> on_end;

  void start();
  void close();
  void close_when_sent();
  bool has_ended() const { return has_ended_; }
  const std::string& end_reason() const { return end_reason_; }

  // What came: to be looked at, changed in place, and consumed.
  Buffer& input() { return input_; }
  void pause_reading() { is_paused_ = true; }
  void resume_reading();
  bool is_reading_paused() const { return is_paused_; }
  // The next packet needs so many bytes in one piece.
  void want(std::size_t bytes) { wanted_ = bytes; }
  bool is_satisfied() const { return input_.size() >= wanted_; }
  bool is_full() const { return input_.size() >= kUntakenBytesMax && is_satisfied(); }

  void write(std::string_view bytes);
  std::size_t unsent_bytes() const { return unsent_.size(); }
  Deadline unsent_since() const { return unsent_since_; }

  // For conversations of the proxy's own. The payload of the next packet, of however many frames; Error(connection_lost) at the end of the
  // connection and at the deadline, Error(peer_misbehaved) where it is larger than `bytes_max`.
  asio::awaitable<std::string> packet(Deadline deadline, std::size_t bytes_max);
  asio::awaitable<void> more(Deadline deadline);  // until bytes have come
  std::uint8_t sequence() const { return sequence_; }  // that the next packet of a conversation has
  void set_sequence(std::uint8_t sequence) { sequence_ = sequence; }
  void send_packet(std::string_view payload);

  // From the next byte on. Bytes that came early belong to it.
  asio::awaitable<void> start_tls(const layer::TlsContext& context, const std::string& host, Deadline deadline);
  bool is_tls() const { return tls_ != nullptr; }
  // From the next byte on, in both directions.
  void start_compression(layer::Compression kind, int level, layer::Compressor& compressor);
  bool is_local() const { return is_local_; }  // a socket of this machine's file system: as safe as TLS

  void shrink();  // gives back what an idle connection does not need
  asio::any_io_executor executor() { return executor_; }

 private:
  void on_ready(std::uint32_t events) override;
  void read();
  void go_on();
  bool wants_input() const { return !is_paused_ && !is_full(); }
  void settle_interest();
  void stop_polling();
  void wake();  // whoever awaits a packet
  void after_read();
  bool decode();
  bool decode_tls();
  void inflate(std::string_view& network);
  void send_pending_tls();
  void send(std::string_view bytes);
  void flush();
  void end(std::string reason);
  Buffer& raw() { return tls_ || inflow_ ? raw_ : input_; }

  const asio::any_io_executor executor_;
  Poller& poller_;
  int socket_ = -1;
  Poller::Place place_;
  std::uint32_t interest_ = 0;
  const std::string peer_;
  Buffer input_;
  Buffer raw_;      // as it came from the network, where there are layers
  Buffer frames_;   // compressed ones, out of TLS
  Buffer unsent_;   // as it goes to the network
  std::string scratch_;
  std::string framed_;
  std::unique_ptr<layer::Tls> tls_;
  std::unique_ptr<layer::Inflow> inflow_;
  std::unique_ptr<layer::Outflow> outflow_;
  asio::steady_timer* waiter_ = nullptr;
  Deadline unsent_since_{};
  std::string end_reason_;
  std::size_t wanted_ = 0;
  std::size_t read_bytes_ = kReadBytesMin;
  std::uint8_t sequence_ = 0;
  bool is_polled_ = false;
  bool is_paused_ = false;
  bool has_more_inside_ = false;  // frames that would make more than there is room for
  bool is_turning_ = false;       // and are looked at again with the next turn of the loop
  bool is_closing_ = false;
  bool has_ended_ = false;
  bool is_closed_ = false;
  bool is_local_ = false;
};

}  // namespace godwit::proxy
