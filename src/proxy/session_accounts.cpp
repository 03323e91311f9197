// Whose session it is: what is known to log its account in on the other side, how it becomes another account's, and the admin's, which is none of a server's.
#include <fmt/format.h>

#include <asio/use_awaitable.hpp>

#include "admin.h"
#include "godwit/accounts/method.h"
#include "godwit/auth/native.h"
#include "godwit/util/error.h"
#include "seizure.h"
#include "session.h"
#include "session_login.h"
#include "worker.h"

namespace godwit::proxy {
namespace {

bool gives_native_reply(const Credential& credential, std::string_view reply, std::string_view salt) {
  if (!credential.stage1.is_empty()) return auth::native_reply_of(credential.stage1, salt) == reply;
  return credential.has_password && auth::native_reply(credential.password.view(), salt) == reply;
}

}  // namespace

// --- what logs it in elsewhere -------------------------------------------------------------------------------------

// Which account the server took the client for, and what is known by now to log it in elsewhere.
asio::awaitable<void> Session::harvest(Deadline deadline) {
  account_ = worker_.known_account(login_.user, address_.host);
  if (account_.empty()) {
    const std::string question = "SELECT CURRENT_USER()";
    const auto results = co_await server_->run({&question, 1}, deadline);
    if (!results[0].is_error() && results[0].rows.size() == 1) account_ = results[0].rows.scalar();
    worker_.know_account(login_.user, address_.host, account_);
  }
  context_.vault.note_login(account_);
  const auto known = context_.vault.find(account_, server_->side());
  if (heard_) {
    if (!known || !known->has_password || known->password.view() != heard_->password.view()) context_.vault.put(account_, Origin::password_heard, heard_);
  } else if (native_reply_ && !(known && gives_native_reply(*known, native_reply_->first, native_reply_->second))) {
    co_await harvest_native();
  }
  native_reply_.reset();
  heard_.reset();
  if (context_.vault.is_looked_at(account_)) co_return;
  try {
    co_await credential_on(other(server_->side()));
  } catch (const Error& error) {  // it is tried again when the session is to be moved
    context_.vault.note_failure(account_, error.cause());
  }
}

// The stored hash and one reply to a known salt give what logs in wherever that hash is stored.
asio::awaitable<void> Session::harvest_native() {
  for (const bool is_anew : {false, true}) {
    const auto facts = co_await worker_.steward().account(server_->side(), account_, is_anew);
    if (!facts) co_return;
    for (const auto& method : facts->methods) {
      auto stage1 = auth::recover_stage1(native_reply_->first, native_reply_->second, method.stage2);
      if (!stage1) continue;
      auto credential = std::make_shared<Credential>();
      credential->stage1 = std::move(*stage1);
      context_.vault.put(account_, Origin::native_hash, credential);
      co_return;
    }
  }
}

// How the account is to be logged in on that side, and by what; nothing where it cannot be, with the reason in SHOW ACCOUNTS.
asio::awaitable<std::shared_ptr<const Credential>> Session::credential_on(db::Side side) {
  auto& steward = worker_.steward();
  const auto here = co_await steward.account(server_->side(), account_);
  const auto there = co_await steward.account(side, account_);
  const auto at = account_.rfind('@');
  const auth::Secret* given = context_.passwords.find(account_.substr(0, at), at == std::string::npos ? "" : account_.substr(at + 1));
  // Asked for its password is only a client that uses caching_sha2_password by itself: others may not have the plugin.
  const accounts::MethodOptions options{.client_has_tls = (client_->is_tls() || client_->is_local()) && login_.plugin == kSha2,
                                        .client_fetches_key = false,
                                        .other_has_tls = context_.upstream(side).tls != nullptr || !context_.upstream(side).dsn.socket.empty(),
                                        .may_delegate = context_.options.delegates_auth,
                                        .has_password = given != nullptr};
  const auto decision = accounts::decide(here ? &*here : nullptr, there ? &*there : nullptr, options);
  if (decision.method == accounts::Method::file && given != nullptr) {
    auto credential = std::make_shared<Credential>();
    credential->password = given->copy();
    credential->has_password = true;
    context_.vault.put(account_, Origin::accounts_file, credential);
  } else if (decision.method == accounts::Method::delegated && there) {
    const auto known = context_.vault.find_delegated(account_, side);
    if (!known) {
      const auto credential = co_await steward.delegate(side, *there);
      context_.vault.put_delegated(account_, side, credential);
    }
  }
  auto credential = context_.vault.find(account_, side);
  context_.vault.decide(account_, fmt::format("{}: {}", accounts::to_string(decision.method), decision.why));
  co_return credential;
}

std::string Session::vault_key(const std::string& user) const { return worker_.known_account(user, address_.host); }

// --- another account's, and the admin's ----------------------------------------------------------------------------

// Another login on the same connection: all of the session is new.
void Session::begin_change_user(std::string request) {
  in_own_hands([this, request = std::move(request)]() -> asio::awaitable<void> {
    const Deadline deadline = std::chrono::steady_clock::now() + context_.options.limits.handshake;
    ++requests_seen_;
    auto change = wire::read_change_user(request, client_capabilities_);
    if (!change) {
      client_->set_sequence(1);
      client_->send_packet(error_packet(1047, "08S01", "Unknown command"));
      end("a malformed change of user");
      co_return;
    }
    if (!may_become(change->user)) co_return;
    std::string plugin = change->plugin.value_or(std::string(kNative));
    const std::string salt = client_salt_;
    const bool has_its_salt = server_->greeting().salt == client_salt_;
    wire::ChangeUser sent = *change;
    if (!has_its_salt) {
      sent.plugin = std::string(kUnknownPlugin);
      sent.auth.clear();
      if (!sent.charset) sent.charset = login_.charset;
    } else if (plugin == kNative) {
      note_native_reply(change->auth, salt);
    }
    server_->channel().set_sequence(0);
    server_->channel().send_packet(wire::write_change_user(sent, client_capabilities_));
    client_->set_sequence(1);
    // Some clients go on replying to the salt that they logged in with, whatever they are told: such a reply is no good to a server that has another.
    std::string ok;
    bool is_refused = false;
    Credential own;
    if (!has_its_salt && plugin == kNative) own = co_await secret_behind(change->user, change->auth, salt);
    if (own.has_password || !own.stage1.is_empty()) {
      ok = co_await server_->prove(change->user, own, deadline);
      is_refused = wire::read_error(ok).has_value();
      if (is_refused) client_->send_packet(ok);
    } else {
      try {
        ok = co_await relay_auth(plugin, salt, deadline);
      } catch (const Refused&) {
        is_refused = true;
      }
    }
    forget_state();
    if (is_refused) {  // MySQL closes the connection; with MariaDB it goes on as the account that it was, and nothing else of before
      is_status_known_ = false;
      co_await server_->set_trackers(deadline);
      hand_back();
      co_return;
    }
    login_.user = change->user;
    login_.schema = change->schema;
    if (change->charset) login_.charset = static_cast<std::uint8_t>(*change->charset);
    co_await server_->set_trackers(deadline);
    co_await harvest(deadline);
    if (!own.stage1.is_empty() && !context_.vault.find(account_, server_->side())) {
      auto credential = std::make_shared<Credential>();
      credential->stage1 = std::move(own.stage1);
      context_.vault.put(account_, Origin::native_hash, credential);
    }
    const bool has_track = (server_->capabilities() & wire::cap::session_track) != 0;
    const bool is_tracking_client = (client_capabilities_ & wire::cap::session_track) != 0;
    const auto read = wire::read_ok(ok, has_track);
    if (read) status_ = read->status;
    is_status_known_ = read.has_value();
    client_->send_packet(read && has_track != is_tracking_client ? wire::write_ok(*read, is_tracking_client) : ok);
    hand_back();
  });
}

// The limits of a login; where they are met the client counts as one of that name from now on, and its session ends if it proves to be none.
bool Session::may_become(const std::string& user) {
  if (!worker_.may_log_in(address_.host)) {
    ++context_.stats.refused;
    refuse(1129, "HY000", fmt::format("Host '{}' is blocked because of many failed logins; try again in a minute", address_.host));
    return false;
  }
  if (user == user_) return true;
  if (!context_.vault.enter(user, context_.options.limits.clients_per_account)) {
    ++context_.stats.refused;
    refuse(1226, "42000", fmt::format("User '{}' has exceeded the 'clients_per_account' resource of the proxy", user));
    return false;
  }
  context_.vault.leave(user_);
  user_ = user;
  return true;
}

// Nothing where no account of that name has this password.
asio::awaitable<Credential> Session::secret_behind(std::string user, std::string reply, std::string salt) {
  Credential credential;
  credential.has_password = reply.empty();
  if (reply.empty()) co_return credential;
  const auto hashes = co_await worker_.steward().native_stage2s(server_->side(), user);
  for (const auto& stage2 : hashes) {
    if (auto stage1 = auth::recover_stage1(reply, salt, stage2)) credential.stage1 = std::move(*stage1);
  }
  co_return credential;
}

asio::awaitable<void> Session::serve_admin(wire::Login login, Deadline deadline) {
  dismiss_server();
  const bool is_admin = co_await is_admin_password(login, deadline);
  if (!is_admin) {
    ++context_.stats.logins_failed;
    worker_.note_failed_login(address_.host);
    client_->send_packet(error_packet(1045, "28000", fmt::format("Access denied for user '{}'", login.user)));
    throw Refused();
  }
  client_->send_packet(wire::write_ok({.status = wire::status::autocommit}, (client_capabilities_ & wire::cap::session_track) != 0));
  if (compression_) client_->start_compression(*compression_, compression_level_, worker_.compressor());
  co_await run_admin(*client_, client_capabilities_, worker_.proxy());
  end("the admin has left");
}

asio::awaitable<bool> Session::is_admin_password(const wire::Login& login, Deadline deadline) {
  const std::string& password = context_.options.admin_password;
  if (login.plugin == kNative) co_return auth::native_matches(login.auth, client_salt_, password);
  std::string reply = login.auth;
  std::string salt = client_salt_;
  if (login.plugin != kSha2) {
    salt = auth::make_salt();
    client_->send_packet(wire::write_auth_switch({.plugin = std::string(kNative), .salt = salt + '\0'}));
    reply = co_await client_->packet(deadline, kLoginBytesMax);
    co_return auth::native_matches(reply, salt, password);
  }
  if (!auth::sha2_matches(reply, salt, password)) co_return false;
  client_->send_packet(std::string("\x01") + std::string(auth::kSha2FastOk));
  co_return true;
}

}  // namespace godwit::proxy
