#include "proxy_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <utility>

#include "godwit/db/connection.h"
#include "godwit/util/error.h"
#include "godwit/util/log.h"
#include "godwit/util/text.h"

namespace godwit::cutover {
namespace {

constexpr std::chrono::seconds kConnectTimeout{3};
constexpr std::chrono::seconds kAnswerTimeout{60};
constexpr std::chrono::milliseconds kReleaseAgain{50};

db::Endpoint endpoint_of(const std::string& address, const Proxies& proxies) {
  db::Endpoint endpoint{.dsn = db::parse_dsn("mysql://" + address, "--proxy")};
  endpoint.dsn.user = proxies.admin_user;
  endpoint.dsn.password = proxies.admin_password;
  endpoint.connect_timeout = kConnectTimeout;
  endpoint.read_timeout = kAnswerTimeout;
  return endpoint;
}

double number(const db::Rows& rows, std::string_view column) { return std::strtod(rows.text(0, column).c_str(), nullptr); }
double seconds(std::chrono::milliseconds time) { return static_cast<double>(time.count()) / 1000; }

// The admin's errors carry godwit's own code in front.
bool is_of(const Error& error, Code code) { return error.cause().find(info(code).id) != std::string::npos; }

}  // namespace

struct ProxySet::One {
  std::string address;
  std::string instance;
  db::Endpoint endpoint;
  std::optional<db::Connection> connection;
  std::exception_ptr failure;

  // A connection that has been idle may be gone: what is asked may be asked again.
  db::Rows ask(const std::string& sql) {
    for (int attempt = 0;; ++attempt) {
      try {
        if (!connection) connection.emplace(db::Connection::open_bare(endpoint));
        return connection->query(sql);
      } catch (const Error& error) {
        if (error.code() != Code::connection_lost && error.code() != Code::cannot_connect) throw error.in("proxy " + address);
        connection.reset();
        if (attempt > 0) throw Error(Code::proxy_unreachable, {.object = "proxy " + address, .cause = error.cause(), .remedy = "is it running, and are --proxy and --admin-user right?"});
      }
    }
  }
};

ProxySet::ProxySet(const Proxies& proxies) {
  for (const auto& address : proxies.endpoints) {
    proxies_.push_back(std::make_unique<One>());
    proxies_.back()->address = address;
    proxies_.back()->endpoint = endpoint_of(address, proxies);
  }
}

ProxySet::~ProxySet() {
  for (auto& mover : movers_) mover.join();
}

template <typename Deed>
std::vector<std::exception_ptr> ProxySet::each(Deed deed) {
  std::vector<std::exception_ptr> failures(proxies_.size());
  const auto one = [&](std::size_t i) {
    try {
      deed(*proxies_[i], i);
    } catch (...) {
      failures[i] = std::current_exception();
    }
  };
  std::vector<std::thread> threads;
  for (std::size_t i = 1; i < proxies_.size(); ++i) threads.emplace_back(one, i);
  if (!proxies_.empty()) one(0);
  for (auto& thread : threads) thread.join();
  return failures;
}

namespace {

void rethrow_first(const std::vector<std::exception_ptr>& failures) {
  for (const auto& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
}

}  // namespace

void ProxySet::connect() {
  rethrow_first(each([](One& proxy, std::size_t) {
    try {
      proxy.instance = proxy.ask("SHOW ROUTE").text(0, "instance");
    } catch (const Error& error) {
      throw Error(Code::proxy_unreachable, {.object = "proxy " + proxy.address, .cause = error.cause(), .remedy = "is it running, and are --proxy, --admin-user and $GODWIT_ADMIN_PASSWORD right?"});
    }
  }));
}

bool ProxySet::has(const std::string& instance) const {
  return std::any_of(proxies_.begin(), proxies_.end(), [&](const auto& proxy) { return proxy->instance == instance; });
}

void ProxySet::require_side(db::Side serving) {
  rethrow_first(each([&](One& proxy, std::size_t) {
    const db::Rows route = proxy.ask("SHOW ROUTE");
    for (std::size_t i = 0; i < route.size(); ++i) {
      if (route.text(i, "serving") != "yes" || route.text(i, "side") == db::to_string(serving)) continue;
      throw Error(Code::switch_refused, {.object = "proxy " + proxy.address, .cause = fmt::format("it serves the {}, the authority says {}", route.text(i, "side"), db::to_string(serving)), .remedy = "it follows the authority within a second; is it of this workflow?"});
    }
  }));
}

void ProxySet::warm(db::Side side) {
  rethrow_first(each([&](One& proxy, std::size_t) { proxy.ask(fmt::format("WARM TO {}", db::to_string(side))); }));
}

std::vector<std::string> ProxySet::immovable() {
  std::vector<std::string> result;
  for (auto& proxy : proxies_) {
    const db::Rows rows = proxy->ask("SHOW SESSIONS");
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (rows.text(i, "immovable").empty()) continue;
      result.push_back(fmt::format("session {} of {} from {}, proxy {}: {}", rows.text(i, "id"), rows.text(i, "account"), rows.text(i, "client"), proxy->address, rows.text(i, "immovable")));
    }
  }
  return result;
}

std::vector<RefusedSession> ProxySet::refused_now(db::Side side) {
  std::vector<RefusedSession> result;
  for (std::size_t number = 0; number < proxies_.size(); ++number) {
    const db::Rows rows = proxies_[number]->ask("SHOW SESSIONS");
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (rows.text(i, "refused_by") != db::to_string(side)) continue;
      const auto who = fmt::format("session {} of {} from {}, proxy {}", rows.text(i, "id"), rows.text(i, "account"), rows.text(i, "client"), proxies_[number]->address);
      result.push_back({.proxy = number, .id = rows.text(i, "id"), .who = who, .why = rows.text(i, "immovable")});
    }
  }
  return result;
}

