#include "plan.h"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "godwit/util/text.h"

namespace godwit::apply {
namespace {

// --- one change as operations -------------------------------------------------------------------------------------

Operation insert_of(const Change& change, Op op) {
  return {.table = change.table, .op = op, .key = change.new_key, .row = {}, .values = change.values, .columns = change.columns, .assignments = {}};
}

Operation erase_of(const Change& change, Op op) {
  return {.table = change.table, .op = op, .key = change.old_key, .row = change.old_row, .values = {}, .columns = {}, .assignments = {}, .cascades = change.cascades};
}

Operation update_of(const Change& change, Op op) {
  return {.table = change.table, .op = op, .key = change.old_key, .row = change.old_row, .values = {}, .columns = {}, .assignments = change.assignments, .cascades = change.cascades};
}

// A row without a key cannot be told apart from its like: nothing about it is idempotent, and its copy is of one exact instant.
bool is_idempotent(const Change& change, bool is_overlap) {
  return change.table->has_key() && (is_overlap || change.table->is_partial);
}

// A row is taken away where it is, and put where it is to be: no other stream's row is written over (shared_rows.h).
void append_shared(std::vector<Operation>& out, const Change& change, bool idempotent) {
  const Op take = idempotent ? Op::erase_if_there : Op::erase;
  if (change.kind == ChangeKind::update && !idempotent && !change.moves_key) {
    out.push_back(update_of(change, Op::update));
    out.back().values = change.values;
    return;
  }
  if (change.kind != ChangeKind::insert) out.push_back(erase_of(change, take));
  if (change.kind == ChangeKind::erase) return;
  if (idempotent && (change.kind == ChangeKind::insert || change.moves_key)) {
    out.push_back({.table = change.table, .op = Op::erase_if_there, .key = change.new_key, .row = {}, .values = {}, .columns = {}, .assignments = {}});
  }
  out.push_back(insert_of(change, Op::insert));
}

void append_operations(std::vector<Operation>& out, const Change& change, bool is_overlap) {
  if (change.is_elsewhere) {
    out.push_back({.table = change.table, .op = Op::cascade_only, .key = change.old_key, .row = {}, .values = {}, .columns = {}, .assignments = {}, .cascades = change.cascades});
    return;
  }
  // Nothing of it is there yet: what is to be done are its cascades.
  if (change.table->is_ignored) {
    out.push_back(change.kind == ChangeKind::erase ? erase_of(change, Op::erase_if_there) : update_of(change, Op::update_if_there));
    return;
  }
  const bool idempotent = is_idempotent(change, is_overlap);
  if (change.table->is_shared && change.is_full) return append_shared(out, change, idempotent);
  switch (change.kind) {
    case ChangeKind::insert:
      out.push_back(insert_of(change, idempotent ? Op::upsert : Op::insert));
      return;
    case ChangeKind::erase:
      out.push_back(erase_of(change, idempotent ? Op::erase_if_there : Op::erase));
      return;
    case ChangeKind::update:
      if (!idempotent) {
        out.push_back(update_of(change, Op::update));
      } else if (!change.is_full) {
        // A row that is not there will come with its newer values; but one that comes from another key may be nowhere yet.
        out.push_back(update_of(change, Op::update_if_there));
        if (change.moves_key) out.back().new_key = change.new_key;
      } else {
        if (change.moves_key) out.push_back(erase_of(change, Op::erase_if_there));
        out.push_back(insert_of(change, Op::upsert));
        out.back().cascades = change.moves_key ? std::string_view() : change.cascades;
      }
      return;
  }
}

// Neighbours share a statement only if they are of different rows: a row met again begins a new run, by an order of its own.
// The changes of one row keep their order, and those of different rows commute where only the key tells rows apart.
struct Leveled {
  std::size_t level;
  std::size_t order;
  Operation operation;
};

// --- squashing ----------------------------------------------------------------------------------------------------

struct Net {
  bool was_there = false;
  bool is_there = false;
  std::string_view values;
};

struct TableNets {
  std::unordered_map<std::string_view, Net> by_key;
  bool has_order = true;  // false: squashed
};

void leave(TableNets& nets, std::string_view key) {
  const auto [at, is_new] = nets.by_key.try_emplace(key);
  if (is_new) at->second.was_there = true;
  at->second.is_there = false;
}

void come(TableNets& nets, std::string_view key, std::string_view values, bool was_there) {
  const auto [at, is_new] = nets.by_key.try_emplace(key);
  if (is_new) at->second.was_there = was_there;
  at->second.is_there = true;
  at->second.values = values;
}

void squash(TableNets& nets, const Change& change) {
  switch (change.kind) {
    case ChangeKind::insert:
      return come(nets, change.new_key, change.values, false);
    case ChangeKind::erase:
      return leave(nets, change.old_key);
    case ChangeKind::update:
      if (!change.moves_key) return come(nets, change.old_key, change.values, true);
      leave(nets, change.old_key);
      return come(nets, change.new_key, change.values, false);
  }
}

struct Sorted {
  std::string_view key;
  const Net* net;
  bool is_negative = false;
};

// By the key's value where it is an integer, so that neighbours in the B-tree are neighbours here.
bool is_before(const TableBinding& table, std::string_view a, std::string_view b) {
  if (!table.is_key_integer) return a < b;
  const bool a_negative = a.starts_with('-');
  const bool b_negative = b.starts_with('-');
  if (a_negative != b_negative) return a_negative;
  const bool is_less = a.size() != b.size() ? a.size() < b.size() : a < b;
  const bool is_equal = a == b;
  return a_negative ? !is_less && !is_equal : is_less;
}

class Planner {
 public:
  Planner(const std::vector<Transaction>& window, const PlanOptions& options) : window_(window), options_(options) {}

