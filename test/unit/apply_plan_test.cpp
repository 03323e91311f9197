// The planner's jobs, executed on a target in memory: random histories, windows of any size, jobs in any order, crashes between them, and
// what was under way repeated as overlap. The rules are those of DESIGN section 6.
#include "../../src/apply/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <random>
#include <stdexcept>

#include "catch.h"

using namespace godwit::apply;

namespace {

struct Row {
  int u = 0;  // unique, where the table has such a key
  int v = 0;
  bool operator==(const Row&) const = default;
};
using Rows = std::map<int, Row>;

struct Drift : std::runtime_error {
  using std::runtime_error::runtime_error;
};

TableBinding table_of(bool has_unique) {
  TableBinding table{.source_table = "t", .target = "`s`.`t`"};
  for (const char* name : {"`id`", "`u`", "`v`"}) table.columns.push_back({.index = table.columns.size(), .name = name, .literal = LiteralKind::bare});
  table.column_list = "`id`, `u`, `v`";
  table.on_duplicate = "`u` = VALUES(`u`), `v` = VALUES(`v`)";
  table.key = {0};
  table.is_key_exact = table.is_key_integer = true;
  if (has_unique) table.other_uniques = {{1}};
  return table;
}

int number(std::string_view text) { return std::stoi(std::string(text)); }

class Target {
 public:
  explicit Target(bool has_unique) : has_unique_(has_unique) {}

  void run(const Operation& it) {
    const int key = number(it.key);
    const bool is_there = rows.count(key) != 0;
    switch (it.op) {
      case Op::insert:
        if (is_there) throw Drift(fmt::format("insert of {}", key));
        return put(key, row_of(it.values));
      case Op::rewrite:
        if (!is_there) throw Drift(fmt::format("rewrite of {}", key));
        return put(key, row_of(it.values));
      case Op::erase:
        if (!is_there) throw Drift(fmt::format("erase of {}", key));
        [[fallthrough]];
      case Op::erase_if_there:
        rows.erase(key);
        return;
      case Op::upsert:
        if (has_unique_) std::erase_if(rows, [&](const auto& other) { return other.second.u == row_of(it.values).u; });
        rows[key] = row_of(it.values);
        return;
      case Op::update:
        if (!is_there) throw Drift(fmt::format("update of {}", key));
        return assign(key, it.assignments);
      case Op::update_if_there:
        return update_if_there(it, key, is_there);
    }
  }
  Rows rows;

 private:
  // As Session does it.
  void update_if_there(const Operation& it, int key, bool is_there) {
    const bool is_taken = !it.new_key.empty() && rows.count(number(it.new_key)) != 0;
    if (is_taken) {
      rows.erase(key);
    } else if (is_there) {
      assign(key, it.assignments);
    } else if (!it.new_key.empty()) {
      throw Drift(fmt::format("{} became {}, and is nowhere", key, it.new_key));
    }
  }

  void put(int key, const Row& row) {
    for (const auto& [other, known] : rows) {
      if (has_unique_ && other != key && known.u == row.u) throw Drift(fmt::format("{} and {} have {}", key, other, row.u));
    }
    rows[key] = row;
  }

  void assign(int key, std::string_view assignments) {
    Row row = rows.at(key);
    int new_key = key;
    while (!assignments.empty()) {
      const auto end = std::min(assignments.find(", "), assignments.size());
      const std::string_view one = assignments.substr(0, end);
      const int value = number(one.substr(one.find(" = ") + 3));
      (one.starts_with("`id`") ? new_key : one.starts_with("`u`") ? row.u : row.v) = value;
      assignments.remove_prefix(std::min(end + 2, assignments.size()));
    }
    rows.erase(key);
    if (rows.count(new_key) != 0) throw Drift(fmt::format("{} became {}, which is there", key, new_key));
    put(new_key, row);
  }

  static Row row_of(std::string_view values) {
    const auto first = values.find(", ");
    const auto second = values.find(", ", first + 2);
    return {.u = number(values.substr(first + 2, second - first - 2)), .v = number(values.substr(second + 2))};
  }

