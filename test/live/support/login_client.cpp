#include "login_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <map>
#include <memory>
#include <stdexcept>

#include "godwit/auth/native.h"
#include "godwit/auth/terminator.h"
#include "godwit/auth/tls_proof.h"

namespace godwit::test {
namespace {

// Of both flavours; what is not here is not used.
enum Capability : std::uint32_t {
  long_password = 1,
  compress = 1U << 5,
  protocol_41 = 1U << 9,
  ssl = 1U << 11,
  transactions = 1U << 13,
  secure_connection = 1U << 15,
  multi_statements = 1U << 16,
  multi_results = 1U << 17,
  plugin_auth = 1U << 19,
  lenenc_auth = 1U << 21,
  zstd = 1U << 26,
};
constexpr std::uint32_t kCapabilities = long_password | protocol_41 | transactions | secure_connection | multi_statements | multi_results | plugin_auth;
constexpr unsigned char kOk = 0x00;
constexpr unsigned char kMore = 0x01;
constexpr unsigned char kSwitch = 0xfe;
constexpr unsigned char kError = 0xff;

std::string little(std::uint64_t value, unsigned bytes) {
  std::string text;
  for (unsigned i = 0; i < bytes; ++i) text.push_back(static_cast<char>(value >> 8 * i));
  return text;
}
unsigned byte_of(char c) { return static_cast<unsigned char>(c); }
std::size_t u24(std::string_view bytes) { return byte_of(bytes[0]) | byte_of(bytes[1]) << 8U | byte_of(bytes[2]) << 16U; }

int connect_to(int port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  timeval limit{.tv_sec = 20, .tv_usec = 0};
  setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  if (::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) throw std::runtime_error("no connection");
  return socket;
}

struct Greeting {
  std::string salt;
  std::string plugin;
};

// [10][version\0][thread u32][salt 8][0][caps u16][charset][status u16][caps u16][salt length][10 bytes][salt 13][plugin\0]
Greeting parse_greeting(const std::string& packet) {
  if (packet.empty() || packet[0] != 10) throw std::runtime_error("no greeting: " + packet.substr(0, 200));
  const std::size_t at = packet.find('\0', 1) + 1;
  Greeting greeting;
  greeting.salt = packet.substr(at + 4, 8) + packet.substr(at + 31, 12);
  greeting.plugin = packet.substr(at + 44, packet.find('\0', at + 44) - (at + 44));
  return greeting;
}

// One for each server, whose sessions it resumes.
const layer::TlsContext& context_towards(int port) {
  static std::map<int, layer::TlsContext> contexts;
  const auto it = contexts.find(port);
  return it != contexts.end() ? it->second : contexts.emplace(port, layer::TlsContext::client(layer::TlsVerify::none, {})).first->second;
}

std::string error_text(const std::string& packet) { return packet.size() > 9 ? packet.substr(9) : "?"; }

// The cells of a row of the text protocol.
std::string row_text(const std::string& packet) {
  constexpr unsigned kNull = 0xfb;
  constexpr unsigned kU16 = 0xfc;
  std::string row;
  for (std::size_t at = 0; at < packet.size();) {
    std::size_t size = byte_of(packet[at++]);
    if (size == kNull) size = 0;
    if (size >= kU16) {
      const std::size_t bytes = size == kU16 ? 2 : 3;
      size = u24(packet.substr(at, bytes) + std::string(3 - bytes, '\0'));
      at += bytes;
    }
    row += (row.empty() ? "" : "|") + packet.substr(at, size);
    at += size;
  }
  return row;
}

}  // namespace

// --- Wire ---------------------------------------------------------------------------------------------------------

Wire::~Wire() { ::close(socket_); }

void Wire::begin_tls(const layer::TlsContext& context, const std::string& host) {
  tls_.emplace(context, host);
  tls_->feed(plain_);
  plain_.clear();
  while (tls_->handshake() == layer::Tls::Result::want_more) {
    send_raw(tls_->pending());
    tls_->consume_pending(tls_->pending().size());
    fill();
  }
  send_raw(tls_->pending());
  tls_->consume_pending(tls_->pending().size());
}

void Wire::begin_compression(layer::Compression kind) {
  inflow_.emplace(kind);
  outflow_.emplace(compressor_, kind);
}

void Wire::begin_command() {
  number_ = 0;
  if (outflow_) outflow_->set_number(0);
}

// What TLS holds already is read first: the end of a handshake and the first packet may come together.
void Wire::fill() {
  if (tls_ && tls_->is_established() && take_plain(*tls_) != 0) return;
  std::array<char, 20000> buffer{};
  const ssize_t size = ::recv(socket_, buffer.data(), buffer.size(), 0);
  if (size <= 0) throw std::runtime_error("the peer is gone");
  const std::string_view bytes(buffer.data(), static_cast<std::size_t>(size));
  if (!tls_) return unpack(bytes);
  tls_->feed(bytes);
  if (tls_->is_established()) take_plain(*tls_);
}

std::size_t Wire::take_plain(layer::Tls& tls) {
  std::array<char, 20000> buffer{};
  std::size_t all = 0;
  while (const std::size_t size = tls.read(buffer)) {
    unpack({buffer.data(), size});
    all += size;
  }
  return all;
}

void Wire::unpack(std::string_view bytes) {
  if (!inflow_) {
    plain_ += bytes;
    return;
  }
  std::array<char, 20000> buffer{};
  std::size_t size = 0;
  do {
    size = inflow_->read(bytes, buffer);
    plain_.append(buffer.data(), size);
  } while (size == buffer.size());
}

std::string Wire::read_bytes(std::size_t bytes) {
  while (plain_.size() < bytes) fill();
  std::string taken = plain_.substr(0, bytes);
  plain_.erase(0, bytes);
  return taken;
}

std::string Wire::read_packet() {
  const std::string header = read_bytes(4);
  last_number_ = static_cast<std::uint8_t>(header[3]);
  number_ = static_cast<std::uint8_t>(last_number_ + 1);
  return read_bytes(u24(header));
}

void Wire::write_packet(std::string_view payload) {
  std::string bytes = little(payload.size(), 3);
  bytes.push_back(static_cast<char>(number_++));
  bytes += payload;
  if (!outflow_) return send_through_tls(bytes);
  std::string frames;
  outflow_->append(bytes, frames);
  send_through_tls(frames);
}

void Wire::send_through_tls(std::string_view bytes) {
  if (!tls_) return send_raw(bytes);
  tls_->write(bytes);
  send_raw(tls_->pending());
  tls_->consume_pending(tls_->pending().size());
}

void Wire::send_raw(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) throw std::runtime_error("the peer is gone");
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

// --- LoginClient ----------------------------------------------------------------------------------------------------

LoginClient::LoginClient(int port, const LoginForm& login) : wire_(std::make_unique<Wire>(connect_to(port))) {
  wire_->send_raw(login.proxy_header);
  log_in(port, login);
}

void LoginClient::log_in(int port, const LoginForm& login) {
  const Greeting greeting = parse_greeting(wire_->read_packet());
  salt_ = greeting.salt;
  std::uint32_t capabilities = kCapabilities;
  if (login.has_tls) capabilities |= ssl;
  if (login.compression) capabilities |= *login.compression == layer::Compression::zlib ? compress : zstd;
  const std::string head = little(capabilities, 4) + little(1U << 24, 4) + little(45, 1) + std::string(23, '\0');
  if (login.has_tls) {
    wire_->write_packet(head);
    wire_->begin_tls(context_towards(port), "localhost");
  }
  auth::Prover prover(*login.credentials, {.is_secure = login.has_tls, .has_alternatives = login.has_alternatives});
  const bool answers_greeting = login.initial_plugin == greeting.plugin;
  const auto reply = answers_greeting ? prover.begin(greeting.plugin, greeting.salt) : auth::Prover::Reply{};
  std::string response = head + login.user + '\0' + little(reply.bytes.size(), 1) + reply.bytes + login.initial_plugin + '\0';
  if (login.compression == layer::Compression::zstd) response += little(3, 1);
  wire_->write_packet(response);
  authenticate(prover, wire_->read_packet());
  if (is_in() && login.compression) wire_->begin_compression(*login.compression);
}

void LoginClient::authenticate(auth::Prover& prover, std::string packet) {
  while (true) {
    const unsigned first = packet.empty() ? kError : byte_of(packet[0]);
    if (first == kOk) {
      message_ = packet.substr(7);  // behind [0][no rows][no id][status u16][warnings u16]
      return;
    }
    if (first == kError) {
      error_ = error_text(packet);
      return;
    }
    auth::Prover::Reply reply;
    if (first == kSwitch) {
      const auto end = packet.find('\0', 1);
      plugins_.push_back(packet.substr(1, end - 1));
      salt_ = packet.substr(end + 1, auth::kNativeBytes);
      reply = prover.begin(plugins_.back(), std::string_view(packet).substr(end + 1));
    } else if (first == kMore) {
      reply = prover.more(std::string_view(packet).substr(1));
    }
    if (reply.kind == auth::Prover::Reply::Kind::cannot) {
      error_ = "the secrets do not answer " + (plugins_.empty() ? std::string("the greeting") : plugins_.back());
      return;
    }
    if (reply.kind == auth::Prover::Reply::Kind::send) wire_->write_packet(reply.bytes);
    packet = wire_->read_packet();
  }
}

std::string LoginClient::read_numbered() {
  std::string packet = wire_->read_packet();
  numbers_.push_back(wire_->last_number());
  return packet;
}

std::vector<std::string> LoginClient::query(const std::string& sql) {
  wire_->begin_command();
  numbers_.clear();
  wire_->write_packet("\x03" + sql);
  return next_result();
}

std::vector<std::string> LoginClient::next_result() {
  const std::string head = read_numbered();
  if (byte_of(head[0]) == kError) throw std::runtime_error(error_text(head));
  if (byte_of(head[0]) == kOk) return {};
  const unsigned columns = byte_of(head[0]);
  for (unsigned i = 0; i <= columns; ++i) read_numbered();  // their definitions, and an EOF
  std::vector<std::string> rows;
  while (true) {
    const std::string packet = read_numbered();
    if (byte_of(packet[0]) == kError) throw std::runtime_error(error_text(packet));
    if (byte_of(packet[0]) == kSwitch && packet.size() < 9) return rows;
    rows.push_back(row_text(packet));
  }
}

// --- TerminatingServer --------------------------------------------------------------------------------------------

const auth::RsaKey& test_rsa_key() {
  static const auto key = auth::RsaKey::generate();
  return key;
}

TerminatingServer::TerminatingServer(Options options) : options_(options), listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener_, 1) != 0) throw std::runtime_error("no port");
  getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { serve(); });
}