// Asked twice: one that was changed while it was warmed is refused once.
std::vector<RefusedSession> ProxySet::refused(db::Side side) {
  const auto before = refused_now(side);
  if (before.empty()) return before;
  warm(side);
  auto again = refused_now(side);
  std::erase_if(again, [&](const RefusedSession& one) {
    return std::none_of(before.begin(), before.end(), [&](const RefusedSession& known) { return known.proxy == one.proxy && known.id == one.id && known.why == one.why; });
  });
  return again;
}

void ProxySet::kill(const RefusedSession& session) {
  try {
    proxies_.at(session.proxy)->ask("KILL " + session.id);
  } catch (const Error& error) {
    if (!is_of(error, Code::bad_usage)) throw;
  }
}

std::vector<std::string> ProxySet::holding() {
  std::vector<std::string> result;
  for (auto& proxy : proxies_) {
    if (proxy->ask("SHOW ROUTE").text(0, "gate") == "closed") result.push_back(proxy->address);
  }
  return result;
}

std::uint64_t ProxySet::sessions() {
  std::uint64_t count = 0;
  for (auto& proxy : proxies_) count += proxy->ask("SHOW SESSIONS").size();
  return count;
}

bool ProxySet::pause(std::uint64_t hold, const PauseTimes& times, OnStraggler on_straggler, std::string& why) {
  const std::string sql = fmt::format("PAUSE HOLD {} WITH LEASE {:.3f} DRAIN {:.3f}{}", hold, seconds(times.lease), seconds(times.drain), on_straggler == OnStraggler::kill ? " KILL" : "");
  const auto failures = each([&](One& proxy, std::size_t) { proxy.ask(sql); });
  bool is_late = false;
  std::exception_ptr other;
  for (const auto& failure : failures) {
    if (!failure) continue;
    try {
      std::rethrow_exception(failure);
    } catch (const Error& error) {
      if (is_of(error, Code::drain_timed_out)) {
        is_late = true;
        why = error.cause();
      } else {
        other = failure;
      }
    }
  }
  if (other) std::rethrow_exception(other);
  return !is_late;
}

bool ProxySet::pause_briefly(const PauseTimes& times) {
  const std::string sql = fmt::format("PAUSE WITH LEASE {:.3f} DRAIN {:.3f}", seconds(times.lease), seconds(times.drain));
  const auto failures = each([&](One& proxy, std::size_t) { proxy.ask(sql); });
  return std::all_of(failures.begin(), failures.end(), [](const auto& failure) { return failure == nullptr; });
}

void ProxySet::resume() {
  const auto failures = each([](One& proxy, std::size_t) { proxy.ask("RESUME"); });
  static_cast<void>(failures);  // it did not hold, or its lease is over
}

void ProxySet::move(db::Side side) {
  for (auto& proxy : proxies_) {
    movers_.emplace_back([side, it = proxy.get()] {
      try {
        it->failure = nullptr;
        it->ask(fmt::format("MOVE TO {}", db::to_string(side)));
      } catch (...) {
        it->failure = std::current_exception();
      }
    });
  }
}

void ProxySet::moved() {
  for (auto& mover : movers_) mover.join();
  movers_.clear();
  for (const auto& proxy : proxies_) {
    if (proxy->failure) std::rethrow_exception(std::exchange(proxy->failure, nullptr));
  }
}

namespace {

// It holds nobody, and sends its clients to that side by a later word of the authority than the hold's.
bool serves_since(const db::Rows& route, db::Side serving, std::uint64_t hold) {
  for (std::size_t i = 0; i < route.size(); ++i) {
    if (route.text(i, "serving") != "yes") continue;
    return route.text(i, "side") == db::to_string(serving) && route.text(i, "gate") == "open" && route.text(i, "switching") == "no" && parse_u64(route.text(i, "epoch")).value_or(0) > hold;
  }
  return false;
}

}  // namespace

ProxyPause ProxySet::release_one(One& proxy, std::uint64_t hold, db::Side serving) {
  try {
    const db::Rows rows = proxy.ask(fmt::format("RESUME HOLD {}", hold));
    return {.endpoint = proxy.address, .sessions = rows.u64(0, "released"), .p50_ms = number(rows, "held_ms_p50"), .p99_ms = number(rows, "held_ms_p99"), .max_ms = number(rows, "held_ms_max")};
  } catch (const Error& error) {
    if (!is_of(error, Code::gate_refused) || !serves_since(proxy.ask("SHOW ROUTE"), serving, hold)) throw;
  }
  return {.endpoint = proxy.address};
}

std::vector<ProxyPause> ProxySet::release(std::uint64_t hold, db::Side serving, std::chrono::milliseconds patience) {
  for (auto& mover : movers_) mover.join();
  movers_.clear();
  std::vector<ProxyPause> pauses(proxies_.size());
  const auto deadline = std::chrono::steady_clock::now() + patience;
  rethrow_first(each([&](One& proxy, std::size_t i) {
    while (true) {
      try {
        pauses[i] = release_one(proxy, hold, serving);
        return;
      } catch (const Error& error) {
        if (std::chrono::steady_clock::now() >= deadline) {
          if (error.code() != Code::proxy_unreachable) throw;
          pauses[i] = {.endpoint = proxy.address, .failure = error.cause()};
          return;
        }
      }
      std::this_thread::sleep_for(kReleaseAgain);
    }
  }));
  return pauses;
}

}  // namespace godwit::cutover
