#include "follower.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <memory>

#include "godwit/apply/assembler.h"
#include "godwit/util/error.h"
#include "godwit/util/failpoint.h"
#include "godwit/util/log.h"
#include "godwit/util/text.h"
#include "feed.h"
#include "plan.h"
#include "prepared.h"
#include "workers.h"

namespace godwit::apply {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kPatience{100};
constexpr milliseconds kParkedPause{50};     // between two looks whether parked rows have a place
constexpr milliseconds kIdlePause{20};       // between two moves of the position alone: a source that is busy elsewhere costs the target no more
constexpr milliseconds kHoldLookPause{50};   // between two looks for a request to stand still
constexpr milliseconds kHoldPause{2};        // while standing still
constexpr std::chrono::seconds kHoldMax{5};  // after that it goes on, said or not

}  // namespace

// One connection's worth of following: from the stored position until the goal, a stop, or a failure. Never used again after either.
class Follower::Run {
 public:
  Run(Follower& owner, db::Endpoint target, const std::optional<gtid::Set>& until)
      : owner_(owner),
        until_(until),
        target_(std::move(target)),
        main_(target_, owner.target_.checkpoint, owner.target_.progress, owner.stop_),
        state_(owner.target_.checkpoint.load(main_.connection())),
        has_unrepeatable_(std::any_of(owner.bindings().begin(), owner.bindings().end(), [](const TableBinding& b) { return (!b.has_key() && !b.is_ignored) || !b.cascades.empty(); })),
        has_shared_(std::any_of(owner.bindings().begin(), owner.bindings().end(), [](const TableBinding& b) { return b.is_shared; })) {}

  ~Run() {
    if (lane_ != nullptr) owner_.feed_.leave(*lane_);
  }

  ApplyEnd follow();
  std::uint64_t applied() const { return applied_; }

 private:
  bool is_reached() const { return until_ && state_.position.contains(*until_); }
  bool is_beyond(const Transaction& transaction) const { return until_ && !until_->contains(transaction.gtid); }
  bool is_beyond_hold(const Transaction& transaction) const { return hold_ && hold_->goal && !hold_->goal->contains(transaction.gtid); }
  bool is_overlap() const { return !state_.position.contains(state_.overlap_end); }

  ApplyEnd follow_lane();
  void look_at_epoch();
  void look_for_hold();
  void bring_in_parked();
  bool does_stand() const;
  void stand_still();
  std::optional<ApplyEnd> apply(std::vector<Transaction>& taken);
  void apply_window(std::vector<Transaction>& window);
  void apply_parallel(const Plan& plan, const gtid::Set& end);
  void apply_part(std::vector<Transaction>& part);
  ApplyEnd apply_statement(const Transaction& transaction);
  void apply_xa(Transaction& transaction);
  void advance(const gtid::Set& position);
  void note(const std::vector<Transaction>& window, std::size_t target_transactions);
  void note_rest();
  gtid::Set with(const std::vector<Transaction>& window) const;
  void move_to(const gtid::Set& position) {
    state_.position = position;
    moved_ = std::chrono::steady_clock::now();
  }
  std::optional<Transaction> rest_beyond(Transaction& run) const;

  Follower& owner_;
  const std::optional<gtid::Set>& until_;
  const db::Endpoint target_;
  Session main_;
  Checkpoint::State state_;  // the applying thread's
  std::shared_ptr<Lane> lane_;
  std::chrono::steady_clock::time_point moved_{};  // the position, the last time
  const bool has_unrepeatable_;  // changes whose repetition would not lead to the same rows
  const bool has_shared_;
  std::chrono::steady_clock::time_point parked_looked_{};
  std::unique_ptr<Workers> workers_;
  std::optional<Checkpoint::Hold> hold_;
  std::uint64_t ignored_hold_ = 0;  // nobody ended it in time
  std::chrono::steady_clock::time_point hold_looked_{};
  std::vector<Transaction> beyond_;  // taken from the inbox, and beyond what the stream is to stand still at
  bool is_open_ = false;  // main_ holds the transaction of a source transaction that comes in parts
  bool is_part_overlap_ = false;
  std::uint64_t applied_ = 0;
  std::chrono::steady_clock::time_point looked_ = std::chrono::steady_clock::now();
};

// --- applying -----------------------------------------------------------------------------------------------------

ApplyEnd Follower::Run::follow() {
  if (is_reached()) return ApplyEnd::reached;
  lane_ = owner_.feed_.join(owner_.number_, state_.position);
  return follow_lane();
}