  const bool has_unique_;
};

struct Options {
  bool has_unique = false;
  bool has_partial = false;
  bool squash = true;
  int keys = 700;
};

class History {
 public:
  History(std::uint64_t seed, const Options& options, const TableBinding& table) : options_(options), table_(table), random_(seed) {
    states.push_back({});
    for (int i = 0; i < 60; ++i) add_transaction();
  }

  std::vector<Transaction> transactions;
  std::vector<Rows> states;  // before the first transaction, after each

 private:
  int below(int n) { return static_cast<int>(random_() % static_cast<std::uint64_t>(n)); }

  void add_transaction() {
    now_ = states.back();
    used_.clear();
    for (const auto& [key, row] : now_) used_[row.u] = key;
    Transaction transaction;
    const int count = below(4) == 0 ? 150 + below(300) : 1 + below(40);
    for (int i = 0; i < count; ++i) add_change(transaction.changes);
    transactions.push_back(std::move(transaction));
    states.push_back(now_);
  }

  void add_change(std::vector<Change>& changes) {
    const int key = below(options_.keys);
    const int u = below(2 * options_.keys);
    const int v = ++next_value_;
    const auto found = now_.find(key);
    if (found == now_.end()) {
      if (used_.count(u) != 0) return;
      changes.push_back(change(ChangeKind::insert, key, key, {}, {u, v}));
      return put(key, {u, v});
    }
    const Row old = found->second;
    switch (below(5)) {
      case 0:
        changes.push_back(change(ChangeKind::erase, key, key, old, {}));
        return take(key);
      case 1:
        if (used_.count(u) != 0) return swap(changes, key, used_[u]);
        changes.push_back(change(ChangeKind::update, key, key, old, {u, v}));
        take(key);
        return put(key, {u, v});
      case 2: {
        const int other = below(options_.keys);
        if (now_.count(other) != 0) return;
        changes.push_back(change(ChangeKind::update, key, other, old, {old.u, v}));
        take(key);
        return put(other, {old.u, v});
      }
      default:
        changes.push_back(change(ChangeKind::update, key, key, old, {old.u, v}));
        return put(key, {old.u, v});
    }
  }

  // Unique values change places by way of one that is free.
  void swap(std::vector<Change>& changes, int a, int b) {
    if (a == b) return;
    const Row row_a = now_.at(a);
    const Row row_b = now_.at(b);
    const Row spare{.u = -1, .v = row_a.v};
    changes.push_back(change(ChangeKind::update, a, a, row_a, spare));
    changes.push_back(change(ChangeKind::update, b, b, row_b, {row_a.u, row_b.v}));
    changes.push_back(change(ChangeKind::update, a, a, spare, {row_b.u, row_a.v}));
    take(a), take(b);
    put(a, {row_b.u, row_a.v}), put(b, {row_a.u, row_b.v});
  }

  void put(int key, const Row& row) { now_[key] = row, used_[row.u] = key; }
  void take(int key) { used_.erase(now_.at(key).u), now_.erase(key); }

  Change change(ChangeKind kind, int key, int new_key, const Row& old, const Row& row) {
    Change it{.table = &table_, .kind = kind};
    if (kind != ChangeKind::insert) it.old_key = std::to_string(key);
    if (kind == ChangeKind::erase) return it;
    it.new_key = std::to_string(new_key);
    it.values = fmt::format("{}, {}, {}", new_key, row.u, row.v);
    if (kind == ChangeKind::insert) return it;
    it.moves_key = key != new_key;
    it.moves_unique = options_.has_unique && old.u != row.u;
    it.is_full = !options_.has_partial || below(8) != 0;
    const auto add = [&](bool differs, const char* name, int value) {
      if (differs) it.assignments += fmt::format("{}{} = {}", it.assignments.empty() ? "" : ", ", name, value);
    };
    add(it.moves_key, "`id`", new_key);
    add(old.u != row.u, "`u`", row.u);
    add(old.v != row.v, "`v`", row.v);
    return it;
  }

  const Options& options_;
  const TableBinding& table_;
  std::mt19937_64 random_;
  Rows now_;
  std::map<int, int> used_;  // unique value → key
  int next_value_ = 0;
};

// Two tables, of which one is always plain, so that windows have several jobs.
struct Side {
  Side(std::uint64_t seed, const Options& of_table) : options(of_table), table(table_of(options.has_unique)), history(seed, options, table), target(options.has_unique) {}
  Side(const Side&) = delete;

