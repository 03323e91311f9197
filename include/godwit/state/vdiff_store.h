// What a comparison has proved so far, in the sidecar on the target, so that it can be killed anywhere and goes on (docs/sidecar.md). One
// thread per connection.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "godwit/db/connection.h"

namespace godwit::state {

struct VdiffRow {
  std::uint64_t id = 0;
  std::string state;     // "running", "equal", "different", "partial"
  std::string options;   // JSON: what is compared, and how
  std::string position;  // of the newest pair of snapshots
  std::string started;   // UTC
  std::string ended;     // "" while it runs
};

struct FinishedVdiff {
  std::uint64_t id = 0;
  std::uint64_t elapsed_s = 0;  // since it began
};

struct VdiffTableRow {
  std::uint64_t id = 0;
  std::string source_schema;
  std::string source_table;
  std::string target_schema;
  std::string target_table;
  std::string state;  // "pending", "compared" (to its end), "cut" (at the limit of differences), "unchanged" (since the comparison before)
  std::string why;    // it was cut
  std::string done_upto;  // a bound of its key: everything up to it is compared; "" at the beginning
  std::uint64_t source_rows = 0;
  std::uint64_t target_rows = 0;
  std::uint64_t compare_ms = 0;
  std::string definition_hash;  // of both sides
};

struct VdiffDifferenceRow {
  std::uint64_t id = 0;
  std::uint64_t table_id = 0;
  std::string state;   // "suspected", "confirmed", "repaired"
  std::string kind;    // "missing", "extra", "different"
  std::string row_key; // a bound of the key
  std::string detail;  // JSON, once confirmed
};

class VdiffStore {
 public:
  explicit VdiffStore(db::Connection& target) : db_(target) {}

  std::optional<VdiffRow> newest(std::string_view workflow);
  // The last one before it that ended with a verdict: "equal" or "different".
  struct Like {
    std::string_view workflow;
    std::string_view options;
  };
  std::optional<FinishedVdiff> finished_before(std::uint64_t vdiff, const Like& like);
  std::uint64_t begin(std::string_view workflow, std::string_view options);
  void set_position(std::uint64_t vdiff, std::string_view position);
  void end(std::uint64_t vdiff, std::string_view state);
  void reopen(std::uint64_t vdiff, std::string_view state);
  // All comparisons of a workflow but the one.
  void forget_others(std::string_view workflow, std::uint64_t vdiff);

  std::vector<VdiffTableRow> tables(std::uint64_t vdiff);
  void add_table(std::uint64_t vdiff, const VdiffTableRow& table);
  // Where a table is now, and what has come to be suspected since: one transaction.
  void advance(const VdiffTableRow& table, const std::vector<VdiffDifferenceRow>& suspected);

  std::vector<VdiffDifferenceRow> differences(std::uint64_t vdiff, std::string_view state);
  // Each with what it changes in the number of the table's rows, in one transaction: how many more there are than the scan has counted.
  struct Counted {
    int source = 0;
    int target = 0;
  };
  void confirm(const VdiffDifferenceRow& difference, Counted more);  // kind, detail
  void settle(const VdiffDifferenceRow& difference, Counted more);   // it was none
  void set_repaired(const VdiffDifferenceRow& difference, Counted more);  // within the transaction that rewrites the row

 private:
  void count(std::uint64_t table, Counted more);
  db::Connection& db_;
};

// A request that the stream stand still (docs/sidecar.md, stream_hold). One at a time for a stream.
class HoldStore {
 public:
  HoldStore(db::Connection& target, std::uint64_t stream) : db_(target), stream_(stream) {}
  // Where it is, or at `goal`. Takes the place of an earlier request; gives the new one's number.
  std::uint64_t ask(const std::optional<std::string>& goal);
  // The position at which it stands; nothing while it does not.
  std::optional<std::string> held_at(std::uint64_t number);
  bool is_given_up(std::uint64_t number);
  // True: it stood still from the moment held_at() said so until now.
  bool end(std::uint64_t number);
  void drop();

 private:
  db::Connection& db_;
  const std::uint64_t stream_;
};

}  // namespace godwit::state