ApplyEnd Follower::Run::follow_lane() {
  Inbox& inbox = lane_->inbox;
  while (true) {
    if (owner_.stop_.is_requested()) return ApplyEnd::stopped;
    if (owner_.on_window) owner_.on_window();
    bring_in_parked();
    look_for_hold();
    if (does_stand()) {
      stand_still();
      continue;
    }
    auto taken = beyond_.empty() ? inbox.take(owner_.options_.window_transactions_max, kPatience, moved_ + kIdlePause) : std::exchange(beyond_, {});
    owner_.target_.progress.inbox_bytes = inbox.bytes();
    if (taken.empty()) {
      note_rest();
      look_at_epoch();
      continue;
    }
    failpoint(Fp::apply_window_taken);
    if (const auto end = apply(taken)) return *end;
    if (inbox.is_empty() && beyond_.empty()) {
      note_rest();
    } else {
      owner_.target_.progress.is_caught_up = false;
    }
    if (is_reached()) return ApplyEnd::reached;
  }
}

// A source that writes nothing for a while: that another process has taken the stream over is seen here then.
void Follower::Run::look_at_epoch() {
  constexpr std::chrono::seconds kPause{2};
  const auto now = std::chrono::steady_clock::now();
  if (is_open_ || now - looked_ < kPause) return;
  looked_ = now;
  if (!owner_.target_.checkpoint.is_own_epoch(main_.connection().scalar(owner_.target_.checkpoint.guard_statement()))) owner_.target_.checkpoint.throw_fenced();
}

// Before the first window what an earlier run has left is counted, too.
void Follower::Run::bring_in_parked() {
  const auto now = std::chrono::steady_clock::now();
  if (!has_shared_ || is_open_ || now - parked_looked_ < kParkedPause) return;
  const bool is_first = parked_looked_ == std::chrono::steady_clock::time_point{};
  parked_looked_ = now;
  if (is_first || owner_.target_.progress.parked != 0) main_.bring_in_parked(owner_.bindings());
}

void Follower::Run::look_for_hold() {
  const auto now = std::chrono::steady_clock::now();
  if (is_open_ || now - hold_looked_ < kHoldLookPause) return;
  hold_looked_ = now;
  hold_ = owner_.target_.checkpoint.asked_hold(main_.connection());
  if (hold_ && hold_->number == ignored_hold_) hold_.reset();
}

// In the overlap rows may be ahead of the position: the stream stands nowhere then.
bool Follower::Run::does_stand() const { return hold_ && !is_open_ && !is_overlap() && (!hold_->goal || state_.position.contains(*hold_->goal)); }

// Nothing is written from the note on until the request is gone or another one has come. Whoever asked ends it by a statement that finds
// the note as it was made; so one that comes too late learns that the stream has gone on.
void Follower::Run::stand_still() {
  db::Connection& target = main_.connection();
  owner_.target_.checkpoint.note_held(target, *hold_, state_.position);
  failpoint(Fp::stream_held);
  const auto began = std::chrono::steady_clock::now();
  while (owner_.stop_.sleep_for(kHoldPause)) {
    const auto asked = owner_.target_.checkpoint.asked_hold(target);
    if (!asked || asked->number != hold_->number) {
      hold_ = asked;
      return;
    }
    if (std::chrono::steady_clock::now() - began < kHoldMax) continue;
    owner_.target_.checkpoint.give_up_hold(target, *hold_);
    log::warning("the stream was asked to stand still, and nobody ended it within {}: it goes on", format_duration(kHoldMax));
    ignored_hold_ = hold_->number;
    hold_.reset();
    return;
  }
}

// A run of transactions may lead past where the stream is to end or to stand still: what lies beyond is taken off it.
std::optional<Transaction> Follower::Run::rest_beyond(Transaction& run) const {
  if (!run.later || is_beyond(run) || is_beyond_hold(run)) return std::nullopt;
  const gtid::Set* goal = until_ ? &*until_ : nullptr;
  if (hold_ && hold_->goal) goal = &*hold_->goal;
  if (goal == nullptr || goal->contains(run.later->set)) return std::nullopt;
  Transaction rest = run;
  rest.gtid = run.later->last;  // all of the run are added again: the first of them change nothing
  run.later->set.intersect(*goal);
  run.later->count = 0;
  return rest;
}

