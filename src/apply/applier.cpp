#include "godwit/apply/applier.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <mutex>
#include <thread>

#include "godwit/apply/assembler.h"
#include "godwit/binlog/stream.h"
#include "godwit/util/error.h"
#include "godwit/util/failpoint.h"
#include "godwit/util/log.h"
#include "godwit/util/text.h"
#include "inbox.h"
#include "plan.h"
#include "prepared.h"
#include "workers.h"

namespace godwit::apply {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kPatience{100};
constexpr milliseconds kHoldLookPause{50};   // between two looks for a request to stand still
constexpr milliseconds kHoldPause{2};        // while standing still
constexpr std::chrono::seconds kHoldMax{5};  // after that it goes on, said or not

}  // namespace

std::uint64_t now_us() {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch()).count());
}

// One connection's worth of following: from the stored position until the goal, a stop, or a failure. Never used again after either.
class Applier::Run {
 public:
  Run(Applier& owner, db::Endpoint target, const std::optional<gtid::Set>& until)
      : owner_(owner),
        until_(until),
        target_(std::move(target)),
        main_(target_, owner.checkpoint_, owner.stop_),
        state_(owner.checkpoint_.load(main_.connection())),
        begin_(state_.position),
        inbox_(owner.options_.window_bytes_max),
        has_unrepeatable_(std::any_of(owner.bindings_.begin(), owner.bindings_.end(), [](const TableBinding& b) { return (!b.has_key() && !b.is_ignored) || !b.cascades.empty(); })) {}

  ~Run() {
    inbox_.close();
    is_ending_ = true;
    {
      std::lock_guard lock(stream_mutex_);
      if (stream_ != nullptr) stream_->interrupt();
    }
    if (reader_.joinable()) reader_.join();
  }

  ApplyEnd follow();
  std::uint64_t applied() const { return applied_; }

 private:
  bool is_reached() const { return until_ && state_.position.contains(*until_); }
  bool is_beyond(const Transaction& transaction) const { return until_ && !until_->contains(transaction.gtid); }
  bool is_beyond_hold(const Transaction& transaction) const { return hold_ && hold_->goal && !hold_->goal->contains(transaction.gtid); }
  bool is_overlap() const { return !state_.position.contains(state_.overlap_end); }

  void read();
  void look_at_epoch();
  void look_for_hold();
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

  Applier& owner_;
  const std::optional<gtid::Set>& until_;
  const db::Endpoint target_;
  Session main_;
  Checkpoint::State state_;  // the applying thread's
  const gtid::Set begin_;    // the reader's: where it began
  Inbox inbox_;
  const bool has_unrepeatable_;  // changes whose repetition would not lead to the same rows
  std::unique_ptr<Workers> workers_;
  std::optional<Checkpoint::Hold> hold_;
  std::uint64_t ignored_hold_ = 0;  // nobody ended it in time
  std::chrono::steady_clock::time_point hold_looked_{};
  std::vector<Transaction> beyond_;  // taken from the inbox, and beyond what the stream is to stand still at
  bool is_open_ = false;  // main_ holds the transaction of a source transaction that comes in parts
  bool is_part_overlap_ = false;
  std::uint64_t applied_ = 0;
  std::chrono::steady_clock::time_point looked_ = std::chrono::steady_clock::now();
  // While it lives, the end of the run interrupts what the reader waits for.
  struct Interruptible {
    Interruptible(Run& r, binlog::Stream& stream) : run(r) { set(&stream); }
    ~Interruptible() { set(nullptr); }
    void set(binlog::Stream* stream) const {
      std::lock_guard lock(run.stream_mutex_);
      run.stream_ = stream;
    }
    Run& run;
  };

  std::atomic<bool> is_ending_{false};
  std::atomic<bool> has_answer_{false};  // the source has sent something: until then it may be looking for the position
  std::mutex stream_mutex_;
  binlog::Stream* stream_ = nullptr;  // the reader's; under stream_mutex_
  std::thread reader_;
};

// --- reading ------------------------------------------------------------------------------------------------------

