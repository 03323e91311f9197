#include "raw_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <stdexcept>

namespace godwit::test {
namespace raw {

std::string number(std::uint64_t value, unsigned bytes) {
  std::string text;
  for (unsigned i = 0; i < bytes; ++i) text.push_back(static_cast<char>(value >> (8 * i) & 0xFF));
  return text;
}

std::string lenenc(std::string_view text) {
  if (text.size() < 251) return number(text.size(), 1).append(text);
  if (text.size() < 65536) return "\xFC" + number(text.size(), 2).append(text);
  return "\xFD" + number(text.size(), 3).append(text);
}

}  // namespace raw

namespace {

constexpr std::size_t kPacketMax = 0xFFFFFF;

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error("raw client: " + what); }

class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}
  std::uint64_t number(unsigned count) {
    const auto text = take(count);
    std::uint64_t value = 0;
    for (unsigned i = 0; i < count; ++i) value |= std::uint64_t{static_cast<std::uint8_t>(text[i])} << (8 * i);
    return value;
  }
  std::optional<std::uint64_t> lenenc() {
    const auto first = static_cast<unsigned>(number(1));
    if (first == 0xFB) return std::nullopt;
    return first < 0xFB ? first : number(first == 0xFC ? 2 : first == 0xFD ? 3 : 8);
  }
  std::optional<std::string> text() {
    const auto size = lenenc();
    if (!size) return std::nullopt;
    return std::string(take(*size));
  }
  std::string until_zero() {
    const auto end = bytes_.find('\0');
    if (end == std::string_view::npos) fail("a string without its end");
    std::string value(take(end));
    take(1);
    return value;
  }
  std::string_view take(std::size_t count) {
    if (count > bytes_.size()) fail("a packet is too short");
    const auto taken = bytes_.substr(0, count);
    bytes_.remove_prefix(count);
    return taken;
  }
  std::string_view rest() { return take(bytes_.size()); }
  bool is_empty() const { return bytes_.empty(); }
  std::size_t size() const { return bytes_.size(); }

 private:
  std::string_view bytes_;
};

std::string digest(const EVP_MD* kind, std::string_view a, std::string_view b = {}) {
  std::string value(static_cast<std::size_t>(EVP_MD_size(kind)), '\0');
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  EVP_DigestInit_ex(context.get(), kind, nullptr);
  EVP_DigestUpdate(context.get(), a.data(), a.size());
  EVP_DigestUpdate(context.get(), b.data(), b.size());
  EVP_DigestFinal_ex(context.get(), reinterpret_cast<unsigned char*>(value.data()), nullptr);
  return value;
}

std::string xored(std::string a, std::string_view b) {
  for (std::size_t i = 0; i < a.size(); ++i) a[i] = static_cast<char>(a[i] ^ b[i % b.size()]);
  return a;
}

std::string native_reply(const std::string& password, const std::string& salt) {
  if (password.empty()) return "";
  const std::string once = digest(EVP_sha1(), password);
  return xored(once, digest(EVP_sha1(), salt, digest(EVP_sha1(), once)));
}

std::string sha2_reply(const std::string& password, const std::string& salt) {
  if (password.empty()) return "";
  const std::string once = digest(EVP_sha256(), password);
  return xored(once, digest(EVP_sha256(), digest(EVP_sha256(), once), salt));
}

std::string reply_of(const std::string& plugin, const std::string& password, const std::string& salt) {
  return plugin == "caching_sha2_password" ? sha2_reply(password, salt) : native_reply(password, salt);
}

std::string encrypted(const std::string& pem, const std::string& password, const std::string& salt) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), &BIO_free);
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr), &EVP_PKEY_free);
  if (!key) fail("no key of the server");
  const std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)> context(EVP_PKEY_CTX_new(key.get(), nullptr), &EVP_PKEY_CTX_free);
  EVP_PKEY_encrypt_init(context.get());
  EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_OAEP_PADDING);
  const std::string plain = xored(password + '\0', salt);
  std::size_t size = 0;
  const auto* bytes = reinterpret_cast<const unsigned char*>(plain.data());
  EVP_PKEY_encrypt(context.get(), nullptr, &size, bytes, plain.size());
  std::string secret(size, '\0');
  if (EVP_PKEY_encrypt(context.get(), reinterpret_cast<unsigned char*>(secret.data()), &size, bytes, plain.size()) <= 0) fail("the password cannot be encrypted");
  return secret;
}