// Cuts what was taken where the manner of applying changes: at statements and XA, at parts, at the end of the overlap, at the goal.
std::optional<ApplyEnd> Follower::Run::apply(std::vector<Transaction>& taken) {
  std::vector<Transaction> window;
  gtid::Set end = state_.position;
  const bool began_in_overlap = is_overlap();
  const auto flush = [&] {
    if (!window.empty()) apply_window(window);
    window.clear();
  };
  for (std::size_t i = 0; i < taken.size(); ++i) {
    if (auto rest = rest_beyond(taken[i])) taken.insert(taken.begin() + static_cast<std::ptrdiff_t>(i) + 1, std::move(*rest));
    Transaction& transaction = taken[i];
    if (!is_open_ && is_beyond_hold(transaction)) {
      flush();
      std::move(taken.begin() + static_cast<std::ptrdiff_t>(i), taken.end(), std::back_inserter(beyond_));
      return std::nullopt;
    }
    if (is_beyond(transaction)) {
      // Of what follows nothing belongs before the goal: the source's order is the order of the set.
      flush();
      return ApplyEnd::reached;
    }
    if (transaction.kind == TransactionKind::rows && !is_open_) {
      transaction.add_to(end);
      window.push_back(std::move(transaction));
      const bool leaves_overlap = began_in_overlap && is_overlap() && end.contains(state_.overlap_end);
      if (leaves_overlap) flush();
      continue;
    }
    flush();
    std::vector<Transaction> single;
    switch (transaction.kind) {
      case TransactionKind::rows:
      case TransactionKind::part:
        single.push_back(std::move(transaction));
        apply_part(single);
        break;
      case TransactionKind::statement:
        if (apply_statement(transaction) == ApplyEnd::definitions_changed) return ApplyEnd::definitions_changed;
        break;
      case TransactionKind::xa_prepared:
      case TransactionKind::xa_commit:
      case TransactionKind::xa_rollback:
        apply_xa(transaction);
        break;
    }
    end = state_.position;
  }
  flush();
  return std::nullopt;
}

gtid::Set Follower::Run::with(const std::vector<Transaction>& window) const {
  gtid::Set end = state_.position;
  for (const auto& transaction : window) transaction.add_to(end);
  return end;
}

void Follower::Run::apply_window(std::vector<Transaction>& window) {
  const gtid::Set end = with(window);
  const PlanOptions options{.workers = owner_.options_.workers, .squash = owner_.options_.squash, .is_overlap = is_overlap()};
  const Plan plan = make_plan(window, options);
  if (plan.is_single) {
    main_.apply(plan.jobs.empty() ? Job{} : plan.jobs[0], owner_.target_.checkpoint.advance_statement(end));
    failpoint(Fp::apply_position_moved);
    move_to(end);
  } else {
    apply_parallel(plan, end);
    advance(end);
  }
  note(window, plan.is_single ? 1 : plan.jobs.size());
}

// The window's end before its first job: whoever finds the position short of it knows that more may be there (I2).
void Follower::Run::apply_parallel(const Plan& plan, const gtid::Set& end) {
  gtid::Set overlap_end = state_.overlap_end;
  overlap_end.add(end);
  main_.apply(Job{}, owner_.target_.checkpoint.overlap_statement(overlap_end));
  state_.overlap_end = overlap_end;
  failpoint(Fp::apply_end_recorded);
  if (!workers_) workers_ = std::make_unique<Workers>(target_, owner_.target_.checkpoint, owner_.target_.progress, owner_.options_.workers, owner_.stop_);
  workers_->run(plan.jobs);
  failpoint(Fp::apply_jobs_done);
}

void Follower::Run::advance(const gtid::Set& position) {
  main_.apply(Job{}, owner_.target_.checkpoint.advance_statement(position));
  failpoint(Fp::apply_position_moved);
  move_to(position);
}

// A transaction that is too large to be held: its parts are windows whose common end is recorded first. Where rows without a key
// or unlogged cascades are about, it could not be repeated: then it stays one transaction on the target too.
void Follower::Run::apply_part(std::vector<Transaction>& part) {
  const bool is_last = part[0].kind == TransactionKind::rows;
  const gtid::Set end = with(part);
  if (has_unrepeatable_) {
    if (!is_open_) main_.begin();
    is_open_ = true;
    main_.apply_part(ordered_job(part, is_overlap()));
    if (is_last) {
      main_.finish(owner_.target_.checkpoint.advance_statement(end));
      move_to(end);
    }
  } else {
    // Recording its end makes the rest of it overlap for whoever begins anew; this process knows what it has done, and stays strict.
    if (!is_open_) is_part_overlap_ = is_overlap();
    is_open_ = true;
    const PlanOptions options{.workers = owner_.options_.workers, .squash = owner_.options_.squash, .is_overlap = is_part_overlap_};
    apply_parallel(make_plan(part, options), end);
    if (is_last) advance(end);
  }
  if (is_last) {
    is_open_ = false;
    note(part, 1);
  } else {
    owner_.target_.progress.rows += part[0].changes.size();
  }
}

