// The servers of both sides, as a switch deals with them: the source; the target, or its shards, and the head over these where there is one. What is done on several
// servers is done on all of them at once, so that clients wait for the slowest of them and not for their number. Private to cutover.
#pragma once

#include <cstddef>
#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "godwit/db/connection.h"
#include "godwit/gtid/position.h"
#include "godwit/state/authority.h"
#include "godwit/workflow/counters.h"
#include "godwit/workflow/copy.h"
#include "godwit/workflow/switching.h"

namespace godwit::cutover {

// Of several, each in a thread of its own; all have ended when it returns. What each failed with, or nothing.
std::vector<std::exception_ptr> try_each(std::size_t count, const std::function<void(std::size_t)>& deed);
// The same; throws the first of these.
void for_each(std::size_t count, const std::function<void(std::size_t)>& deed);

// One thread at a time.
class SideServer {
 public:
  // The authority is read by a session of this server's own, so that several can be dealt with at once; or by that of the server that has it, which may be this one.
  SideServer(db::Endpoint endpoint, std::string workflow, db::Endpoint authority_at) : SideServer(std::move(endpoint), std::move(workflow), std::move(authority_at), nullptr) {}
  SideServer(db::Endpoint endpoint, std::string workflow, SideServer* authority = nullptr) : SideServer(std::move(endpoint), std::move(workflow), std::nullopt, authority) {}

  db::Connection& session();     // opened where there is none
  state::Authority authority();
  void open();
  void forget();                 // the sessions: whichever it was may be gone
  std::string describe() const { return db::describe(endpoint_); }

 private:
  SideServer(db::Endpoint endpoint, std::string workflow, std::optional<db::Endpoint> authority_at, SideServer* authority);

  const db::Endpoint endpoint_;
  const std::string workflow_;
  const std::optional<db::Endpoint> authority_at_;
  SideServer* const authority_;
  std::optional<db::Connection> session_;
  std::optional<db::Connection> authority_session_;
};

// What each shard has for itself, and a target that is one server as if it were the only shard. One thread at a time.
struct ShardStream {
  workflow::Definition definition;  // forward
  workflow::Direction running;
  std::unique_ptr<workflow::StreamSwitch> streams{};
  std::unique_ptr<workflow::Counters> counters{};
  gtid::Position final{};
  std::optional<std::uint64_t> frozen_epoch{};  // of this run's freezing

  workflow::StreamSwitch& get();  // opened where it is not
  std::string object() const;     // for messages: workflow shop, shard -80
};

class Sides {
 public:
  // running: the direction until the commit.
  Sides(const workflow::Definition& definition, workflow::Direction running);

  void open();
  void forget();
  SideServer& first(db::Side side) { return *servers_of(side).front(); }
  // Without the head.
  std::vector<SideServer*> databases(db::Side side);
  SideServer* head() { return head_.get(); }
  std::vector<SideServer*> all(db::Side side);  // the head last: it is opened when all behind it are open
  std::vector<ShardStream>& streams() { return streams_; }
  bool are_shards() const { return are_shards_; }

 private:
  std::vector<std::unique_ptr<SideServer>>& servers_of(db::Side side) { return side == db::Side::source ? source_ : target_; }

  const bool are_shards_;
  std::vector<std::unique_ptr<SideServer>> source_;
  std::vector<std::unique_ptr<SideServer>> target_;
  std::unique_ptr<SideServer> head_;
  std::vector<ShardStream> streams_;
};

}  // namespace godwit::cutover
