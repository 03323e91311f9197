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

}  // namespace

AuthorityDesk::AuthorityDesk(const Context& context) : context_(context) {
  fences_[0].side = db::Side::source;
  for (auto& lane : fences_) lane.patience = kFenced;
}

AuthorityDesk::~AuthorityDesk() { threads_.join(); }

db::Endpoint AuthorityDesk::endpoint(db::Side side) const {
  db::Endpoint endpoint{.side = side, .dsn = side == db::Side::source ? context_.options.source : context_.options.target};
  endpoint.dsn.schema.clear();
  return endpoint;
}

void AuthorityDesk::open(Lane& lane) {
  if (lane.connection) return;
  auto at = endpoint(lane.side);
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
  return with(fence_lane(db::Side::source), [this](db::Connection& source) {
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
    for (Lane* lane : {&authority_, &fences_[0], &fences_[1]}) {
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
    const auto stream = sidecar.find({.workflow = context_.options.name});
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
    return fence::ReconcilerOptions{.workflow = context_.options.name,
                                    .source = endpoint(db::Side::source),
                                    .target = endpoint(db::Side::target),
                                    .source_tables = tables_of(db::Side::source),
                                    .target_tables = tables_of(db::Side::target),
                                    .on_window = {}};
  };
  co_return co_await ask(deed);
}

asio::awaitable<fence::Seen> AuthorityDesk::follow(db::Side side) {
  const auto deed = [this, side] {
    const auto route = read_by(fences_authority_);
    if (!route) throw Error(Code::authority_lost, {.object = "workflow " + context_.options.name, .cause = "its row in _godwit.route is gone", .remedy = "RESUME FORCE source|target, where you know that it serves"});
    const auto plan = plan_of(side, route->fence);
    return with(fence_lane(side), [&](db::Connection& server) {
      return with(fences_authority_, [&](db::Connection& target) {
        state::Authority authority(target, context_.options.name);
        return fence::follow(server, authority, plan, kLock);
      });
    });
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
      const auto plan = plan_of(side, fence);
      look.is_fenced = with(fence_lane(side), [&](db::Connection& server) { return fence::is_fenced(server, plan); });
    } catch (const Error&) {
      failure = std::current_exception();
    }
    look.route = route.get();  // whatever the other question met with: the task is on this stack
    if (failure) std::rethrow_exception(failure);
    return look;
  };
  co_return co_await ask(deed);
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