  Plan plan() {
    if (is_ordered_only()) return {.jobs = {ordered_job(window_, options_.is_overlap)}, .is_single = true};
    std::size_t rows = 0;
    for (const auto& transaction : window_) {
      for (const auto& change : transaction.changes) add(change), ++rows;
    }
    Plan plan;
    for (auto& [table, nets] : squashed_) append_squashed(plan, *table, nets);
    for (auto& [table, changes] : leveled_) append_leveled(plan, *table, changes);
    if (rows <= options_.single_job_rows) merge(plan);
    plan.is_single = plan.jobs.size() <= 1;
    return plan;
  }

 private:
  // One transaction keeps its form; cascades need the order of all tables; what cannot be repeated needs the position with it: rows without
  // a key, and partial images where a repetition may meet another row under the new key or unique value, and could not restore it.
  static bool is_ordered_only(const Change& change) {
    const bool is_repeatable = change.is_full || (!change.moves_key && change.table->other_uniques.empty());
    return !change.table->has_key() || !change.cascades.empty() || !is_repeatable;
  }
  bool is_ordered_only() const {
    if (window_.size() == 1 && window_[0].kind == TransactionKind::rows && window_[0].changes.size() <= options_.single_job_rows) return true;
    for (const auto& transaction : window_) {
      if (std::any_of(transaction.changes.begin(), transaction.changes.end(), [](const Change& change) { return is_ordered_only(change); })) return true;
    }
    return false;
  }

  void add(const Change& change) {
    if (options_.squash && change.is_full && leveled_.find(change.table) == leveled_.end()) {
      pending_full_[change.table].push_back(&change);
      squash(squashed_[change.table], change);
      return;
    }
    // A partial image cannot be squashed: the table goes by order from its first change on.
    if (const auto known = squashed_.find(change.table); known != squashed_.end()) {
      leveled_[change.table] = std::move(pending_full_[change.table]);
      squashed_.erase(known);
    }
    leveled_[change.table].push_back(&change);
  }

  bool is_idempotent(const TableBinding& table) const { return options_.is_overlap || table.is_partial; }
  bool is_divisible(const TableBinding& table) const { return table.is_key_exact && table.other_uniques.empty(); }

  void append_squashed(Plan& plan, const TableBinding& table, TableNets& nets) {
    std::vector<Sorted> sorted;
    sorted.reserve(nets.by_key.size());
    for (const auto& [key, net] : nets.by_key) {
      if (net.was_there || net.is_there || is_idempotent(table)) sorted.push_back({key, &net});
    }
    std::sort(sorted.begin(), sorted.end(), [&](const Sorted& a, const Sorted& b) { return is_before(table, a.key, b.key); });
    if (!is_divisible(table)) return append_whole(plan, table, sorted);
    const std::size_t parts = std::clamp<std::size_t>(sorted.size() / 100, 1, std::max(options_.workers, sorted.size() / options_.job_rows_max + 1));
    for (std::size_t part = 0; part < parts; ++part) {
      const std::size_t first = sorted.size() * part / parts;
      const std::size_t last = sorted.size() * (part + 1) / parts;
      Job job;
      append_nets(job, table, std::span(sorted).subspan(first, last - first), Rewriting::in_place);
      plan.jobs.push_back(std::move(job));
    }
  }

  // What leaves goes first: then no value that comes can be held by a row that is about to lose it. With further unique keys all that
  // changes leaves and comes: ON DUPLICATE KEY UPDATE would take another row that holds the value, which is drift, for the one it means.
  void append_whole(Plan& plan, const TableBinding& table, std::span<const Sorted> sorted) {
    Job job;
    append_nets(job, table, sorted, table.other_uniques.empty() ? Rewriting::in_place : Rewriting::leave_and_come);
    plan.jobs.push_back(std::move(job));
  }

