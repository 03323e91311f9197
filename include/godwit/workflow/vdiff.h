// `godwit vdiff`: proves that both sides of a migration hold the same rows while both are busy, or names the rows that differ. Runs in the
// caller's thread and threads of its own, which have ended when it returns. What "identical" means, and how it is proved: docs/vdiff.md.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "godwit/vdiff/compare.h"
#include "godwit/workflow/copy.h"

namespace godwit::workflow {

struct VdiffTuning {
  std::size_t lanes = 4;              // ranges compared at a time: a session with each side for each
  vdiff::CompareLimits limits;
  std::chrono::milliseconds snapshot_age_max{15 * 60 * 1000};
  copy::ThrottleLimits throttle;
  std::vector<std::string> tables;    // patterns, as --tables of copy; empty: all
  bool only_keys = false;             // is every row there, whatever is in it
  bool never_hash = false;            // row by row, though the servers could hash
  std::uint64_t differences_max = 1000;  // of one table; the rest of it is left out then
  bool does_repair = false;
  bool does_wait = false;             // for the copy's end, and for another comparison's
  bool does_restart = false;          // forget an unfinished comparison
  bool does_resume = false;           // leave out tables that have not changed since the comparison before
  std::string source_replica;         // DSN: the scans run there
  std::string target_replica;
  unsigned attempts_max = 10;         // failures in a row, nothing settled in between
  apply::ApplyOptions apply;          // where no replicate runs, vdiff brings the target forward itself
};

struct VdiffValue {
  std::string column;
  std::string source;  // for people: shortened, hexadecimal where it is no text
  std::string target;
};

struct VdiffDifference {
  std::string kind;  // "missing", "extra" (both: on the target), "different", "misplaced" (there, on a shard where it does not belong)
  std::string key;   // `id` = 42
  std::string shard;    // where it is, or should be; "": there are none, or it is not known
  std::string belongs;  // misplaced: where it should be; "": on none
  std::uint64_t count = 1;  // of rows without a key
  std::vector<VdiffValue> values;
  bool is_repaired = false;
};

struct VdiffTable {
  std::string source;
  std::string target;
  std::string state;  // "compared", "cut", "unchanged", "pending"
  bool is_everywhere = false;  // on every shard: compared with each, and its rows counted for each
  std::string why;    // cut
  std::string manner; // "hash", "rows: WHY", "multiset"
  std::uint64_t source_rows = 0;
  std::uint64_t target_rows = 0;
  std::uint64_t missing = 0;
  std::uint64_t extra = 0;
  std::uint64_t different = 0;
  std::uint64_t misplaced = 0;
  std::uint64_t repaired = 0;
  std::uint64_t unsettled = 0;  // suspected, and locked by somebody whenever they were looked at
  std::chrono::milliseconds duration{0};
  std::vector<VdiffDifference> samples;
  std::vector<std::string> left_out;  // columns that one side alone has
  std::uint64_t equal() const;
};

enum class Verdict { identical, different, partial };

struct VdiffReport {
  db::Side serving = db::Side::source;  // --repair rewrites the other side from it
  Verdict verdict = Verdict::partial;
  std::string position;  // of the newest pair of snapshots; where shards serve, that of each
  std::vector<std::string> shards;  // ranges; empty: one target
  std::vector<VdiffTable> tables;
  unsigned pairs = 0;
  std::chrono::microseconds held_max{0};   // how long the stream stood still for one pair
  std::chrono::microseconds writes_held{0};  // tables without a key, where only a lock helped
  std::chrono::milliseconds duration{0};
  bool only_keys = false;
  bool was_resumed = false;
};

// Throws Error(stream_not_ready) when there is nothing to compare yet, and what the servers throw; interrupted when stopped: the same command goes on.
// What a comparison locks by name, where the stream keeps its position, for as long as it is at work.
std::string vdiff_lock(std::uint64_t stream);

VdiffReport run_vdiff(const Definition& definition, const VdiffTuning& tuning, state::StateFile& state, const Stop& stop);

}  // namespace godwit::workflow