void read_error(std::string_view payload, RawAnswer& answer) {
  Reader in(payload.substr(1));
  answer.error = static_cast<unsigned>(in.number(2));
  const auto text = in.rest();
  const bool has_state = !text.empty() && text[0] == '#' && text.size() >= 6;
  if (has_state) answer.sqlstate = text.substr(1, 5);
  answer.message = text.substr(has_state ? 6 : 0);
}

}  // namespace

RawClient::RawClient(Options options) {
  connect(options.port);
  try {
    if (!options.before.empty()) send_bytes(options.before);
    log_in(options);
  } catch (...) {
    ::close(socket_);
    throw;
  }
}

RawClient::~RawClient() {
  if (socket_ >= 0) ::close(socket_);
}

void RawClient::connect(int port) {
  socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    ::close(socket_);
    fail(std::string("cannot connect: ") + std::strerror(errno));
  }
  const int on = 1;
  ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

void RawClient::vanish() {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  ::close(socket_);
  socket_ = -1;
}

// --- packets -------------------------------------------------------------------------------------------------------

std::string RawClient::packet(std::string_view payload, std::uint8_t sequence) {
  std::string bytes = raw::number(payload.size(), 3);
  bytes.push_back(static_cast<char>(sequence));
  return bytes.append(payload);
}

void RawClient::send_bytes(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) fail(std::string("cannot send: ") + std::strerror(errno));
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

void RawClient::send(std::string_view payload, std::uint8_t sequence) {
  while (true) {
    const auto part = payload.substr(0, kPacketMax);
    std::string head = raw::number(part.size(), 3);
    head.push_back(static_cast<char>(sequence++));
    if (part.size() < 65536) {
      send_bytes(head.append(part));
    } else {
      send_bytes(head);
      send_bytes(part);
    }
    if (part.size() < kPacketMax) return;
    payload.remove_prefix(part.size());
  }
}

bool RawClient::wait_readable(std::chrono::milliseconds limit) const {
  pollfd one{.fd = socket_, .events = POLLIN, .revents = 0};
  return ::poll(&one, 1, static_cast<int>(limit.count())) > 0;
}

std::string RawClient::read_bytes(std::size_t count, std::chrono::milliseconds limit) {
  std::string bytes(count, '\0');
  for (std::size_t at = 0; at < count;) {
    if (!wait_readable(limit)) fail("nothing came in time");
    const auto got = ::recv(socket_, bytes.data() + at, count - at, 0);
    if (got == 0) fail("the connection has ended");
    if (got < 0) fail(std::string("cannot read: ") + std::strerror(errno));
    at += static_cast<std::size_t>(got);
  }
  return bytes;
}

std::string RawClient::read_packet(std::chrono::milliseconds limit) {
  std::string payload;
  while (true) {
    const std::string head = read_bytes(4, limit);
    const std::size_t size = Reader(head).number(3);
    sequence_ = static_cast<std::uint8_t>(head[3]);
    payload += read_bytes(size, limit);
    if (size < kPacketMax) return payload;
  }
}

bool RawClient::has_answer_within(std::chrono::milliseconds limit) { return wait_readable(limit); }

bool RawClient::has_ended_within(std::chrono::milliseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (std::chrono::steady_clock::now() < end) {
    if (!wait_readable(std::chrono::milliseconds(20))) continue;
    char bytes[4096];
    if (::recv(socket_, bytes, sizeof bytes, 0) <= 0) return true;
  }
  return false;
}

// --- login ---------------------------------------------------------------------------------------------------------