ApplyEnd Follower::Run::apply_statement(const Transaction& transaction) {
  const gtid::Set end = with({transaction});
  const std::string name = gtid::to_string(transaction.gtid);
  const bool is_code = classify(transaction.statement.sql) == StatementKind::code_definition;
  const bool is_skipped = owner_.options_.skipped_gtids.count(name) != 0;
  if (is_code || is_skipped || owner_.options_.on_ddl == OnDdl::ignore) {
    log::warning("{} is not applied to the target: {}", name, transaction.statement.sql);
    advance(end);
    return ApplyEnd::reached;
  }
  const bool can_be_run = keeps_tables(transaction.statement.sql);
  if (owner_.options_.on_ddl == OnDdl::stop || !can_be_run) {
    const std::string& schema = transaction.statement.schema;
    const std::string by_hand = fmt::format("apply what fits to the target by hand, then run the same command with --skip-gtid {}", name);
    throw Error(Code::ddl_met,
                {.object = name,
                 .cause = fmt::format("the source ran{}: {}", schema.empty() ? "" : fmt::format(", in schema {}", schema), transaction.statement.sql),
                 .remedy = can_be_run ? by_hand + "; or with --on-ddl exec, which runs it there"
                                      : by_hand + ", or with --on-ddl ignore: rows of a table that is new here, or that an online schema change puts in another's place, are not "
                                                  "followed. To have them: godwit cancel, and copy again"});
  }
  // All targets read the definitions again, together: one reader hands out what is bound by them.
  const auto& is_there = transaction.statement.is_there;
  if (!is_there.empty() && !is_there[owner_.number_]) {
    log::info("{} is of a table that is not on this target: {}", name, transaction.statement.sql);
    advance(end);
    return ApplyEnd::definitions_changed;
  }
  // DDL commits by itself: recorded first, a run that was killed in between meets it as overlap, where having been done is no error.
  const bool may_be_done = is_overlap();
  gtid::Set overlap_end = state_.overlap_end;
  overlap_end.add(end);
  main_.apply(Job{}, owner_.target_.checkpoint.overlap_statement(overlap_end));
  state_.overlap_end = overlap_end;
  // It may take hours: so it has a session that waits for as long as the server is there.
  db::Connection session = db::Connection::open(owner_.target_.endpoint);
  try {
    if (!transaction.statement.schema.empty()) session.execute("USE `" + transaction.statement.schema + "`");
    log::info("{} runs on the target: {}", name, transaction.statement.sql);
    session.execute(transaction.statement.sql);
  } catch (const Error& error) {
    const unsigned number = session.last_errno();
    constexpr unsigned kDoneAlready[] = {1007, 1008, 1050, 1051, 1060, 1061, 1091, 1146};
    const bool is_done = may_be_done && std::find(std::begin(kDoneAlready), std::end(kDoneAlready), number) != std::end(kDoneAlready);
    if (!is_done) throw;
    log::info("it was done already: {}", error.cause());
  }
  failpoint(Fp::apply_statement_run);
  advance(end);
  return ApplyEnd::definitions_changed;
}

// The rows of a prepared transaction wait on the target, stored with the position; the outcome applies or drops them.
void Follower::Run::apply_xa(Transaction& transaction) {
  const gtid::Set end = with({transaction});
  db::Connection& connection = main_.connection();
  const std::string advance_statement = owner_.target_.checkpoint.advance_statement(end);
  if (transaction.kind == TransactionKind::xa_prepared) {
    connection.execute("START TRANSACTION");
    connection.execute(owner_.target_.checkpoint.store_prepared_statement(transaction.xid, serialize(transaction.changes)));
    failpoint(Fp::apply_xa_stored);
    main_.finish(advance_statement);
  } else {
    const db::Rows stored = connection.query(owner_.target_.checkpoint.select_prepared_statement(transaction.xid));
    const bool is_commit = transaction.kind == TransactionKind::xa_commit;
    const bool is_nothing_copied = std::all_of(owner_.bindings().begin(), owner_.bindings().end(), [](const TableBinding& b) { return b.is_ignored; });
    if (stored.empty() && (!is_commit || is_nothing_copied)) {
      // Prepared before the stream began. Rolled back, its rows are nowhere; committed before the first snapshot, they are in it.
      advance(end);
      ++applied_;
      ++owner_.target_.progress.transactions;
      return;
    }
    if (stored.empty()) {
      throw Error(Code::xa_unknown,
                  {.object = transaction.xid,
                   .cause = fmt::format("{} decides an XA transaction that was prepared before the stream began", gtid::to_string(transaction.gtid)),
                   .remedy = "its rows are in no snapshot and in no event from here on: godwit cancel, and copy again"});
    }
    connection.execute("START TRANSACTION");
    if (is_commit) {
      std::vector<Transaction> window(1);
      window[0].changes = deserialize(stored.scalar(), owner_.bindings());
      drop_ignored(window[0].changes);
      main_.apply_part(ordered_job(window, is_overlap()));
    }
    connection.execute(owner_.target_.checkpoint.erase_prepared_statement(transaction.xid));
    main_.finish(advance_statement);
  }
  move_to(end);
  ++applied_;
  ++owner_.target_.progress.transactions;
}

