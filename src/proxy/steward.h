// What an admin's session reads of a server: facts, accounts, and of all sessions at once who holds what. Connections of its own, in threads of its own,
// since db::Connection waits; event loops await it.
#pragma once

#include <asio/awaitable.hpp>
#include <asio/thread_pool.hpp>
#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "godwit/accounts/delegation.h"
#include "godwit/accounts/facts.h"
#include "godwit/db/connection.h"
#include "backend.h"
#include "godwit/routing/census.h"

namespace godwit::proxy {

struct Context;

struct Census {
  Deadline begun{};
  std::optional<std::set<std::uint64_t>> sessions;  // where a session's lists are read here: what is not among them cannot be known
  std::size_t prepared_xa = 0;
  std::map<std::uint64_t, std::vector<routing::HeldLock>> locks;
  std::map<std::uint64_t, std::vector<std::string>> user_variables;
  std::map<std::uint64_t, std::uint64_t> temporary_tables;
  std::map<std::uint64_t, std::vector<routing::NamedStatement>> named_statements;
};

class Steward {
 public:
  explicit Steward(Context& context);
  ~Steward();

  // Throws what connecting throws. In the caller's thread: before the event loops run.
  void read_facts(db::Side side);
  asio::awaitable<void> renew_facts(db::Side side);
  asio::awaitable<std::shared_ptr<const Census>> census(db::Side side);
  // One that was begun at that time or later, be it for somebody else.
  asio::awaitable<std::shared_ptr<const Census>> census_since(db::Side side, Deadline then);
  // Of an account that CURRENT_USER() names; read again where it is not known, or with `is_anew`.
  asio::awaitable<std::optional<accounts::AccountFacts>> account(db::Side side, std::string current_user, bool is_anew = false);
  // A second credential of the account on that side, which the proxy alone knows.
  asio::awaitable<std::shared_ptr<const Credential>> delegate(db::Side side, accounts::AccountFacts account);
  // The same of all accounts of that name, whatever their host.
  asio::awaitable<std::vector<std::string>> native_stage2s(db::Side side, std::string user);
  // Ends a session, or the statement that it has under way. False where the server has no such session.
  asio::awaitable<bool> kill(db::Side side, std::uint64_t id, bool is_query);

 private:
  struct Desk {
    std::mutex mutex;
    std::optional<db::Connection> connection;
    std::vector<accounts::AccountFacts> accounts;
    std::shared_ptr<const Census> census;  // by this connection
  };
  std::shared_ptr<const Census> take_census(db::Side side, db::Connection& connection);
  asio::thread_pool& threads(db::Side side) { return threads_[side == db::Side::source ? 0 : 1]; }
  Desk& desk(db::Side side) { return desks_[side == db::Side::source ? 0 : 1]; }
  template <typename Deed>
  auto with(db::Side side, Deed deed);
  template <typename Deed>
  auto ask(db::Side side, Deed deed) -> asio::awaitable<decltype(deed(std::declval<db::Connection&>()))>;

  Context& context_;
  std::array<Desk, 2> desks_;
  const accounts::DelegationKey key_;
  std::array<asio::thread_pool, 2> threads_;  // a side that does not answer keeps nobody from the other one
};

}  // namespace godwit::proxy