void RawClient::log_in(const Options& options) {
  const std::string greeting = read_packet();
  if (!greeting.empty() && greeting[0] == '\xFF') {
    RawAnswer answer;
    read_error(greeting, answer);
    fail(answer.message);
  }
  Reader in(greeting);
  in.number(1);
  version_ = in.until_zero();
  connection_id_ = static_cast<std::uint32_t>(in.number(4));
  std::string salt(in.take(8));
  in.number(1);
  offered_ = in.number(2);
  in.number(3);
  offered_ |= in.number(2) << 16;
  in.number(1);
  in.take(6);
  const auto extended = in.number(4);
  if ((offered_ & raw::kLongPassword) == 0) offered_ |= extended << 32;
  salt.append(in.take(12));
  in.number(1);
  std::string plugin = in.is_empty() ? "mysql_native_password" : in.until_zero();
  capabilities_ = options.capabilities & (offered_ | raw::kLongPassword);
  if ((capabilities_ >> 32) != 0) capabilities_ &= ~raw::kLongPassword;
  if (!options.schema.empty()) capabilities_ |= raw::kConnectWithDb;
  std::string login = raw::number(capabilities_, 4) + raw::number(1 << 30, 4) + raw::number(options.charset, 1) + std::string(19, '\0') + raw::number(capabilities_ >> 32, 4);
  if (!options.plugin.empty()) plugin = options.plugin;
  login += options.user + '\0' + raw::lenenc(reply_of(plugin, options.password, salt));
  if (!options.schema.empty()) login += options.schema + '\0';
  login += plugin + '\0';
  send(login, 1);
  finish_login(plugin, salt, options);
}

void RawClient::finish_login(std::string plugin, std::string salt, const Options& options) {
  const std::string& password = options.password;
  while (true) {
    const std::string payload = read_packet();
    if (payload.empty()) fail("an empty packet at login");
    if (payload[0] == '\0') return;
    if (payload[0] == '\xFF') {
      RawAnswer answer;
      read_error(payload, answer);
      fail(std::to_string(answer.error) + " " + answer.message);
    }
    if (payload[0] == '\xFE') {
      Reader in(std::string_view(payload).substr(1));
      plugin = in.until_zero();
      salt = std::string(in.take(20));
      if (options.before_proof) options.before_proof();
      send(reply_of(plugin, password, salt), static_cast<std::uint8_t>(sequence_ + 1));
    } else if (payload == "\x01\x04") {
      send("\x02", static_cast<std::uint8_t>(sequence_ + 1));
      const std::string pem = read_packet().substr(1);
      send(encrypted(pem, password, salt), static_cast<std::uint8_t>(sequence_ + 1));
    } else if (payload != "\x01\x03") {
      fail("an unknown packet at login");
    }
  }
}

// --- answers -------------------------------------------------------------------------------------------------------

std::string RawClient::query_payload(std::string_view sql) const {
  std::string payload = "\x03";
  if ((capabilities_ & raw::kQueryAttributes) != 0) payload += std::string("\0\1", 2);
  return payload.append(sql);
}

// Whether a packet in the rows' place is the end of them; an error is one too.
bool RawClient::read_end(std::string_view payload, RawAnswer& answer) const {
  if (payload.empty()) return false;
  if (payload[0] == '\xFF') {
    read_error(payload, answer);
    return true;
  }
  const bool deprecates_eof = (capabilities_ & raw::kDeprecateEof) != 0;
  if (payload[0] != '\xFE' || payload.size() >= (deprecates_eof ? kPacketMax : 9)) return false;
  Reader in(payload.substr(1));
  if (deprecates_eof) {
    answer.affected_rows = in.lenenc().value_or(0);
    answer.insert_id = in.lenenc().value_or(0);
    answer.status = static_cast<std::uint16_t>(in.number(2));
    answer.warnings = static_cast<unsigned>(in.number(2));
    return true;
  }
  answer.warnings = static_cast<unsigned>(in.number(2));
  answer.status = static_cast<std::uint16_t>(in.number(2));
  return true;
}

