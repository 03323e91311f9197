#include "steward.h"

#include <fmt/format.h>

#include <asio/co_spawn.hpp>
#include <asio/use_awaitable.hpp>

#include "context.h"
#include "godwit/auth/native.h"
#include "godwit/sql/quote.h"
#include "godwit/util/error.h"

namespace godwit::proxy {
namespace {

constexpr std::chrono::seconds kAnswer{10};

db::Endpoint endpoint_of(const Context& context, db::Side side) {
  db::Endpoint endpoint{.side = side, .dsn = side == db::Side::source ? context.options.source : context.options.target};
  endpoint.dsn.schema.clear();
  endpoint.read_timeout = kAnswer;
  return endpoint;
}

routing::Result asked(db::Connection& connection, const std::string& statement) {
  routing::Result result;
  try {
    result.rows = connection.query(statement);
  } catch (const Error& error) {
    if (error.is_retryable()) throw;
    result.server_errno = connection.last_errno();
    result.error = error.cause();
  }
  return result;
}

}  // namespace

Steward::Steward(Context& context) : context_(context), key_(accounts::DelegationKey::derived(context.options.source.password + context.options.target.password, context.options.name)), threads_{asio::thread_pool(1), asio::thread_pool(1)} {}

Steward::~Steward() {
  for (auto& threads : threads_) threads.join();
}

// By the side's connection, made again where it was lost.
template <typename Deed>
auto Steward::with(db::Side side, Deed deed) {
  Desk& it = desk(side);
  const std::lock_guard lock(it.mutex);
  for (int attempt = 0;; ++attempt) {
    const bool is_new = !it.connection;
    if (is_new) {
      it.census.reset();  // of a server that may have begun anew: its numbers are other sessions' now
      it.connection = db::Connection::open(endpoint_of(context_, side));
    }
    try {
      return deed(*it.connection);
    } catch (const Error& error) {
      it.connection.reset();
      if (is_new || attempt > 0 || !error.is_retryable()) throw;
    }
  }
}

template <typename Deed>
auto Steward::ask(db::Side side, Deed deed) -> asio::awaitable<decltype(deed(std::declval<db::Connection&>()))> {
  auto asking = [this, side, &deed]() -> asio::awaitable<decltype(deed(std::declval<db::Connection&>()))> { co_return with(side, deed); };
  co_return co_await asio::co_spawn(threads(side).get_executor(), asking, asio::use_awaitable);
}

void Steward::read_facts(db::Side side) {
  with(side, [&](db::Connection& connection) {
    const auto& server = connection.server();
    std::vector<routing::Result> results;
    for (const auto& statement : routing::facts_statements(server.flavour)) results.push_back(asked(connection, statement));
    context_.upstream(side).facts.set(routing::read_facts(server.flavour, server.version, results));
    return 0;
  });
}

asio::awaitable<void> Steward::renew_facts(db::Side side) {
  co_await asio::co_spawn(
      threads(side).get_executor(),
      [this, side]() -> asio::awaitable<void> {
        read_facts(side);
        co_return;
      },
      asio::use_awaitable);
}

std::shared_ptr<const Census> Steward::take_census(db::Side side, db::Connection& connection) {
  const auto facts = context_.upstream(side).facts.get();
  auto census = std::make_shared<Census>();
  census->begun = std::chrono::steady_clock::now();
  const auto read = [&](const std::optional<std::string>& statement, auto into) {
    if (!statement) return;
    const auto result = asked(connection, *statement);
    if (result.is_error()) throw Error(Code::privilege_missing, {.object = db::describe(connection.endpoint()), .cause = result.error, .remedy = "GRANT SELECT ON performance_schema.* to the proxy's account"});
    into(result);
  };
  const auto prepared = asked(connection, "XA RECOVER");  // who may not see them cannot be told that there are none
  census->prepared_xa = prepared.is_error() ? 1 : prepared.rows.size();
  read(routing::locks_statement(*facts), [&](const routing::Result& result) { census->locks = routing::read_locks(*facts, result); });
  read(routing::sessions_statement(*facts), [&](const routing::Result& result) { census->sessions = routing::read_sessions(result); });
  read(routing::user_variables_statement(*facts), [&](const routing::Result& result) { census->user_variables = routing::read_user_variables(result); });
  read(routing::temporary_tables_statement(*facts), [&](const routing::Result& result) { census->temporary_tables = routing::read_temporary_tables(result); });
  read(routing::named_statements_statement(*facts), [&](const routing::Result& result) { census->named_statements = routing::read_named_statements(result); });
  desk(side).census = census;
  return census;
}

asio::awaitable<std::shared_ptr<const Census>> Steward::census(db::Side side) {
  const auto take = [this, side](db::Connection& connection) { return take_census(side, connection); };
  co_return co_await ask(side, take);
}

asio::awaitable<std::shared_ptr<const Census>> Steward::census_since(db::Side side, Deadline then) {
  const auto take = [this, side, then](db::Connection& connection) {
    const Desk& it = desk(side);
    return it.census && it.census->begun >= then ? it.census : take_census(side, connection);
  };
  co_return co_await ask(side, take);
}

asio::awaitable<std::optional<accounts::AccountFacts>> Steward::account(db::Side side, std::string current_user, bool is_anew) {
  Desk& it = desk(side);
  const auto find = [&it, &current_user, is_anew](db::Connection& connection) -> std::optional<accounts::AccountFacts> {
    const auto* found = is_anew ? nullptr : accounts::find(it.accounts, current_user);
    if (found == nullptr) {
      it.accounts = accounts::read_accounts(connection);
      accounts::leave_out_delegated(connection, it.accounts);  // an account that another proxy has given a credential may be given it by this one, too
      found = accounts::find(it.accounts, current_user);
    }
    return found == nullptr ? std::nullopt : std::optional(*found);
  };
  co_return co_await ask(side, find);
}

asio::awaitable<std::shared_ptr<const Credential>> Steward::delegate(db::Side side, accounts::AccountFacts account) {
  const auto give = [this, &account](db::Connection& connection) -> std::shared_ptr<const Credential> {
    auto credential = std::make_shared<Credential>();
    credential->password = accounts::Delegation(connection).give(account, key_);
    credential->has_password = true;
    return credential;
  };
  co_return co_await ask(side, give);
}

asio::awaitable<std::vector<std::string>> Steward::native_stage2s(db::Side side, std::string user) {
  const auto find = [&user](db::Connection& connection) {
    std::vector<std::string> found;
    const auto rows = connection.query("SELECT authentication_string FROM mysql.user WHERE user = " + sql::quote_string(user));
    for (const auto& row : rows.rows) {
      if (auto stage2 = auth::stage2_of(row[0].value_or(""))) found.push_back(std::move(*stage2));
    }
    return found;
  };
  co_return co_await ask(side, find);
}

asio::awaitable<bool> Steward::kill(db::Side side, std::uint64_t id, bool is_query) {
  const auto end = [id, is_query](db::Connection& connection) { return !asked(connection, fmt::format("KILL {} {}", is_query ? "QUERY" : "CONNECTION", id)).is_error(); };
  co_return co_await ask(side, end);
}

}  // namespace godwit::proxy
