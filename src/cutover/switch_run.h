// One run of a switch: what it knows, its steps, and how they are walked. The coordinator holds a named lock on the server of the authority for as long as it lives, so that
// there is one at a time, and whoever finds a switch under way and the lock free knows that nobody is at it. One thread. Private to cutover.
#pragma once

#include <chrono>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "godwit/cutover/cutover.h"
#include "godwit/cutover/steps.h"
#include "godwit/fence/fence.h"
#include "godwit/gtid/set.h"
#include "godwit/state/coordinator_lock.h"
#include "godwit/state/authority.h"
#include "godwit/util/error.h"
#include "godwit/workflow/counters.h"
#include "godwit/workflow/direction.h"
#include "godwit/workflow/live_objects.h"
#include "godwit/workflow/switching.h"
#include "hooks.h"
#include "prove.h"
#include "proxy_set.h"
#include "sides.h"

namespace godwit::cutover {

using Clock = std::chrono::steady_clock;
constexpr std::uint64_t kCounterMargin = 10'000;  // so that few counters lack anything once clients are held: raising them takes a lock of the table

class SwitchRun {
 public:
  SwitchRun(const workflow::Definition& definition, const SwitchOptions& options, state::StateFile& state, const Stop& stop);
  SwitchReport run();

 private:
  // switch_run.cpp
  void connect();
  void walk();
  void perform(const StepInfo& step);
  void attempt(const StepInfo& step);
  void journal(const std::function<void()>& deed);
  void note_done();
  void hook(const char* when, const StepInfo& step);
  void require_time() const;
  std::chrono::milliseconds time_left() const;
  SwitchReport plan();
  std::uint64_t raise_counters(std::uint64_t margin);
  void require_counters(const workflow::RaisedCounters& counters) const;
  std::string coordinator_name() const;
  db::Connection& server(db::Side side) { return sides_.first(side).session(); }
  state::Authority authority() { return state::Authority(server(db::Side::target), definition_.name); }
  fence::Plan fence_plan(db::Side side);  // of each of its servers
  void follow_fences(db::Side side, std::chrono::milliseconds patience);
  std::vector<ShardStream>& streams() { return sides_.streams(); }
  void for_each_stream(const std::function<void(ShardStream&)>& deed);

  // switch_undo.cpp
  struct Undoing;  // one step, on one of the servers
  void undo(const std::exception_ptr& reason);
  void take_back(const std::string& detail);
  std::vector<Undoing> what_to_undo();
  void undo_one(const Undoing& what, const fence::Plan& plan);
  std::exception_ptr undo_round(std::vector<Undoing>& left);
  std::exception_ptr try_undo(std::vector<Undoing>& left);
  bool has_begun(StepId id) const;
  void find_lost_hold();
  void await_what_runs_beside();
  void let_go(std::uint64_t hold);
  void let_go_once();

  // switch_recover.cpp: what an earlier run has left
  void recover();
  void settle_unfinished(std::uint64_t hold);
  void settle_proxies();
  // The same of a dry run: what would be undone, or completed, first. Changes nothing.
  void note_unfinished();
  void note_uncompleted();

  // switch_checks.cpp
  std::string check();
  void check_stream();
  void check_no_vdiff_runs();
  void check_vdiff();
  void check_fence();
  std::string fitting_fence();
  void check_prepared_xa();
  void check_prepared_xa(db::Connection& serving);
  void check_proxies();
  void check_unnamed_proxies();
  void check_refused_sessions();  // `abort` refuses because of them
  void end_refused_sessions();    // `kill` ends them
  void check_return_stream();
  void check_return_stream(db::Connection& next);
  void check_stream(ShardStream& stream);
  void check_objects();
  void check_head_tables();
  void check_schema_names();
  void check_definers();
  std::chrono::milliseconds expected_pause();
  std::vector<std::string> objects_to_change();
  bool await_stream(bool is_back, std::chrono::milliseconds time_max);

  // switch_steps.cpp; each gives what is to be said of it
  std::string run_step(StepId id);
  std::string prepare();
  void prepare_fences();
  void prepare_sidecars();
  bool are_fences_prepared(const fence::Plan& plan);
  bool prepare_while_held(const fence::Plan& plan);
  void warm_proxies();
  std::string begin();
  std::string gate();
  std::string close_fence();
  std::string final_position();
  std::string catch_up();
  std::string freeze();
  static void unfreeze(ShardStream& stream);
  std::string prove();
  std::string objects();
  void renew_head();
  std::string return_position();
  void require_all_there();
  std::string commit();
  bool learn_outcome();
  [[noreturn]] void throw_overtaken(const std::optional<state::Route>& route);
  std::string unfence();
  std::string release();
  std::string settle_old_side();

  // switch_verify.cpp: what a step has done, looked at once more
  void verify_step(StepId id);
  void require_fenced(db::Side side);
  void require_frozen();
  void require_return();
  void note_fence(db::Side side, bool must_be_fenced);

  const workflow::Definition& definition_;
  const SwitchOptions& options_;
  state::StateFile& state_;
  const Stop& stop_;
  const Hooks hooks_;
  const db::Side to_;
  const db::Side from_;
  const workflow::Direction direction_;  // of the stream that runs until the commit
  const std::string command_;            // "switch", "reverse"

  std::unique_ptr<state::CoordinatorLock> lock_;
  Sides sides_;
  ProxySet proxies_;
  state::Route route_;
  std::uint64_t hold_ = 0;
  std::vector<gtid::Position> returns_;  // where the streams back begin
  std::string fence_wish_;  // what the migration is fenced by, once it is
  std::unique_ptr<NewestRows> newest_rows_;
  std::unique_ptr<workflow::BringBack> bring_back_;
  // Beside the steps, by sessions of their own: from the fence, and from `prove`, until `objects`.
  std::future<std::uint64_t> raised_;
  std::future<std::string> proved_;
  bool is_committed_ = false;
  bool is_undoing_ = false;
  bool has_let_go_ = false;  // the proxies know of the undo
  bool is_ended_by_others_ = false;  // the hold was over when it was to be undone
  bool outcome_is_unknown_ = false;  // of the commit: then nothing is undone
  std::optional<Clock::time_point> closed_at_;  // the gate
  std::vector<StepId> begun_;
  SwitchReport report_;
};

}  // namespace godwit::cutover