void RawClient::read_result(std::string_view head, bool is_binary, RawAnswer& answer) {
  Reader in(head);
  const auto count = in.lenenc().value_or(0);
  if ((capabilities_ & raw::kCacheMetadata) != 0) answer.has_definitions = in.number(1) != 0;
  if (answer.has_definitions) {
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::string definition = read_packet();
      Reader column(definition);
      for (int field = 0; field < 4; ++field) column.text();
      answer.columns.push_back(column.text().value_or(""));
    }
  }
  if ((capabilities_ & raw::kDeprecateEof) == 0) {
    read_end(read_packet(), answer);
    if (is_binary && (answer.status & raw::kCursorExists) != 0) return;  // rows are to be fetched
  }
  while (true) {
    const std::string payload = read_packet();
    if (read_end(payload, answer)) return;
    Reader row(payload);
    Cells cells;
    std::string nulls;
    if (is_binary) {
      row.number(1);
      nulls = row.take((count + 9) / 8);
    }
    for (std::uint64_t i = 0; i < count; ++i) {
      const bool is_null = is_binary && (static_cast<unsigned>(nulls[(i + 2) / 8]) >> ((i + 2) % 8) & 1) != 0;
      cells.push_back(is_null ? std::nullopt : row.text());
    }
    answer.rows.push_back(std::move(cells));
  }
}

RawAnswer RawClient::read_answer(bool is_binary) {
  RawAnswer answer;
  const std::string payload = read_packet();
  if (payload.empty()) fail("an empty answer");
  if (payload[0] == '\xFB' && !is_binary) {
    answer.is_file_request = true;
    answer.message = payload.substr(1);
    return answer;
  }
  if (payload[0] == '\xFF') {
    read_error(payload, answer);
    return answer;
  }
  if (payload[0] == '\xFE') {
    read_end(payload, answer);
    return answer;
  }
  if (payload[0] != '\0') {
    read_result(payload, is_binary, answer);
    return answer;
  }
  Reader in(std::string_view(payload).substr(1));
  answer.affected_rows = in.lenenc().value_or(0);
  answer.insert_id = in.lenenc().value_or(0);
  answer.status = static_cast<std::uint16_t>(in.number(2));
  answer.warnings = static_cast<unsigned>(in.number(2));
  const bool has_trackers = (capabilities_ & raw::kSessionTrack) != 0;
  answer.message = has_trackers && !in.is_empty() ? in.text().value_or("") : std::string(in.rest());
  if (has_trackers && !in.is_empty()) answer.trackers = in.rest();
  return answer;
}

RawAnswer RawClient::ask(std::string_view sql) {
  send_query(sql);
  return read_answer();
}

// --- prepared statements -------------------------------------------------------------------------------------------

RawPrepared RawClient::prepare(std::string_view sql) {
  send(std::string("\x16").append(sql));
  return read_prepared();
}

RawPrepared RawClient::read_prepared() {
  RawPrepared prepared;
  const std::string payload = read_packet();
  if (payload[0] == '\xFF') {
    RawAnswer answer;
    read_error(payload, answer);
    prepared.error = answer.error;
    prepared.message = answer.message;
    return prepared;
  }
  Reader in(std::string_view(payload).substr(1));
  prepared.id = static_cast<std::uint32_t>(in.number(4));
  prepared.columns = static_cast<unsigned>(in.number(2));
  prepared.parameters = static_cast<unsigned>(in.number(2));
  const unsigned ends = (capabilities_ & raw::kDeprecateEof) != 0 ? 0 : 1;
  const unsigned packets = (prepared.parameters > 0 ? prepared.parameters + ends : 0) + (prepared.columns > 0 ? prepared.columns + ends : 0);
  for (unsigned i = 0; i < packets; ++i) read_packet();
  return prepared;
}

std::string RawClient::execute_payload(std::uint32_t id, const std::vector<std::string>& parameters, bool has_types, std::uint8_t flags) {
  std::string payload = "\x17" + raw::number(id, 4) + raw::number(flags, 1) + raw::number(1, 4);
  if (parameters.empty()) return payload;
  payload += std::string((parameters.size() + 7) / 8, '\0') + raw::number(has_types ? 1 : 0, 1);
  constexpr std::uint64_t kVarString = 253;
  for (std::size_t i = 0; has_types && i < parameters.size(); ++i) payload += raw::number(kVarString, 2);
  for (const auto& parameter : parameters) payload += raw::lenenc(parameter);
  return payload;
}

RawAnswer RawClient::execute(std::uint32_t id, const std::vector<std::string>& parameters, bool has_types) {
  send(execute_payload(id, parameters, has_types));
  return read_answer(true);
}

}  // namespace godwit::test