void Applier::Run::read() {
  try {
    binlog::Stream stream(owner_.source_,
                          {.from = begin_.position(), .deadline = owner_.options_.deadline, .heartbeat = milliseconds(1000)});
    const Interruptible interruptible(*this, stream);
    if (owner_.on_connected) owner_.on_connected(stream.server());
    Assembler assembler(owner_.bindings_, {.part_bytes_max = owner_.options_.window_bytes_max, .takes_new_tables = owner_.options_.takes_new_tables});
    while (!is_ending_) {
      const binlog::Event* event = stream.next();
      if (event == nullptr) return inbox_.fail(std::make_exception_ptr(Error(Code::connection_lost, {.object = "binlog stream", .cause = "the server ended it", .remedy = ""})));
      owner_.progress_.bytes_read += event->header.size;
      if (event->as<binlog::Heartbeat>() != nullptr) {
        has_answer_ = true;
        continue;
      }
      has_answer_ = true;
      auto transaction = assembler.take(*event);
      if (!transaction || begin_.contains(transaction->gtid)) continue;
      if (transaction->kind == TransactionKind::xa_prepared && transaction->bytes > owner_.options_.xa_bytes_max) {
        throw Error(Code::event_unsupported,
                    {.object = gtid::to_string(transaction->gtid),
                     .cause = fmt::format("an XA transaction of {} is prepared; {} is the limit", format_bytes(transaction->bytes), format_bytes(owner_.options_.xa_bytes_max)),
                     .remedy = "split it on the source; or godwit cancel, and copy again after it has ended"});
      }
      if (!inbox_.push(std::move(*transaction))) return;
      owner_.progress_.inbox_bytes = inbox_.bytes();
    }
  } catch (...) {
    inbox_.fail(std::current_exception());
  }
}

// --- applying -----------------------------------------------------------------------------------------------------

ApplyEnd Applier::Run::follow() {
  if (is_reached()) return ApplyEnd::reached;
  reader_ = std::thread([this] { read(); });
  while (true) {
    if (owner_.stop_.is_requested()) return ApplyEnd::stopped;
    if (owner_.on_window) owner_.on_window();
    look_for_hold();
    if (does_stand()) {
      stand_still();
      continue;
    }
    auto taken = beyond_.empty() ? inbox_.take(owner_.options_.window_transactions_max, kPatience) : std::exchange(beyond_, {});
    owner_.progress_.inbox_bytes = inbox_.bytes();
    if (taken.empty()) {
      note_rest();
      look_at_epoch();
      continue;
    }
    failpoint(Fp::apply_window_taken);
    if (const auto end = apply(taken)) return *end;
    if (inbox_.is_empty() && beyond_.empty()) {
      note_rest();
    } else {
      owner_.progress_.is_caught_up = false;
    }
    if (is_reached()) return ApplyEnd::reached;
  }
}

// A source that writes nothing for a while: that another process has taken the stream over is seen here then.
void Applier::Run::look_at_epoch() {
  constexpr std::chrono::seconds kPause{2};
  const auto now = std::chrono::steady_clock::now();
  if (is_open_ || now - looked_ < kPause) return;
  looked_ = now;
  if (!owner_.checkpoint_.is_own_epoch(main_.connection().scalar(owner_.checkpoint_.guard_statement()))) owner_.checkpoint_.throw_fenced();
}

void Applier::Run::look_for_hold() {
  const auto now = std::chrono::steady_clock::now();
  if (is_open_ || now - hold_looked_ < kHoldLookPause) return;
  hold_looked_ = now;
  hold_ = owner_.checkpoint_.asked_hold(main_.connection());
  if (hold_ && hold_->number == ignored_hold_) hold_.reset();
}

// In the overlap rows may be ahead of the position: the stream stands nowhere then.
bool Applier::Run::does_stand() const { return hold_ && !is_open_ && !is_overlap() && (!hold_->goal || state_.position.contains(*hold_->goal)); }

// Nothing is written from the note on until the request is gone or another one has come. Whoever asked ends it by a statement that finds
// the note as it was made; so one that comes too late learns that the stream has gone on.
void Applier::Run::stand_still() {
  db::Connection& target = main_.connection();
  owner_.checkpoint_.note_held(target, *hold_, state_.position);
  failpoint(Fp::stream_held);
  const auto began = std::chrono::steady_clock::now();
  while (owner_.stop_.sleep_for(kHoldPause)) {
    const auto asked = owner_.checkpoint_.asked_hold(target);
    if (!asked || asked->number != hold_->number) {
      hold_ = asked;
      return;
    }
    if (std::chrono::steady_clock::now() - began < kHoldMax) continue;
    owner_.checkpoint_.give_up_hold(target, *hold_);
    log::warning("the stream was asked to stand still, and nobody ended it within {}: it goes on", format_duration(kHoldMax));
    ignored_hold_ = hold_->number;
    hold_.reset();
    return;
  }
}

