#include "godwit/fence/reconciler.h"

#include <fmt/format.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "godwit/util/error.h"
#include "godwit/util/log.h"
#include "godwit/util/text.h"
#include "view.h"

namespace godwit::fence {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kConnectPatience{3};
constexpr std::chrono::seconds kAnswerPatience{10};
constexpr std::chrono::milliseconds kPatience{2000};

db::Endpoint impatient(db::Endpoint endpoint) {
  endpoint.connect_timeout = kConnectPatience;
  endpoint.read_timeout = kAnswerPatience;
  return endpoint;
}

}  // namespace

class Reconciler::Follower {
 public:
  Follower(const ReconcilerOptions& options, Place place)
      : options_(options), endpoint_(std::move(place.server)), side_(endpoint_.side), plan_{.workflow = options.workflow, .side = side_, .tables = std::move(place.tables)}, thread_([this] { run(); }) {}

  ~Follower() {
    {
      const std::lock_guard lock(mutex_);
      is_ended_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  void look_now() {
    {
      const std::lock_guard lock(mutex_);
      is_told_ = true;
    }
    changed_.notify_all();
  }

 private:
  void run() {
    do {
      try {
        say(look_once());
      } catch (const Error& error) {
        // Somebody fences, or a switch is at work: the next look will find it done.
        error.code() == Code::lock_contention ? log::debug("{}", error.what()) : say(error.what());
        if (error.code() != Code::lock_contention && error.code() != Code::fence_failed) server_.reset(), target_.reset();
      }
    } while (wait());
  }

  bool wait() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, options_.interval, [this] { return is_ended_ || is_told_; });
    is_told_ = false;
    return !is_ended_;
  }

  // Looks without the lock, and takes it only where there is something to do: what is then done is decided anew, inside it.
  // Gives what stands in the way without being an error; "" for nothing.
  std::string look_once() {
    if (!target_) target_.emplace(db::Connection::open(impatient(options_.target)));
    state::Authority authority(*target_, options_.workflow);
    const auto route = authority.read();
    const auto kind = route ? kind_of(route->fence) : std::nullopt;
    if (!kind) return "";
    plan_.kind = *kind;
    if (!server_) server_.emplace(db::Connection::open(impatient(endpoint_)));
    const View view = look(*server_, plan_);
    const Wanted goal = wanted(route, side_);
    const bool is_lost = goal == Wanted::fenced && view.is_recorded && !view.is_fenced;
    if (!is_as_wanted(view, goal, *kind)) settle(authority, is_lost);
    if (goal == Wanted::fenced && view.is_whole) seen_fenced_ = Clock::now();
    const bool is_foreign = goal == Wanted::open && view.is_fenced && !view.is_recorded;
    return is_foreign ? "the server is read-only, and not by godwit: applications cannot write on the side that serves" : "";
  }

  void settle(state::Authority& authority, bool is_lost) {
    Seen seen;
    try {
      seen = follow(*server_, authority, plan_, kPatience);
    } catch (const Error&) {
      if (is_lost) report(false);
      throw;
    }
    if (!seen.was_changed) return;
    if (is_lost && seen.is_fenced) return report(true);
    log::info("{}: {} (epoch {}, the {} serves)", db::describe(endpoint_), seen.is_fenced ? "fenced: it does not serve" : "open: it serves", seen.route.epoch, db::to_string(seen.route.serving));
    if (seen.is_fenced) seen_fenced_ = Clock::now();
  }

  // Once for each window, and once more when it is closed later.
  void report(bool is_closed) {
    Window window{.side = side_, .server = db::describe(endpoint_), .is_closed = is_closed};
    if (seen_fenced_) window.at_most = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - *seen_fenced_);
    if (is_closed) seen_fenced_ = Clock::now();
    if (!is_closed && is_window_said_) return;
    is_window_said_ = !is_closed;
    log::warning("{} does not serve and took writes{}, since it had lost its fence (a restart?); {}. What was written there meanwhile, other than by godwit, is not carried: "
                 "godwit vdiff {} finds it",
                 db::describe(endpoint_),
                 window.at_most ? fmt::format(" for at most {}", format_duration(*window.at_most)) : "",
                 is_closed ? "it is fenced again" : "it cannot be fenced now",
                 options_.workflow);
    if (options_.on_window) options_.on_window(window);
  }

  void say(const std::string& trouble) {
    if (trouble == said_) return;
    if (trouble.empty()) log::info("the fence of the {} follows the authority again", name());
    if (!trouble.empty()) log::warning("the fence of the {} does not follow the authority: {}", name(), trouble);
    said_ = trouble;
  }

  // As there may be several servers of a side, they are told apart then.
  std::string name() const { return side_ == db::Side::source || options_.others.empty() ? std::string(db::to_string(side_)) : db::describe(endpoint_); }

  const ReconcilerOptions& options_;
  const db::Endpoint endpoint_;
  const db::Side side_;
  Plan plan_;
  std::optional<db::Connection> server_;
  std::optional<db::Connection> target_;
  std::optional<Clock::time_point> seen_fenced_;
  std::string said_;
  bool is_window_said_ = false;

  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_ended_ = false;
  bool is_told_ = false;
  std::thread thread_;  // last: it uses all of the above
};

Reconciler::Reconciler(ReconcilerOptions options) : options_(std::move(options)) {
  const auto follow = [this](Place place) { followers_.push_back(std::make_unique<Follower>(options_, std::move(place))); };
  follow({.server = options_.source, .tables = options_.source_tables});
  follow({.server = options_.target, .tables = options_.target_tables});
  for (const auto& place : options_.others) follow(place);
}

Reconciler::~Reconciler() = default;

void Reconciler::look_now() {
  for (auto& follower : followers_) follower->look_now();
}

}  // namespace godwit::fence