TerminatingServer::~TerminatingServer() {
  ::shutdown(listener_, SHUT_RDWR);
  if (thread_.joinable()) thread_.join();
  ::close(listener_);
}

std::optional<std::string> TerminatingServer::password() {
  if (thread_.joinable()) thread_.join();
  return password_;
}

void TerminatingServer::serve() {
  const int client = ::accept(listener_, nullptr, nullptr);
  if (client < 0) return;
  try {
    Wire wire(client);
    talk(wire);
  } catch (const std::exception& error) {
    error_ = error.what();
  }
}

namespace {
const layer::TlsContext& server_context() {
  static const auto context = layer::TlsContext::self_signed();
  return context;
}
}  // namespace

void TerminatingServer::talk(Wire& wire) {
  const std::string salt = auth::make_salt();
  const std::uint32_t capabilities = kCapabilities | lenenc_auth | (options_.has_tls ? ssl : 0U);
  const bool is_native = !options_.native_stage2.empty();
  wire.write_packet(std::string("\x0a") + "8.0.99" + '\0' + little(1, 4) + salt.substr(0, 8) + '\0' + little(capabilities & 0xffffU, 2) + little(45, 1) +
                    little(2, 2) + little(capabilities >> 16U, 2) + little(21, 1) + std::string(10, '\0') + salt.substr(8) + '\0' +
                    (is_native ? "mysql_native_password" : "caching_sha2_password") + '\0');
  std::string response = wire.read_packet();
  if (response.size() == 32) {
    wire.begin_tls(server_context(), "");
    response = wire.read_packet();
  }
  const std::size_t at = response.find('\0', 32) + 1;
  std::string reply = response.substr(at + 1, byte_of(response[at]));
  std::string message;
  is_native ? void(message = verify(reply, salt)) : terminate(wire, std::move(reply), salt);
  const std::string ok("\0\0\0\2\0\0\0", 7);
  wire.write_packet(ok + (message.empty() ? "" : little(message.size(), 1) + message));
  while (wire.read_packet() != "\x01") wire.write_packet(ok);  // until COM_QUIT
}

std::string TerminatingServer::verify(std::string_view reply, const std::string& salt) const {
  if (!auth::recover_stage1(reply, salt, options_.native_stage2)) throw std::runtime_error("another password");
  const std::string proof = auth::tls_proof(options_.native_stage2, salt, server_context().fingerprint());
  return options_.has_wrong_proof ? proof.substr(0, 40) + std::string(25, 'A') : proof;
}

void TerminatingServer::terminate(Wire& wire, std::string packet, const std::string& salt) {
  auth::Sha2Terminator terminator(salt, {.is_secure = wire.is_tls(), .key = &test_rsa_key(), .known = options_.known});
  while (true) {
    const auto answer = terminator.feed(packet);
    ++steps_;
    if (!answer.bytes.empty()) wire.write_packet("\x01" + answer.bytes);
    if (answer.kind == auth::Sha2Terminator::Answer::Kind::refused) throw std::runtime_error("refused");
    if (answer.kind == auth::Sha2Terminator::Answer::Kind::password) {
      password_ = std::string(answer.password.view());
      return;
    }
    packet = wire.read_packet();
  }
}

}  // namespace godwit::test