// Cuts what was taken where the manner of applying changes: at statements and XA, at parts, at the end of the overlap, at the goal.
std::optional<ApplyEnd> Applier::Run::apply(std::vector<Transaction>& taken) {
  std::vector<Transaction> window;
  gtid::Set end = state_.position;
  const bool began_in_overlap = is_overlap();
  const auto flush = [&] {
    if (!window.empty()) apply_window(window);
    window.clear();
  };
  for (std::size_t i = 0; i < taken.size(); ++i) {
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
      end.add(transaction.gtid);
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

gtid::Set Applier::Run::with(const std::vector<Transaction>& window) const {
  gtid::Set end = state_.position;
  for (const auto& transaction : window) end.add(transaction.gtid);
  return end;
}

void Applier::Run::apply_window(std::vector<Transaction>& window) {
  const gtid::Set end = with(window);
  const PlanOptions options{.workers = owner_.options_.workers, .squash = owner_.options_.squash, .is_overlap = is_overlap()};
  const Plan plan = make_plan(window, options);
  if (plan.is_single) {
    main_.apply(plan.jobs.empty() ? Job{} : plan.jobs[0], owner_.checkpoint_.advance_statement(end));
    failpoint(Fp::apply_position_moved);
    state_.position = end;
  } else {
    apply_parallel(plan, end);
    advance(end);
  }
  note(window, plan.is_single ? 1 : plan.jobs.size());
}

// The window's end before its first job: whoever finds the position short of it knows that more may be there (I2).
void Applier::Run::apply_parallel(const Plan& plan, const gtid::Set& end) {
  gtid::Set overlap_end = state_.overlap_end;
  overlap_end.add(end);
  main_.apply(Job{}, owner_.checkpoint_.overlap_statement(overlap_end));
  state_.overlap_end = overlap_end;
  failpoint(Fp::apply_end_recorded);
  if (!workers_) workers_ = std::make_unique<Workers>(target_, owner_.checkpoint_, owner_.options_.workers, owner_.stop_);
  workers_->run(plan.jobs);
  failpoint(Fp::apply_jobs_done);
}

void Applier::Run::advance(const gtid::Set& position) {
  main_.apply(Job{}, owner_.checkpoint_.advance_statement(position));
  failpoint(Fp::apply_position_moved);
  state_.position = position;
}

// A transaction that is too large to be held: its parts are windows whose common end is recorded first. Where rows without a key
// or unlogged cascades are about, it could not be repeated: then it stays one transaction on the target too.
void Applier::Run::apply_part(std::vector<Transaction>& part) {
  const bool is_last = part[0].kind == TransactionKind::rows;
  const gtid::Set end = with(part);
  if (has_unrepeatable_) {
    if (!is_open_) main_.begin();
    is_open_ = true;
    main_.apply_part(ordered_job(part, is_overlap()));
    if (is_last) {
      main_.finish(owner_.checkpoint_.advance_statement(end));
      state_.position = end;
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
    owner_.progress_.rows += part[0].changes.size();
  }
}

ApplyEnd Applier::Run::apply_statement(const Transaction& transaction) {
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
  // DDL commits by itself: recorded first, a run that was killed in between meets it as overlap, where having been done is no error.
  const bool may_be_done = is_overlap();
  gtid::Set overlap_end = state_.overlap_end;
  overlap_end.add(end);
  main_.apply(Job{}, owner_.checkpoint_.overlap_statement(overlap_end));
  state_.overlap_end = overlap_end;
  // It may take hours: so it has a session that waits for as long as the server is there.
  db::Connection session = db::Connection::open(owner_.target_);
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
void Applier::Run::apply_xa(Transaction& transaction) {
  const gtid::Set end = with({transaction});
  db::Connection& connection = main_.connection();
  const std::string advance_statement = owner_.checkpoint_.advance_statement(end);
  if (transaction.kind == TransactionKind::xa_prepared) {
    connection.execute("START TRANSACTION");
    connection.execute(owner_.checkpoint_.store_prepared_statement(transaction.xid, serialize(transaction.changes)));
    failpoint(Fp::apply_xa_stored);
    main_.finish(advance_statement);
  } else {
    const db::Rows stored = connection.query(owner_.checkpoint_.select_prepared_statement(transaction.xid));
    const bool is_commit = transaction.kind == TransactionKind::xa_commit;
    const bool is_nothing_copied = std::all_of(owner_.bindings_.begin(), owner_.bindings_.end(), [](const TableBinding& b) { return b.is_ignored; });
    if (stored.empty() && (!is_commit || is_nothing_copied)) {
      // Prepared before the stream began. Rolled back, its rows are nowhere; committed before the first snapshot, they are in it.
      advance(end);
      ++applied_;
      ++owner_.progress_.transactions;
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
      window[0].changes = deserialize(stored.scalar(), owner_.bindings_);
      drop_ignored(window[0].changes);
      main_.apply_part(ordered_job(window, is_overlap()));
    }
    connection.execute(owner_.checkpoint_.erase_prepared_statement(transaction.xid));
    main_.finish(advance_statement);
  }
  state_.position = end;
  ++applied_;
  ++owner_.progress_.transactions;
}

// All that has come is applied.
void Applier::Run::note_rest() {
  if (!has_answer_) return;
  owner_.progress_.caught_up_us = now_us();
  owner_.progress_.is_caught_up = true;
}

void Applier::Run::note(const std::vector<Transaction>& window, std::size_t target_transactions) {
  ApplyProgress& progress = owner_.progress_;
  std::size_t rows = 0;
  std::uint64_t committed_us = 0;
  for (const auto& transaction : window) {
    rows += transaction.changes.size();
    committed_us = std::max(committed_us, transaction.committed_us);
    if (transaction.heartbeat_us == 0) continue;
    progress.heartbeat_us = transaction.heartbeat_us;
    progress.heartbeat_seen_us = now_us();
  }
  applied_ += window.size();
  progress.transactions += window.size();
  progress.rows += rows;
  progress.target_transactions += target_transactions;
  if (committed_us != 0) progress.applied_source_us = committed_us;
}

// --- the one place where what passes by itself is tried again ---------------------------------------------------------

Applier::Applier(db::Endpoint source, db::Endpoint target, const std::vector<TableBinding>& bindings, ApplyOptions options, Checkpoint& checkpoint,
                 ApplyProgress& progress, const Stop& stop)
    : source_(std::move(source)),
      target_(std::move(target)),
      bindings_(bindings),
      options_(std::move(options)),
      checkpoint_(checkpoint),
      progress_(progress),
      stop_(stop) {}

namespace {

// Each failure in a row gives the target more time: one statement that takes longer than the deadline is not begun again for ever.
db::Endpoint with_deadline(db::Endpoint target, std::chrono::seconds deadline, unsigned failures) {
  constexpr std::chrono::seconds kLongest{3600};
  target.read_timeout = std::min(deadline * (1U << std::min(failures, 10U)), std::max(kLongest, deadline));
  return target;
}

}  // namespace

ApplyEnd Applier::run(const std::optional<gtid::Set>& until) {
  for (unsigned failures = 0;;) {
    std::uint64_t applied = 0;
    try {
      Run run(*this, with_deadline(target_, options_.deadline, failures), until);
      struct Count {
        const Run& run;
        std::uint64_t& applied;
        ~Count() { applied = run.applied(); }
      } count{run, applied};
      return run.follow();
    } catch (const Error& error) {
      progress_.is_caught_up = false;
      if (stop_.is_requested()) return ApplyEnd::stopped;
      const bool is_passing = error.is_retryable() || error.code() == Code::interrupted;
      if (!is_passing) throw;
      if (applied != 0) failures = 0;
      ++failures;
      ++progress_.retries;
      if (options_.attempts_max != 0 && failures >= options_.attempts_max) {
        throw Error(Code::retries_used_up,
                    {.object = error.object(),
                     .cause = fmt::format("{} attempts failed, the last with {}", failures, error.what()),
                     .remedy = "mend the cause, then run the same command again: it goes on where it stopped"});
      }
      const auto pause = std::min(milliseconds(100) * (1U << std::min(failures - 1, 10U)), options_.backoff_max);
      log::warning("the stream begins again at its stored position in {} (failure {}): {}", format_duration(pause), failures, error.what());
      if (!stop_.sleep_for(pause)) return ApplyEnd::stopped;
    }
  }
}

}  // namespace godwit::apply
