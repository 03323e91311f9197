// From the first byte to service. The client talks to its server through the proxy: it is greeted with the server's own salt, so that its reply is good
// there, and what the two say to each other is passed on whatever the plugin. What makes the account able to log in on the other side is picked up on the
// way (session_accounts.cpp): a native reply together with the stored hash, or the password itself where it is said. docs/proxy.md, "Accounts".
#include <fmt/format.h>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/use_awaitable.hpp>

#include "godwit/auth/native.h"
#include "godwit/auth/tls_proof.h"
#include "godwit/layer/proxy_header.h"
#include "godwit/util/error.h"
#include "godwit/util/log.h"
#include "seizure.h"
#include "session.h"
#include "session_login.h"
#include "worker.h"

namespace godwit::proxy {
namespace {

constexpr int kLoginPacketsMax = 32;  // of a server, until it says OK
constexpr std::size_t kGreetingId = 1;  // shown by a proxy that has no server to ask for one
constexpr std::string_view kClear = "mysql_clear_password";

// A password as a packet has it, with its zero.
std::string_view without_zero(std::string_view bytes) {
  if (!bytes.empty() && bytes.back() == '\0') bytes.remove_suffix(1);
  return bytes;
}

}  // namespace

Session::Session(Worker& worker, std::shared_ptr<Channel> client, ClientAddress address)
    : worker_(worker), context_(worker.context()), client_(std::move(client)), address_(std::move(address)), began_(std::chrono::steady_clock::now()) {}

Session::~Session() = default;

void Session::start() {
  client_->start();
  asio::co_spawn(
      client_->executor(),
      [self = shared_from_this()]() -> asio::awaitable<void> {
        try {
          co_await self->log_in();
        } catch (const Refused&) {
          self->end("refused");
        } catch (const std::exception& error) {
          if (!self->has_ended_) self->fail_login(error);
        }
      },
      asio::detached);
}

// A server that cannot be reached, or a client that does not keep to the protocol.
void Session::fail_login(const std::exception& error) {
  ++context_.stats.logins_failed;
  log::debug("login from {}: {}", address_.host, error.what());
  if (!client_->has_ended()) client_->send_packet(error_packet(1105, "HY000", fmt::format("godwit proxy: {}", error.what())));
  end(error.what());
}

asio::awaitable<void> Session::log_in() {
  const Deadline deadline = std::chrono::steady_clock::now() + context_.options.limits.handshake;
  co_await read_proxy_header(deadline);
  if (!worker_.may_log_in(address_.host)) {
    ++context_.stats.refused;
    client_->send_packet(error_packet(1129, "HY000", fmt::format("Host '{}' is blocked because of many failed logins; try again in a minute", address_.host)));
    throw Refused();
  }
  co_await greet(deadline);
  wire::Login login = co_await read_login(deadline);
  if (!context_.options.admin_user.empty() && login.user == context_.options.admin_user) {
    co_await serve_admin(std::move(login), deadline);
    co_return;
  }
  if (!context_.vault.enter(login.user, context_.options.limits.clients_per_account)) {
    ++context_.stats.refused;
    client_->send_packet(error_packet(1226, "42000", fmt::format("User '{}' has exceeded the 'clients_per_account' resource of the proxy", login.user)));
    throw Refused();
  }
  user_ = login.user;
  // Nobody is logged in on a side that may not be the serving one in a moment.
  co_await worker_.until_open(*this, std::chrono::steady_clock::now() + context_.options.limits.login_hold);
  if (has_ended_) co_return;
  if (context_.gate.is_closed()) {
    ++context_.stats.refused;
    client_->send_packet(error_packet(1040, "08004", "godwit proxy: a switch is under way for longer than a login waits; try again"));
    throw Refused();
  }
  // Whom it was greeted by, if anybody: a server that was to serve, or has ended since.
  if (!server_ || server_->side() != context_.gate.serving() || server_->channel().has_ended()) {
    dismiss_server();
    server_ = co_await Backend::connect(client_->executor(), context_.upstream(context_.gate.serving()), address_, std::chrono::steady_clock::now() + context_.options.limits.handshake);
  }
  co_await authenticate(std::move(login), std::chrono::steady_clock::now() + context_.options.limits.handshake);
}

// A load balancer before the proxy says who its client is.
asio::awaitable<void> Session::read_proxy_header(Deadline deadline) {
  if (!context_.trusts_header_of(address_.host)) co_return;
  while (true) {
    const auto header = layer::read_proxy_header(client_->input().view());
    using Kind = layer::ProxyHeader::Kind;
    if (header.kind == Kind::needs_more) {
      co_await client_->more(deadline);
      continue;
    }
    if (header.kind == Kind::malformed) throw Error(Code::peer_misbehaved, {.object = address_.host, .cause = "its PROXY header is malformed", .remedy = "--proxy-protocol-from is for load balancers that send one of version 1 or 2: is it one?"});
    if (header.kind == Kind::client) {
      address_.host = header.source.address;
      address_.port = header.source.port;
      address_.proxy_header = layer::make_proxy_header(header.source, header.destination);
    }
    client_->input().consume(header.bytes);
    co_return;
  }
}

// The serving side's greeting, less what the other side or the proxy does not do. While that server is out of reach the proxy greets by itself: the
// admin must get in, and with the gate closed another one may serve when it opens.
asio::awaitable<void> Session::greet(Deadline deadline) {
  const auto& upstream = context_.upstream(context_.gate.serving());
  wire::Greeting greeting;
  try {
    server_ = co_await Backend::connect(client_->executor(), upstream, address_, deadline);
    greeting = server_->greeting();
  } catch (const Error& error) {
    worker_.note_unreachable(error);
    greeting = context_.last_greeting(upstream.side);
    greeting.connection_id = kGreetingId;
    greeting.salt = auth::make_salt();
  }
  client_salt_ = greeting.salt;
  client_id_ = context_.registry.add(greeting.connection_id, weak_from_this());
  greeting.connection_id = client_id_;
  greeting.capabilities = context_.offered_to_clients();
  client_->set_sequence(0);
  client_->send_packet(wire::write_greeting(greeting));
}

asio::awaitable<wire::Login> Session::read_login(Deadline deadline) {
  std::string payload = co_await client_->packet(deadline, kLoginBytesMax);
  if (wire::is_tls_request(payload)) {
    if (!context_.client_tls) throw Error(Code::peer_misbehaved, {.object = address_.host, .cause = "it asks for TLS, which was not offered", .remedy = "let it connect without TLS, or give the proxy --tls-cert and --tls-key"});
    co_await client_->start_tls(*context_.client_tls, "", deadline);
    payload = co_await client_->packet(deadline, kLoginBytesMax);
  }
  auto login = wire::read_login(payload);
  if (!login) {
    client_->send_packet(error_packet(1043, "08S01", "Bad handshake"));
    throw Refused();
  }
  if ((login->capabilities & wire::cap::mysql) != 0) login->capabilities &= 0xFFFFFFFF;
  login->capabilities &= context_.offered_to_clients() | wire::cap::connect_with_db;
  // Of the two the client's first choice; the servers' side has its own.
  if ((login->capabilities & wire::cap::zstd) != 0) {
    compression_ = layer::Compression::zstd;
  } else if ((login->capabilities & wire::cap::compress) != 0) {
    compression_ = layer::Compression::zlib;
  }
  compression_level_ = login->zstd_level;
  login->capabilities &= ~(wire::cap::zstd | wire::cap::compress | wire::cap::ssl);
  client_capabilities_ = login->capabilities;
  has_multi_statements_ = (client_capabilities_ & wire::cap::multi_statements) != 0;
  if ((client_capabilities_ & wire::cap::connect_attrs) != 0) {
    wire::put_attribute(login->attributes, "_proxy", "godwit");
    wire::put_attribute(login->attributes, "_client_host", address_.host);
  }
  co_return std::move(*login);
}

wire::Login with_session_track(wire::Login login, const Backend& backend) {
  login.capabilities |= backend.greeting().capabilities & wire::cap::session_track;
  return login;
}

asio::awaitable<void> Session::authenticate(wire::Login login, Deadline deadline) {
  login_ = login;
  login_.auth.clear();
  const bool has_its_salt = server_->greeting().salt == client_salt_;
  std::string plugin = login.plugin.empty() ? std::string(kNative) : login.plugin;
  if (!has_its_salt) {
    login.plugin = kUnknownPlugin;
    login.auth.clear();
  } else if (plugin == kSha2 && client_->is_tls() && !login.auth.empty() && !context_.vault.find(vault_key(login.user), server_->side())) {
    // Where the client's side is safe the password itself is asked for: with it the account can be logged in anywhere.
    const auth::Secret password = co_await ask_sha2_password(client_salt_, deadline);
    heard_ = credential_of(password.view());
    login.auth = auth::sha2_reply(password.view(), client_salt_);
  } else if (plugin == kNative || (plugin == kSha2 && login.auth.empty())) {
    note_native_reply(login.auth, client_salt_);
  }
  has_begun_login_ = true;
  co_await server_->send_login(with_session_track(login, *server_), deadline);
  if (!has_its_salt) plugin.clear();
  std::string ok = co_await relay_auth(plugin, client_salt_, deadline);
  co_await begin_service(std::move(ok), deadline);
}

void Session::note_native_reply(std::string_view reply, std::string_view salt) {
  if (reply.empty()) {
    heard_ = credential_of("");  // if the server lets it in, that is its password
  } else if (reply.size() == auth::kNativeBytes) {
    native_reply_ = {std::string(reply), std::string(salt)};
  }
}

// What server and client say to each other until the server says OK, which it gives; an ERR is passed on, and ends the session.
asio::awaitable<std::string> Session::relay_auth(std::string plugin, std::string salt, Deadline deadline) {
  for (int packets = 0; packets < kLoginPacketsMax; ++packets) {
    owes_reply_ = false;
    const std::string payload = co_await server_->channel().packet(deadline, kLoginBytesMax);
    owes_reply_ = true;
    const std::uint8_t first = payload.empty() ? 0xFF : static_cast<std::uint8_t>(payload[0]);
    if (first == 0x00) co_return payload;
    if (first == 0xFF) {
      ++context_.stats.logins_failed;
      worker_.note_failed_login(address_.host);
      client_->send_packet(payload);
      throw Refused();
    }
    if (first == 0xFE) {
      const auto request = wire::read_auth_switch(payload);
      if (request) {
        plugin = request->plugin;
        salt = request->salt.substr(0, auth::kNativeBytes);  // without its zero
      }
      client_->send_packet(payload);
      std::string reply = co_await client_->packet(deadline, kLoginBytesMax);
      if (plugin == kNative) {
        native_salt_ = salt;
        note_native_reply(reply, salt);
      }
      if (plugin == kSha2 && reply.empty()) note_native_reply(reply, salt);
      if (plugin == kClear) heard_ = credential_of(without_zero(reply));
      server_->channel().send_packet(reply);
      auth::wipe(reply);
      continue;
    }
    const std::string_view more = std::string_view(payload).substr(1);
    if (plugin == kSha2 && more == auth::kSha2AskPassword) {
      if (heard_ && heard_->has_password && !heard_->password.is_empty()) {  // it was asked for already
        co_await server_->send_sha2_password(heard_->password, salt, deadline);
        continue;
      }
      const auth::Secret password = co_await ask_sha2_password(salt, deadline);
      heard_ = credential_of(password.view());
      co_await server_->send_sha2_password(password, salt, deadline);
      continue;
    }
    if (plugin == kSha2 && more == auth::kSha2FastOk) {
      if (!heard_) client_->send_packet(payload);
      continue;
    }
    client_->send_packet(payload);
    std::string reply = co_await client_->packet(deadline, kLoginBytesMax);
    server_->channel().send_packet(reply);
    auth::wipe(reply);
  }
  throw Error(Code::peer_misbehaved, {.object = context_.upstream(server_->side()).name(), .cause = "its part of a login has no end", .remedy = "is it a MySQL or MariaDB server?"});
}

// caching_sha2_password's full authentication, with the proxy in the server's place: over TLS the client says its password, else it is encrypted with the
// proxy's key.
asio::awaitable<auth::Secret> Session::ask_sha2_password(const std::string& salt, Deadline deadline) {
  client_->send_packet(std::string("\x01") + std::string(auth::kSha2AskPassword));
  std::string reply = co_await client_->packet(deadline, kLoginBytesMax);
  if (!client_->is_tls() && !client_->is_local()) {
    if (reply == auth::kSha2AskKey) {
      client_->send_packet("\x01" + context_.rsa->public_pem());
      reply = co_await client_->packet(deadline, kLoginBytesMax);
    }
    auto password = context_.rsa->decrypt(reply, salt);
    if (!password) {
      client_->send_packet(error_packet(1045, "28000", "Access denied: the password was not encrypted with the proxy's key"));
      throw Refused();
    }
    co_return std::move(*password);
  }
  auth::Secret password(without_zero(reply));
  auth::wipe(reply);
  co_return password;
}

// The server has let the client in; the client hears of it when its session is ready.
asio::awaitable<void> Session::begin_service(std::string ok, Deadline deadline) {
  responses_.set_capabilities(server_->capabilities());
  co_await server_->set_trackers(deadline);
  co_await harvest(deadline);
  if (has_ended_) co_return;
  const bool has_track = (server_->capabilities() & wire::cap::session_track) != 0;
  const bool is_tracking_client = (client_capabilities_ & wire::cap::session_track) != 0;
  const auto read = wire::read_ok(ok, has_track);
  if (read) status_ = read->status;
  const bool wants_proof = read && client_->is_tls() && (client_capabilities_ & wire::cap::mysql) == 0;
  std::string proof;
  if (wants_proof) proof = co_await proof_of_certificate();
  co_await follow_gate();
  if (has_ended_) co_return;
  if (wants_proof) {
    wire::Ok told = *read;
    told.info = proof;
    client_->send_packet(wire::write_ok(told, is_tracking_client));
  } else {
    client_->send_packet(read && has_track != is_tracking_client ? wire::write_ok(*read, is_tracking_client) : ok);
  }
  if (compression_) {
    client_->start_compression(*compression_, compression_level_, worker_.compressor());
    requests_.renumber();
  }
  context_.registry.move(client_id_, server_->id());
  serve();
}

// By which clients of MariaDB from 11.4 on trust a certificate that no authority vouches for. Nothing where the account's stored form gives none.
asio::awaitable<std::string> Session::proof_of_certificate() {
  const auto facts = co_await worker_.steward().account(server_->side(), account_);
  std::string proof;
  if (!facts || context_.client_tls->fingerprint().empty()) co_return proof;
  for (const auto& method : facts->methods) {
    if (!method.stage2.empty()) proof = auth::tls_proof(method.stage2, native_salt_.empty() ? client_salt_ : native_salt_, context_.client_tls->fingerprint());
  }
  co_return proof;
}

void Session::serve() {
  client_->on_input = [this] { attempt(&Session::on_client_input); };
  client_->on_end = [this] { attempt(&Session::on_client_end); };
  client_->on_drained = [this] { attempt(&Session::on_client_drained); };
  attach();
  is_served_ = true;
  worker_.on_served(*this);
  hand_back();
  if (context_.gate.is_closed()) hold();
}

}  // namespace godwit::proxy