  const Options options;
  const TableBinding table;
  History history;
  Target target;
};

struct Played {
  std::size_t windows_of_many_jobs = 0;
  std::size_t crashes = 0;
};

class Play {
 public:
  Play(std::uint64_t seed, const Options& options) : first_(seed, options), second_(seed + 5000, {}), squash_(options.squash), random_(seed) {
    transactions_ = first_.history.transactions;
    for (std::size_t i = 0; i < transactions_.size(); ++i) {
      const auto& more = second_.history.transactions[i].changes;
      transactions_[i].changes.insert(transactions_[i].changes.end(), more.begin(), more.end());
    }
  }

  Played run() {
    while (position_ < transactions_.size()) step();
    REQUIRE((first_.target.rows == first_.history.states.back()));
    REQUIRE((second_.target.rows == second_.history.states.back()));
    return played_;
  }

 private:
  void step() {
    std::size_t end = std::min(transactions_.size(), position_ + 1 + random_() % 8);
    const bool is_overlap = position_ < overlap_end_;
    if (is_overlap) end = std::min(end, overlap_end_);
    const auto at = [&](std::size_t i) { return transactions_.begin() + static_cast<std::ptrdiff_t>(i); };
    const std::vector<Transaction> window(at(position_), at(end));
    Plan plan = make_plan(window, {.workers = 4, .squash = squash_, .is_overlap = is_overlap, .single_job_rows = 20, .job_rows_max = 100});
    const bool crashes = random_() % 3 == 0;
    if (plan.is_single) {
      if (crashes) return;  // rows and position are one transaction: a crash undoes both
      for (const auto& job : plan.jobs) apply(job);
      position_ = end;
      return;
    }
    ++played_.windows_of_many_jobs;
    overlap_end_ = std::max(overlap_end_, end);
    std::shuffle(plan.jobs.begin(), plan.jobs.end(), random_);
    const std::size_t done = crashes ? random_() % plan.jobs.size() : plan.jobs.size();
    for (std::size_t i = 0; i < done; ++i) apply(plan.jobs[i]);
    if (crashes) {
      ++played_.crashes;
    } else {
      position_ = end;
    }
  }

  void apply(const Job& job) {
    for (const auto& it : job.operations) (it.table == &first_.table ? first_ : second_).target.run(it);
  }

  Side first_;
  Side second_;
  const bool squash_;
  std::mt19937_64 random_;
  std::vector<Transaction> transactions_;
  std::size_t position_ = 0;
  std::size_t overlap_end_ = 0;
  Played played_;
};

void play_all(const Options& options) {
  Played all;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    INFO("seed " << seed);
    const Played played = Play(seed, options).run();
    all.windows_of_many_jobs += played.windows_of_many_jobs;
    all.crashes += played.crashes;
  }
  CHECK(all.windows_of_many_jobs > 50);
  CHECK(all.crashes > 5);
}

std::vector<std::string> sql_of(const std::vector<Operation>& operations, const StatementLimits& limits = {}) {
  std::vector<std::string> result;
  for (const auto& statement : statements(operations, limits)) result.push_back(statement.sql);
  return result;
}

Operation operation(const TableBinding& table, Op op, std::string_view key, std::string_view values = {}) {
  return {.table = &table, .op = op, .key = key, .row = {}, .values = values, .columns = {}, .assignments = {}};
}

}  // namespace

TEST_CASE("squashed windows whose jobs run in any order, and crash between them, lead to the source's rows", "[apply]") { play_all({}); }
TEST_CASE("so do windows in which every change is applied", "[apply]") { play_all({.squash = false}); }
TEST_CASE("so do tables whose unique values move between rows", "[apply]") { play_all({.has_unique = true}); }
TEST_CASE("so do they without squashing", "[apply]") { play_all({.has_unique = true, .squash = false}); }
TEST_CASE("so do changes that hold a part of the row only", "[apply]") { play_all({.has_partial = true, .keys = 3000}); }
TEST_CASE("so do they where unique values move", "[apply]") { play_all({.has_unique = true, .has_partial = true}); }