  enum class Rewriting { in_place, leave_and_come };

  void append_nets(Job& job, const TableBinding& table, std::span<const Sorted> sorted, Rewriting rewriting) {
    const bool must_leave = rewriting == Rewriting::leave_and_come;
    const bool idempotent = is_idempotent(table);
    const auto operation = [&](const Sorted& it, Op op) {
      return Operation{.table = &table, .op = op, .key = it.key, .row = {}, .values = it.net->values, .columns = {}, .assignments = {}};
    };
    for (const auto& it : sorted) {
      if (!it.net->is_there) job.operations.push_back(operation(it, idempotent ? Op::erase_if_there : Op::erase));
    }
    if (idempotent && table.is_shared) {
      for (const auto& it : sorted) {
        if (it.net->is_there) job.operations.push_back(operation(it, Op::erase_if_there));
      }
      for (const auto& it : sorted) {
        if (it.net->is_there) job.operations.push_back(operation(it, Op::insert));
      }
      return;
    }
    if (idempotent) {
      for (const auto& it : sorted) {
        if (it.net->is_there) job.operations.push_back(operation(it, Op::upsert));
      }
      return;
    }
    for (const auto& it : sorted) {
      if (it.net->is_there && it.net->was_there && must_leave) job.operations.push_back(operation(it, Op::erase));
    }
    for (const auto& it : sorted) {
      if (it.net->is_there && it.net->was_there && !must_leave) job.operations.push_back(operation(it, Op::rewrite));
    }
    for (const auto& it : sorted) {
      if (it.net->is_there && (!it.net->was_there || must_leave)) job.operations.push_back(operation(it, Op::insert));
    }
  }

  void append_leveled(Plan& plan, const TableBinding& table, const std::vector<const Change*>& changes) {
    if (!is_divisible(table)) {
      Job job;
      for (const Change* change : changes) append_operations(job.operations, *change, options_.is_overlap);
      plan.jobs.push_back(std::move(job));
      return;
    }
    // Divided by row: a change of key ties two rows together, so that both go where the first of them went.
    std::unordered_map<std::string_view, std::size_t> group_of;
    std::vector<std::size_t> parent;
    const auto root = [&](std::size_t i) {
      while (parent[i] != i) i = parent[i] = parent[parent[i]];
      return i;
    };
    const auto group = [&](std::string_view key) {
      const auto [at, is_new] = group_of.try_emplace(key, parent.size());
      if (is_new) parent.push_back(parent.size());
      return at->second;
    };
    for (const Change* change : changes) {
      if (change->moves_key) parent[root(group(change->old_key))] = root(group(change->new_key));
    }
    const std::size_t parts = std::clamp<std::size_t>(changes.size() / 100, 1, options_.workers);
    std::vector<std::vector<Leveled>> divided(parts);
    std::unordered_map<std::size_t, std::size_t> level_of;
    std::size_t order = 0;
    for (const Change* change : changes) {
      const std::size_t row = root(group(change->old_key.empty() ? change->new_key : change->old_key));
      std::vector<Operation> operations;
      append_operations(operations, *change, options_.is_overlap);
      for (auto& operation : operations) {
        if (operation.op == Op::update && change->is_full && !change->moves_key) {
          operation = insert_of(*change, Op::rewrite);  // many rows in one statement
        }
        divided[row % parts].push_back({level_of[row]++, order++, operation});
      }
    }
    for (auto& part : divided) {
      std::sort(part.begin(), part.end(), [](const Leveled& a, const Leveled& b) {
        return std::tuple(a.level, a.operation.op, a.order) < std::tuple(b.level, b.operation.op, b.order);
      });
      Job job;
      for (auto& it : part) job.operations.push_back(it.operation);
      plan.jobs.push_back(std::move(job));
    }
  }

  static void merge(Plan& plan) {
    Job whole;
    for (auto& job : plan.jobs) {
      whole.operations.insert(whole.operations.end(), job.operations.begin(), job.operations.end());
    }
    plan.jobs.clear();
    if (!whole.operations.empty()) plan.jobs.push_back(std::move(whole));
  }

  const std::vector<Transaction>& window_;
  const PlanOptions& options_;
  std::map<const TableBinding*, TableNets> squashed_;
  std::map<const TableBinding*, std::vector<const Change*>> pending_full_;
  std::map<const TableBinding*, std::vector<const Change*>> leveled_;
};

}  // namespace

Job ordered_job(const std::vector<Transaction>& window, bool is_overlap) {
  Job job;
  for (const auto& transaction : window) {
    for (const auto& change : transaction.changes) {
      append_operations(job.operations, change, is_overlap);
    }
  }
  return job;
}

Plan make_plan(const std::vector<Transaction>& window, const PlanOptions& options) { return Planner(window, options).plan(); }

}  // namespace godwit::apply
