#include "backend.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <asio/ip/tcp.hpp>
#include <asio/local/stream_protocol.hpp>
#include <asio/redirect_error.hpp>
#include <asio/use_awaitable.hpp>
#include <cerrno>

#include "godwit/auth/sha2.h"
#include "godwit/util/error.h"
#include "godwit/wire/bytes.h"

namespace godwit::proxy {
namespace {

constexpr std::size_t kLoginPacketMax = 65536;
constexpr const char* kNobody = "godwit_client_left";  // no account: a login that is refused, which servers do not count as they do one that never came
constexpr std::size_t kResultPacketMax = std::size_t{64} << 20;  // a row of the session's own state: a user variable may be large

Error misbehaved(const Upstream& upstream, std::string cause) {
  return Error(Code::peer_misbehaved, {.object = upstream.name(), .cause = std::move(cause), .remedy = "is it a MySQL or MariaDB server?"});
}

Error refused(const Upstream& upstream, const wire::ServerError& error) {
  return Error(Code::access_denied, {.object = upstream.name(), .cause = fmt::format("{} ({}) {}", error.number, error.state, error.text), .remedy = "SHOW ACCOUNTS on the proxy says how the account is logged in"});
}

Error unreachable(const Upstream& upstream, const std::string& cause) {
  return Error(Code::cannot_connect, {.object = upstream.name(), .cause = cause, .remedy = "is the server running, and reachable from here?"});
}

// The connection is made while its channel waits for the greeting.
int begin_connecting(const Endpoint& endpoint, const Upstream& upstream) {
  const int socket = ::socket(endpoint.protocol().family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (socket >= 0 && (::connect(socket, endpoint.data(), static_cast<socklen_t>(endpoint.size())) == 0 || errno == EINPROGRESS)) return socket;
  const std::string cause = std::generic_category().message(errno);
  if (socket >= 0) ::close(socket);
  throw unreachable(upstream, cause);
}

// Where the server may be; its name may stand for several addresses.
asio::awaitable<std::vector<Endpoint>> endpoints_of(asio::any_io_executor executor, const Upstream& upstream) {
  std::vector<Endpoint> endpoints;
  std::error_code error;
  if (!upstream.dsn.socket.empty()) {
    endpoints.emplace_back(asio::local::stream_protocol::endpoint(upstream.dsn.socket));
    co_return endpoints;
  }
  const auto address = asio::ip::make_address(upstream.dsn.host, error);
  if (!error) {
    endpoints.emplace_back(asio::ip::tcp::endpoint(address, upstream.dsn.port));
    co_return endpoints;
  }
  asio::ip::tcp::resolver resolver(executor);
  const auto found = co_await resolver.async_resolve(upstream.dsn.host, std::to_string(upstream.dsn.port), asio::redirect_error(asio::use_awaitable, error));
  if (error) throw unreachable(upstream, error.message());
  for (const auto& entry : found) endpoints.emplace_back(entry.endpoint());
  co_return endpoints;
}

}  // namespace

// A connection that is refused, or not made in time, ends like one that is lost: before the first byte.
asio::awaitable<std::string> Backend::first_packet(Channel& channel, const Upstream& upstream, Deadline deadline) {
  std::string cause;
  try {
    std::string payload = co_await channel.packet(deadline, kLoginPacketMax);
    co_return payload;
  } catch (const Error& error) {
    if (error.code() != Code::connection_lost) throw;
    cause = error.cause();
  }
  throw unreachable(upstream, cause);
}

asio::awaitable<std::shared_ptr<Backend>> Backend::connect(asio::any_io_executor executor, const Upstream& upstream, const ClientAddress& client, Deadline deadline) {
  const auto endpoints = co_await endpoints_of(executor, upstream);
  for (std::size_t i = 0;; ++i) {
    try {
      auto backend = co_await connect_to(executor, endpoints[i], upstream, client, deadline);
      co_return backend;
    } catch (const Error& error) {
      if (error.code() != Code::cannot_connect || i + 1 == endpoints.size()) throw;
    }
  }
}

asio::awaitable<std::shared_ptr<Backend>> Backend::connect_to(asio::any_io_executor executor, const Endpoint& endpoint, const Upstream& upstream, const ClientAddress& client, Deadline deadline) {
  auto channel = std::make_shared<Channel>(executor, begin_connecting(endpoint, upstream), upstream.name());
  std::shared_ptr<Backend> backend(new Backend(channel, upstream));
  channel->start();
  if (upstream.sends_proxy_header) channel->write(client.proxy_header);
  const std::string payload = co_await first_packet(*channel, upstream, deadline);
  if (const auto error = wire::read_error(payload)) {
    throw Error(error->number == 1040 ? Code::too_many_connections : Code::cannot_connect,
                {.object = upstream.name(), .cause = fmt::format("{} {}", error->number, error->text), .remedy = "the words are the server's own: its error log, max_connections and FLUSH HOSTS"});
  }
  const auto greeting = wire::read_greeting(payload);
  if (!greeting) throw misbehaved(upstream, "its first packet is no greeting");
  backend->greeting_ = *greeting;
  co_return backend;
}

asio::awaitable<std::string> Backend::packet(Deadline deadline) { co_return co_await channel_->packet(deadline, kResultPacketMax); }

asio::awaitable<void> Backend::send_login(wire::Login login, Deadline deadline) {
  constexpr auto kOwn = wire::cap::ssl | wire::cap::compress | wire::cap::zstd;
  // Bits above 32 are no longer there when one of the two says that it is a MySQL.
  if ((greeting_.capabilities & wire::cap::mysql) != 0) login.capabilities = (login.capabilities & 0xFFFFFFFF) | wire::cap::mysql;
  login.capabilities &= (greeting_.capabilities | wire::cap::connect_with_db) & ~kOwn;
  capabilities_ = login.capabilities;
  const bool wants_tls = upstream_->tls != nullptr && !channel_->is_local() && (greeting_.capabilities & wire::cap::ssl) != 0;
  if (upstream_->dsn.ssl_mode >= db::SslMode::required && !wants_tls && !channel_->is_local()) {
    throw Error(Code::tls_failed, {.object = upstream_->name(), .cause = "the server offers no TLS", .remedy = "give the server a certificate; ssl-mode=preferred takes what there is"});
  }
  if (wants_tls) {
    login.capabilities |= wire::cap::ssl;
    channel_->send_packet(wire::write_tls_request(login));
    co_await channel_->start_tls(*upstream_->tls, upstream_->dsn.host, deadline);
  }
  channel_->send_packet(wire::write_login(login));
}

asio::awaitable<void> Backend::send_sha2_password(const auth::Secret& password, const std::string& nonce, Deadline deadline) {
  std::string clear;
  if (is_secure()) {
    clear = password.view();
    clear.push_back('\0');
    channel_->send_packet(clear);
    auth::wipe(clear);
    co_return;
  }
  channel_->send_packet(auth::kSha2AskKey);
  const std::string key = co_await packet(deadline);
  if (key.empty() || key[0] != '\x01') throw misbehaved(*upstream_, "it gives no public key");
  const auto encrypted = auth::rsa_encrypted(password, nonce, std::string_view(key).substr(1));
  if (!encrypted) throw misbehaved(*upstream_, "its public key is none");
  channel_->send_packet(*encrypted);
}

asio::awaitable<wire::Ok> Backend::log_in(wire::Login login, const Credential& credential, Deadline deadline) {
  // Decided before TLS is: a connection that is going to have it is as good.
  const bool will_be_secure = channel_->is_local() || (upstream_->tls != nullptr && (greeting_.capabilities & wire::cap::ssl) != 0);
  auth::Prover prover(credential, {.is_secure = will_be_secure, .has_alternatives = true});
  login.capabilities |= wire::cap::plugin_auth | wire::cap::secure_connection | wire::cap::plugin_auth_lenenc;
  login.plugin = greeting_.plugin;
  login.auth = prover.begin(greeting_.plugin, greeting_.salt).bytes;
  co_await send_login(login, deadline);
  const std::string payload = co_await prove(login.user, prover, deadline);
  if (const auto error = wire::read_error(payload)) throw refused(*upstream_, *error);
  const auto ok = wire::read_ok(payload, has(wire::cap::session_track));
  if (!ok) throw misbehaved(*upstream_, "its answer to a login is unreadable");
  const wire::Ok known{.status = ok->status};
  co_return known;
}

asio::awaitable<std::string> Backend::prove(std::string user, const Credential& credential, Deadline deadline) {
  auth::Prover prover(credential, {.is_secure = is_secure(), .has_alternatives = true});
  std::string ok = co_await prove(user, prover, deadline);
  co_return ok;
}

asio::awaitable<std::string> Backend::prove(std::string user, auth::Prover& prover, Deadline deadline) {
  while (true) {
    std::string payload = co_await packet(deadline);
    const std::uint8_t first = payload.empty() ? 0xFF : static_cast<std::uint8_t>(payload[0]);
    if (first == 0x00 || first == 0xFF) co_return payload;
    auth::Prover::Reply reply;
    if (first == 0xFE) {
      const auto request = wire::read_auth_switch(payload);
      if (!request) throw misbehaved(*upstream_, "it asks for a form of login of before 4.1");
      reply = prover.begin(request->plugin, request->salt);
    } else if (first == 0x01) {
      reply = prover.more(std::string_view(payload).substr(1));
    } else {
      throw misbehaved(*upstream_, "an unknown packet in a login");
    }
    if (reply.kind == auth::Prover::Reply::Kind::cannot) {
      throw Error(Code::login_unprovable, {.object = user, .cause = upstream_->name() + " asks for what is not known of the account", .remedy = "SHOW ACCOUNTS on the proxy says what can be done"});
    }
    if (reply.kind == auth::Prover::Reply::Kind::send) channel_->send_packet(reply.bytes);
    auth::wipe(reply.bytes);
  }
}

// --- statements of the proxy's own ---------------------------------------------------------------------------------

asio::awaitable<void> Backend::skip_eof(Deadline deadline) {
  if (!has(wire::cap::deprecate_eof)) co_await packet(deadline);
}

asio::awaitable<bool> Backend::read_rows(routing::Result& result, ResultHead head, Deadline deadline) {
  for (std::uint64_t i = 0; head.has_definitions && i < head.columns; ++i) {
    const std::string definition = co_await packet(deadline);
    wire::Input in(definition);
    for (int field = 0; field < 4; ++field) in.lenenc_string();  // catalog, schema, table, original table
    result.rows.columns.emplace_back(in.lenenc_string());
  }
  co_await skip_eof(deadline);
  while (true) {
    const std::string row = co_await packet(deadline);
    if (const auto error = wire::read_error(row)) {
      result.server_errno = error->number;
      result.sqlstate = error->state;
      result.error = error->text;
      co_return false;
    }
    if (!row.empty() && row[0] == '\xFE' && row.size() < wire::kFrameMax && (has(wire::cap::deprecate_eof) || row.size() <= 8)) {
      status_ = 0;
      if (has(wire::cap::deprecate_eof)) {
        if (const auto ok = wire::read_ok(row, has(wire::cap::session_track))) status_ = ok->status;
      } else if (const auto eof = wire::read_eof(row)) {
        status_ = eof->status;
      }
      co_return (status_ & wire::status::more_results) != 0;
    }
    wire::Input in(row);
    std::vector<db::Rows::Cell> cells;
    if (head.form == Form::binary) in.take(1 + (head.columns + 9) / 8);  // its header, and which columns are NULL: what is asked so has none, and strings alone
    for (std::uint64_t i = 0; i < head.columns; ++i) {
      if (head.form == Form::text && in.left() > 0 && row[row.size() - in.left()] == '\xFB') {
        in.u8();
        cells.emplace_back();
      } else {
        cells.emplace_back(std::string(in.lenenc_string()));
      }
    }
    if (!in.is_good()) throw misbehaved(*upstream_, "a row that is none");
    result.rows.rows.push_back(std::move(cells));
  }
}

asio::awaitable<routing::Result> Backend::read_result(Form form, Deadline deadline) {
  routing::Result result;
  while (true) {
    const std::string head = co_await packet(deadline);
    if (const auto error = wire::read_error(head)) {
      result.server_errno = error->number;
      result.sqlstate = error->state;
      result.error = error->text;
      co_return result;
    }
    if (head.empty()) throw misbehaved(*upstream_, "an empty answer");
    if (head[0] == '\0') {
      const auto ok = wire::read_ok(head, has(wire::cap::session_track));
      if (!ok) throw misbehaved(*upstream_, "an unreadable OK");
      status_ = ok->status;
      if ((ok->status & wire::status::more_results) == 0) co_return result;
      continue;
    }
    wire::Input in(head);
    ResultHead result_head;
    result_head.columns = in.lenenc();
    result_head.form = form;
    if (has(wire::cap::cache_metadata | wire::cap::optional_metadata)) result_head.has_definitions = in.u8() != 0;
    if (!in.is_good()) throw misbehaved(*upstream_, "an unreadable result");
    const bool has_more = co_await read_rows(result, result_head, deadline);
    if (!has_more) co_return result;
  }
}

asio::awaitable<std::vector<routing::Result>> Backend::run(std::span<const std::string> statements, Deadline deadline) {
  std::string out;
  std::string payload;
  for (const auto& statement : statements) {
    if (is_kept(statement)) {
      payload.assign(1, static_cast<char>(wire::Command::stmt_execute));
      wire::put(payload, kept_->second, 4);
      payload.append("\0\1\0\0\0", 5);  // no cursor, once
    } else {
      payload.assign(1, static_cast<char>(wire::Command::query));
      if (has(wire::cap::query_attributes)) payload.append("\0\1", 2);  // none
      payload += statement;
    }
    wire::put_packet(out, 0, payload);
  }
  channel_->write(out);
  std::vector<routing::Result> results;
  for (const auto& statement : statements) {
    const Form form = is_kept(statement) ? Form::binary : Form::text;
    results.push_back(co_await read_result(form, deadline));
  }
  co_return results;
}

asio::awaitable<void> Backend::keep_prepared(const std::string& statement, Deadline deadline) {
  if (is_kept(statement)) co_return;
  const auto prepared = co_await prepare({&statement, 1}, deadline);
  if (!prepared[0].error) kept_ = {statement, prepared[0].id};
}

asio::awaitable<Backend::Prepared> Backend::read_prepared(Deadline deadline) {
  Prepared it;
  const std::string head = co_await packet(deadline);
  if ((it.error = wire::read_error(head))) co_return it;
  wire::Responses reader;
  reader.set_capabilities(capabilities_);
  // The same reader as for the client's own, so that the fingerprint is the same.
  reader.expect({.reply = wire::Reply::prepared, .command = wire::Command::stmt_prepare});
  std::string framed;
  wire::put_packet(framed, 1, head);
  auto step = reader.next(framed);
  if (step.event != wire::Responses::Event::prepared) throw misbehaved(*upstream_, "an unreadable answer to a prepare");
  wire::Input in(std::string_view(head).substr(1));
  it.id = in.u32();
  while (!step.is_last) {
    framed.clear();
    wire::put_packet(framed, 1, co_await packet(deadline));
    step = reader.next(framed);
    if (step.event == wire::Responses::Event::broken) throw misbehaved(*upstream_, "an unreadable answer to a prepare");
  }
  it.definitions = reader.definitions();
  co_return it;
}

asio::awaitable<std::vector<Backend::Prepared>> Backend::prepare(std::span<const std::string> statements, Deadline deadline) {
  std::string out;
  for (const auto& statement : statements) wire::put_packet(out, 0, std::string(1, static_cast<char>(wire::Command::stmt_prepare)) + statement);
  channel_->write(out);
  std::vector<Prepared> prepared;
  for (std::size_t i = 0; i < statements.size(); ++i) prepared.push_back(co_await read_prepared(deadline));
  co_return prepared;
}

bool Backend::tells_of_transactions() const {
  if (!has(wire::cap::session_track)) return false;
  // MariaDB's is OFF too where the cache had no size at the server's start; the size itself no session has.
  const auto cache = facts_->variables.find("query_cache_type");
  return cache == facts_->variables.end() || cache->second.global.value_or("OFF") == "OFF";
}

std::optional<std::string> Backend::trackers_statement() const {
  if (!has(wire::cap::session_track)) return std::nullopt;
  // A session of MariaDB that tells of its transactions does not use the query cache.
  std::string statement = "SET session_track_state_change=1";
  if (tells_of_transactions()) statement += ", session_track_transaction_info='CHARACTERISTICS'";
  return statement;
}

asio::awaitable<void> Backend::set_trackers(Deadline deadline) {
  const auto statement = trackers_statement();
  if (!statement) co_return;
  const auto results = co_await run({&*statement, 1}, deadline);
  if (results[0].is_error()) throw Error(Code::statement_failed, {.object = upstream_->name(), .cause = results[0].error, .remedy = *statement});
}

void Backend::close_statement(std::uint32_t id) {
  std::string payload(1, static_cast<char>(wire::Command::stmt_close));
  wire::put(payload, id, 4);
  channel_->set_sequence(0);
  channel_->send_packet(payload);
}

asio::awaitable<std::uint16_t> Backend::ping(Deadline deadline) {
  channel_->set_sequence(0);
  channel_->send_packet(std::string(1, static_cast<char>(wire::Command::ping)));
  const std::string answer = co_await packet(deadline);
  const auto ok = wire::read_ok(answer, has(wire::cap::session_track));
  if (!ok || ok->header != 0) throw misbehaved(*upstream_, "it does not answer a ping");
  status_ = ok->status;
  co_return ok->status;
}

asio::awaitable<void> Backend::set_multi_statements(bool is_on, Deadline deadline) {
  channel_->set_sequence(0);
  std::string payload(1, static_cast<char>(wire::Command::set_option));
  wire::put(payload, is_on ? 0 : 1, 2);
  channel_->send_packet(payload);
  co_await packet(deadline);
}

asio::awaitable<void> Backend::take_leave(bool has_begun, Deadline deadline) {
  if (has_begun) {
    channel_->send_packet({});
    co_await packet(deadline);
    co_return;
  }
  wire::Login nobody;
  nobody.capabilities = wire::cap::mysql | wire::cap::protocol_41 | wire::cap::transactions;
  nobody.packet_bytes_max = kLoginPacketMax;
  nobody.charset = greeting_.charset;
  nobody.user = kNobody;
  Credential without_password;
  without_password.has_password = true;
  co_await log_in(nobody, without_password, deadline);
  quit();
}

void Backend::quit() {
  if (!channel_->has_ended()) {
    channel_->set_sequence(0);
    channel_->send_packet(std::string(1, static_cast<char>(wire::Command::quit)));
  }
  channel_->close();
}

}  // namespace godwit::proxy