TEST_CASE("a partial change that moves a key stays in one transaction with the position", "[apply]") {
  const TableBinding table = table_of(false);
  std::vector<Transaction> window(2);
  for (int i = 0; i < 400; ++i) {
    window[0].changes.push_back({.table = &table, .kind = ChangeKind::insert, .new_key = std::to_string(i), .values = fmt::format("{}, 1, 1", i)});
  }
  CHECK_FALSE(make_plan(window, {}).is_single);
  window[1].changes.push_back({.table = &table, .kind = ChangeKind::update, .is_full = false, .moves_key = true, .old_key = "1", .new_key = "900", .assignments = "`id` = 900"});
  CHECK(make_plan(window, {}).is_single);
}

TEST_CASE("rows without a key, and cascades, keep the source's order", "[apply]") {
  TableBinding keyless = table_of(false);
  keyless.key.clear();
  const TableBinding table = table_of(false);
  std::vector<Transaction> window(1);
  for (int i = 0; i < 400; ++i) window[0].changes.push_back({.table = &table, .kind = ChangeKind::erase, .old_key = std::to_string(i)});
  SECTION("keyless") { window[0].changes.push_back({.table = &keyless, .kind = ChangeKind::erase, .old_row = "`a` <=> 1"}); }
  SECTION("cascades") { window[0].changes.push_back({.table = &table, .kind = ChangeKind::erase, .old_key = "7", .cascades = "DELETE FROM c" + std::string(1, kStatementEnd)}); }
  const Plan plan = make_plan(window, {});
  CHECK(plan.is_single);
  REQUIRE(plan.jobs.size() == 1);
  CHECK(plan.jobs[0].operations.size() == 401);
}

TEST_CASE("neighbours of one kind share a statement up to its limits", "[apply]") {
  const TableBinding table = table_of(false);
  const std::vector<Operation> two{operation(table, Op::insert, "1", "1, 2, 3"), operation(table, Op::insert, "2", "2, 3, 4")};
  CHECK(sql_of(two) == std::vector<std::string>{"INSERT INTO `s`.`t` (`id`, `u`, `v`) VALUES (1, 2, 3),(2, 3, 4)"});
  CHECK(sql_of(two, {.rows_max = 1}).size() == 2);
  CHECK(sql_of(two, {.bytes_max = 10}).size() == 2);
  const std::vector<Operation> gone{operation(table, Op::erase, "1"), operation(table, Op::erase, "2"), operation(table, Op::erase_if_there, "3")};
  CHECK(sql_of(gone) == std::vector<std::string>{"DELETE FROM `s`.`t` WHERE `id` IN (1,2)", "DELETE FROM `s`.`t` WHERE `id` = 3"});
  std::vector<Operation> lone = gone;
  lone[1].cascades = "x";
  CHECK(sql_of(lone).size() == 3);
}

TEST_CASE("an upsert displaces the row that holds its unique value, and leaves other columns alone where there is none", "[apply]") {
  const TableBinding plain = table_of(false);
  const TableBinding with_unique = table_of(true);
  CHECK(sql_of({operation(plain, Op::upsert, "1", "1, 2, 3")}) == std::vector<std::string>{"INSERT INTO `s`.`t` (`id`, `u`, `v`) VALUES (1, 2, 3) ON DUPLICATE KEY UPDATE `u` = VALUES(`u`), `v` = VALUES(`v`)"});
  CHECK(sql_of({operation(with_unique, Op::upsert, "1", "1, 2, 3")}) == std::vector<std::string>{"REPLACE INTO `s`.`t` (`id`, `u`, `v`) VALUES (1, 2, 3)"});
}

TEST_CASE("a partial upsert names what it has, and keeps what the target would set by itself", "[apply]") {
  TableBinding table = table_of(false);
  table.columns[2].keep = "`v` = `s`.`t`.`v`";
  Operation partial = operation(table, Op::upsert, "1", "1, 5");
  partial.columns = "`id`, `u`";
  CHECK(sql_of({partial}) == std::vector<std::string>{"INSERT INTO `s`.`t` (`id`, `u`) VALUES (1, 5) ON DUPLICATE KEY UPDATE `id` = VALUES(`id`), `u` = VALUES(`u`), `v` = `s`.`t`.`v`"});
}
