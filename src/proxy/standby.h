// A connection to the other side that is made like a session, step by step: at once when the session is moved, or before that, and then only what has changed
// since is done again. What it is like is read from its server; the session need not stand still while it is made. One thread.
#pragma once

#include <asio/awaitable.hpp>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <vector>

#include "backend.h"
#include "godwit/routing/replay.h"
#include "godwit/routing/text_statements.h"
#include "statements.h"

namespace godwit::proxy {

// What new sessions of an account are like, so that not each of them is asked: what it lacks for one shows when that is read back. Any thread.
class FreshStates {
 public:
  std::optional<routing::SessionState> find(const std::string& key, const routing::ServerFacts* facts) const;
  void put(const std::string& key, std::shared_ptr<const routing::ServerFacts> facts, routing::SessionState state);

 private:
  static constexpr std::size_t kKeptMax = 1000;
  struct Kept {
    std::shared_ptr<const routing::ServerFacts> facts;  // of their time
    routing::SessionState state;
  };
  mutable std::mutex mutex_;
  std::map<std::string, Kept> kept_;
};

// What keeps the session where it is.
struct Immovable : std::runtime_error {
  explicit Immovable(routing::Refusal why) : std::runtime_error(why.reason), refusal(std::move(why)) {}
  routing::Refusal refusal;
};

// What the session is, to be copied. `state` is its last pull.
struct Likeness {
  routing::SessionState state;
  Statements& statements;
  const std::vector<routing::PrepareContext>& contexts;  // of the statements
  std::vector<routing::TextStatement> text_statements;
  std::shared_ptr<const routing::ServerFacts> from;
  routing::ReplayOptions options;
  std::uint16_t status = 0;
  bool has_multi_statements = false;
  bool owns_tracking = false;  // the client has set its trackers itself
};

class Standby {
 public:
  // A connection that has just logged in. `key` names sessions that begin alike.
  Standby(std::shared_ptr<Backend> backend, std::string key, FreshStates& fresh_states, routing::VariablesPool& pool, bool has_multi_statements);

  Backend& backend() { return *backend_; }
  std::shared_ptr<Backend> release() { return std::move(backend_); }
  bool is_alive_at(db::Side side) const { return backend_->side() == side && !backend_->channel().has_ended(); }
  void quit() { backend_->quit(); }

  // Throw Immovable, and what Backend throws. After an exception the connection is to be given up.
  asio::awaitable<void> prepare(const Likeness& like, Deadline deadline);
  // All else, read again and compared. What has not changed since the last time costs nothing.
  asio::awaitable<void> follow(const Likeness& like, Deadline deadline);
  // So that the client can go on with it. `has_changed`: since it was last made to follow.
  asio::awaitable<void> complete(const Likeness& like, bool has_changed, Deadline deadline);
  bool has_texts(const std::vector<routing::TextStatement>& texts) const { return texts_ == texts; }

  std::optional<std::uint32_t> prepared(std::uint32_t client_id) const;
  // A statement's columns are other ones than on the old side.
  bool has_drifted(Statements& statements) const;

 private:
  struct Prepared {
    std::uint32_t id = 0;
    std::uint64_t definitions = 0;
  };
  asio::awaitable<void> begin(Deadline deadline);
  asio::awaitable<void> prepare_group(const Likeness& like, ContextId context, const std::vector<std::uint32_t>& ids, Deadline deadline);
  void close_gone(Statements& statements);
  asio::awaitable<void> prepare_texts(const Likeness& like, Deadline deadline);
  asio::awaitable<void> settle(const Likeness& like, Deadline deadline);
  asio::awaitable<void> run_plan(const routing::Replay& plan, Deadline deadline);
  asio::awaitable<void> run_steps(const std::vector<routing::Step>& steps, Deadline deadline);
  asio::awaitable<void> run_and_read(const std::vector<routing::Step>& steps, const Likeness& like, Deadline deadline);
  // True where some were refused, and done in parts.
  asio::awaitable<bool> settle_refused(const std::vector<routing::Step>& steps, std::span<const routing::Result> results, Deadline deadline);
  asio::awaitable<void> read_back(const routing::PullOptions& options, std::span<const routing::Result> results, Deadline deadline);
  routing::Replay plan_of(const Likeness& like, routing::SessionState& wanted, routing::SessionState& seen);
  asio::awaitable<void> restore_tracking(const Likeness& like, Deadline deadline);
  bool has_alike_variables(const Likeness& like) const;
  bool is_in(const routing::PrepareContext& context, const Likeness& like) const;
  void forget_context();

  std::shared_ptr<Backend> backend_;
  std::string key_;
  FreshStates& fresh_states_;
  routing::VariablesPool& pool_;
  bool has_multi_statements_;
  std::optional<routing::SessionState> seen_;  // what it is like
  bool is_read_ = false;                       // seen_ is what this very session said; else what it should be
  bool has_lost_variables_ = false;            // seen_ lacks some
  bool is_heard_ = false;                      // backend_'s status is of now
  std::unordered_map<std::uint32_t, Prepared> prepared_;  // by the client's number
  std::optional<std::vector<routing::TextStatement>> texts_;
  // The variables of the session, and of this, when they were last found to be alike.
  std::optional<std::pair<routing::Variables, routing::Variables>> alike_;
};

}  // namespace godwit::proxy
