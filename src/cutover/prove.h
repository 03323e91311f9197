// A last look before the commit: both sides stand still, so that the newest rows of the source must be on the target, on the shard where they belong, as vdiff compares them. One thread. Private to cutover.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "godwit/db/connection.h"
#include "godwit/workflow/comparing.h"
#include "godwit/workflow/copy.h"

namespace godwit::cutover {

class NewestRows {
 public:
  // Reads the catalogs, opens sessions of its own: before clients are held.
  explicit NewestRows(const workflow::Definition& definition);
  // Throws Error(sides_differ), naming a row. Tables that time does not allow are left out, and counted in what is said.
  std::string prove(std::chrono::milliseconds time_max);

 private:
  workflow::ComparisonPlans plans_;
  db::Connection source_;
  std::vector<db::Connection> targets_;  // one for each shard
};

}  // namespace godwit::cutover
