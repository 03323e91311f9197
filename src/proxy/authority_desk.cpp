#include "authority_desk.h"

#include <fmt/format.h>

#include <asio/co_spawn.hpp>
#include <asio/post.hpp>
#include <asio/use_awaitable.hpp>
#include <future>

#include "context.h"
#include "godwit/sql/quote.h"
#include "godwit/state/sidecar.h"
#include "godwit/util/error.h"

namespace godwit::proxy {
namespace {

constexpr std::chrono::seconds kConnect{2};
constexpr std::chrono::seconds kAnswer{2};
constexpr std::chrono::seconds kFenced{10};  // a server's answer to what changes its fence: it waits for statements under way
constexpr std::chrono::milliseconds kLock{1000};
constexpr unsigned kNoSuchDatabase = 1049;
constexpr unsigned kNoSuchTable = 1146;

constexpr std::size_t kThreads = 4;

db::Endpoint endpoint(db::Side side, db::Dsn dsn) {
  dsn.schema.clear();
  return {.side = side, .dsn = std::move(dsn)};
}

db::Endpoint authority_of(const ProxyOptions& options) { return endpoint(db::Side::target, options.shards.servers.empty() ? options.target : options.shards.servers.front()); }

// The shards before what is over them.
std::vector<db::Endpoint> servers_of(const ProxyOptions& options, db::Side side) {
  if (side == db::Side::source) return {endpoint(side, options.source)};
  std::vector<db::Endpoint> servers;
  for (const auto& shard : options.shards.servers) servers.push_back(endpoint(side, shard));
  if (servers.empty() || options.shards.has_fenced_head) servers.push_back(endpoint(side, options.target));
  return servers;
}

}  // namespace

Error row_is_gone(const std::string& workflow) {
  return Error(Code::authority_lost, {.object = "workflow " + workflow, .cause = "it has no row in _godwit.route on the target", .remedy = "RESUME FORCE source|target, where you know that it serves"});
}

// Each look asks every server of a side at once.
AuthorityDesk::AuthorityDesk(const Context& context) : context_(context), threads_(kThreads + context.options.shards.servers.size()) {
  for (Lane* lane : {&authority_, &fences_authority_, &registry_}) lane->at = authority_of(context_.options);
  for (const auto side : {db::Side::source, db::Side::target}) {
    for (const auto& at : servers_of(context_.options, side)) {
      auto& lane = fence_lanes(side).emplace_back(std::make_unique<Lane>());
      lane->at = at;
      lane->patience = kFenced;
    }
  }
}

AuthorityDesk::~AuthorityDesk() { threads_.join(); }

std::string AuthorityDesk::authority_name() const { return db::describe(authority_.at); }

void AuthorityDesk::open(Lane& lane) {
  if (lane.connection) return;
  auto at = lane.at;
  at.connect_timeout = kConnect;
  at.read_timeout = lane.patience;
  lane.connection = db::Connection::open(at);
}

template <typename Deed>
auto AuthorityDesk::with(Lane& lane, Deed deed) {
  const std::lock_guard lock(lane.mutex);
  const bool is_new = !lane.connection;
  open(lane);
  try {
    return deed(*lane.connection);
  } catch (const Error& error) {
    lane.connection.reset();
    // One that has lain idle may have been ended by its server; one that was opened for the question was not.
    if (is_new || error.code() != Code::connection_lost) throw;
  }
  open(lane);
  try {
    return deed(*lane.connection);
  } catch (const Error&) {
    lane.connection.reset();
    throw;
  }
}

template <typename Deed>
auto AuthorityDesk::ask(Deed deed) -> asio::awaitable<decltype(deed())> {
  auto asking = [&deed]() -> asio::awaitable<decltype(deed())> { co_return deed(); };
  co_return co_await asio::co_spawn(threads_.get_executor(), asking, asio::use_awaitable);
}

std::optional<state::Route> AuthorityDesk::read_by(Lane& lane) {
  return with(lane, [this](db::Connection& target) { return state::Authority(target, context_.options.name).read(); });
}

std::optional<state::Route> AuthorityDesk::read_now() { return read_by(authority_); }

// Before the first switch begins, the sidecar is on the source, with its fence and the stream that will lead back there.
bool AuthorityDesk::knows_source_of_switches() {
  return with(*fence_lanes(db::Side::source).front(), [this](db::Connection& source) {
    for (const char* table : {"fence", "stream"}) {
      try {
        const auto rows = source.query(fmt::format("SELECT 1 FROM {}.{} WHERE workflow = {} LIMIT 1", state::kSidecarSchema, table, sql::quote_string(context_.options.name)));
        if (!rows.empty()) return true;
      } catch (const Error&) {
        if (source.last_errno() != kNoSuchTable && source.last_errno() != kNoSuchDatabase) throw;
      }
    }
    return false;
  });
}

asio::awaitable<void> AuthorityDesk::warm() {
  const auto open_all = [this] {
    std::vector<Lane*> lanes{&authority_};
    for (const auto& side : fences_) {
      for (const auto& lane : side) lanes.push_back(lane.get());
    }
    for (Lane* lane : lanes) {
      try {
        with(*lane, [](db::Connection& connection) { return connection.ping(); });
      } catch (const Error&) {  // who needs it will say so
      }
    }
    return 0;
  };
  co_await ask(open_all);
}

asio::awaitable<std::optional<state::Route>> AuthorityDesk::read() {
  const auto question = [this] { return read_by(authority_); };
  co_return co_await ask(question);
}

asio::awaitable<bool> AuthorityDesk::abort(std::uint64_t hold) {
  const auto deed = [this, hold] {
    return with(authority_, [this, hold](db::Connection& target) { return state::Authority(target, context_.options.name).abort(hold); });
  };
  co_return co_await ask(deed);
}

// Those of the stream: they do not change any more when it is to be switched.
std::vector<fence::Table> AuthorityDesk::tables_of(db::Side side) {
  return with(fences_authority_, [&](db::Connection& target) {
    std::vector<fence::Table> tables;
    state::Sidecar sidecar(target);
    const auto stream = sidecar.find({.workflow = context_.options.name, .shard = context_.options.shards.first});
    if (!stream) return tables;
    for (const auto& table : sidecar.tables(stream->id)) {
      if (side == db::Side::source) tables.push_back({table.source_schema, table.source_table});
      if (side == db::Side::target) tables.push_back({table.target_schema, table.target_table});
    }
    return tables;
  });
}

fence::Plan AuthorityDesk::plan_of(db::Side side, const std::string& fence) {
  const auto kind = fence::kind_of(fence).value_or(fence::Kind::none);
  const std::lock_guard lock(plans_mutex_);
  auto& known = plans_[side == db::Side::source ? 0 : 1];
  if (known && known->kind == kind) return *known;
  fence::Plan plan{.workflow = context_.options.name, .side = side, .kind = kind, .tables = {}};
  if (kind == fence::Kind::triggers) plan.tables = tables_of(side);
  known = plan;
  return plan;
}

asio::awaitable<fence::ReconcilerOptions> AuthorityDesk::reconciler_options() {
  const auto deed = [this] {
    fence::ReconcilerOptions options;
    options.workflow = context_.options.name;
    options.source = endpoint(db::Side::source, context_.options.source);
    options.target = authority_of(context_.options);
    options.source_tables = tables_of(db::Side::source);
    options.target_tables = tables_of(db::Side::target);
    const auto servers = servers_of(context_.options, db::Side::target);
    for (std::size_t i = 1; i < servers.size(); ++i) options.others.push_back({.server = servers[i], .tables = options.target_tables});
    return options;
  };
  co_return co_await ask(deed);
}

fence::Seen AuthorityDesk::follow_one(Lane& lane, const fence::Plan& plan) {
  return with(lane, [&](db::Connection& server) {
    return with(fences_authority_, [&](db::Connection& target) {
      state::Authority authority(target, context_.options.name);
      return fence::follow(server, authority, plan, kLock);
    });
  });
}

// What it says of the authority is what was read first: where a switch has begun while the others were looked at, whoever asked finds another epoch when he reads it once more.
asio::awaitable<fence::Seen> AuthorityDesk::follow(db::Side side) {
  const auto deed = [this, side] {
    const auto route = read_by(fences_authority_);
    if (!route) throw row_is_gone(context_.options.name);
    const auto plan = plan_of(side, route->fence);
    std::optional<fence::Seen> seen;
    for (const auto& lane : fence_lanes(side)) {
      const auto one = follow_one(*lane, plan);
      if (!seen) seen = one;
      seen->is_fenced = seen->is_fenced || one.is_fenced;
      seen->was_changed = seen->was_changed || one.was_changed;
    }
    return *seen;
  };
  co_return co_await ask(deed);
}

asio::awaitable<AuthorityDesk::Look> AuthorityDesk::look(db::Side side, std::string fence) {
  const auto deed = [this, side, &fence] {
    std::packaged_task<std::optional<state::Route>()> reading([this] { return read_by(authority_); });
    auto route = reading.get_future();
    asio::post(threads_, [&reading] { reading(); });
    Look look;
    std::exception_ptr failure;
    try {
      look.is_fenced = is_any_fenced(side, plan_of(side, fence));
    } catch (const Error&) {
      failure = std::current_exception();
    }
    look.route = route.get();  // whatever the other question met with: the task is on this stack
    if (failure) std::rethrow_exception(failure);
    return look;
  };
  co_return co_await ask(deed);
}

bool AuthorityDesk::is_any_fenced(db::Side side, const fence::Plan& plan) {
  const auto is_fenced = [&](Lane& lane) { return with(lane, [&](db::Connection& server) { return fence::is_fenced(server, plan); }); };
  auto& lanes = fence_lanes(side);
  std::vector<std::packaged_task<bool()>> tasks;
  for (std::size_t i = 1; i < lanes.size(); ++i) tasks.emplace_back([&, i] { return is_fenced(*lanes[i]); });
  for (auto& task : tasks) asio::post(threads_, [&task] { task(); });
  std::exception_ptr failure;
  bool result = false;
  try {
    result = is_fenced(*lanes.front());
  } catch (...) {
    failure = std::current_exception();
  }
  for (auto& task : tasks) {  // all of them: they are on this stack
    try {
      result = task.get_future().get() || result;
    } catch (...) {
      failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
  return result;
}

asio::awaitable<bool> AuthorityDesk::note(state::ProxyRow proxy) {
  const auto deed = [this, &proxy] {
    return with(registry_, [&](db::Connection& target) { return state::ProxyRegistry(target, context_.options.name).note(proxy); });
  };
  co_return co_await ask(deed);
}

void AuthorityDesk::forget(const std::string& instance) {
  with(registry_, [&](db::Connection& target) {
    state::ProxyRegistry(target, context_.options.name).remove(instance);
    return 0;
  });
}

}  // namespace godwit::proxy