// All that has come is applied.
void Follower::Run::note_rest() {
  if (!lane_->is_current) return;
  owner_.target_.progress.caught_up_us = now_us();
  owner_.target_.progress.is_caught_up = true;
}

void Follower::Run::note(const std::vector<Transaction>& window, std::size_t target_transactions) {
  ApplyProgress& progress = owner_.target_.progress;
  std::size_t rows = 0;
  std::size_t count = 0;
  std::uint64_t committed_us = 0;
  for (const auto& transaction : window) {
    rows += transaction.changes.size();
    count += transaction.count();
    committed_us = std::max(committed_us, transaction.committed_us);
    if (transaction.heartbeat_us == 0) continue;
    progress.heartbeat_us = transaction.heartbeat_us;
    progress.heartbeat_seen_us = now_us();
  }
  applied_ += window.size();
  progress.transactions += count;
  progress.rows += rows;
  progress.target_transactions += target_transactions;
  if (committed_us != 0) progress.applied_source_us = committed_us;
}

// --- the one place where what passes by itself is tried again ---------------------------------------------------------

Follower::Follower(Feed& feed, std::size_t number, const Target& target, const ApplyOptions& options, const Stop& stop)
    : feed_(feed), number_(number), target_(target), options_(options), stop_(stop) {}

namespace {

// Each failure in a row gives the target more time: one statement that takes longer than the deadline is not begun again for ever.
db::Endpoint with_deadline(db::Endpoint target, std::chrono::seconds deadline, unsigned failures) {
  constexpr std::chrono::seconds kLongest{3600};
  target.read_timeout = std::min(deadline * (1U << std::min(failures, 10U)), std::max(kLongest, deadline));
  return target;
}

}  // namespace

ApplyEnd Follower::run(const std::optional<gtid::Set>& until) {
  struct Finish {
    Feed& feed;
    std::size_t number;
    ~Finish() { feed.finish(number); }
  } finish{feed_, number_};
  for (unsigned failures = 0;;) {
    std::uint64_t applied = 0;
    try {
      Run run(*this, with_deadline(target_.endpoint, options_.deadline, failures), until);
      struct Count {
        const Run& run;
        std::uint64_t& applied;
        ~Count() { applied = run.applied(); }
      } count{run, applied};
      return run.follow();
    } catch (const Error& error) {
      target_.progress.is_caught_up = false;
      if (stop_.is_requested()) return ApplyEnd::stopped;
      const bool is_passing = error.is_retryable() || error.code() == Code::interrupted;
      if (!is_passing && target_.shard.empty()) throw;
      if (!is_passing) throw error.in("shard " + target_.shard);
      if (applied != 0) failures = 0;
      ++failures;
      ++target_.progress.retries;
      if (options_.attempts_max != 0 && failures >= options_.attempts_max) {
        throw Error(Code::retries_used_up,
                    {.object = error.object(),
                     .cause = fmt::format("{} attempts failed, the last with {}", failures, error.what()),
                     .remedy = "mend the cause, then run the same command again: it goes on where it stopped"});
      }
      const auto pause = std::min(milliseconds(100) * (1U << std::min(failures - 1, 10U)), options_.backoff_max);
      log::warning("the stream{} begins again at its stored position in {} (failure {}): {}", label(), format_duration(pause), failures, error.what());
      if (!stop_.sleep_for(pause)) return ApplyEnd::stopped;
    }
  }
}

std::string Follower::label() const { return target_.shard.empty() ? "" : " of shard " + target_.shard; }

}  // namespace godwit::apply
