// The row of `_godwit.fence` on the fenced server itself: what is set there, and what was before. With guard triggers its `is_set` is what they read,
// so that to close and to lift is to change one row. Private to fence.
#pragma once

#include <optional>
#include <string>

#include "godwit/db/connection.h"
#include "godwit/fence/fence.h"

namespace godwit::fence {

struct Record {
  std::string kind;
  bool is_set = false;
  std::optional<std::string> read_only_before;
  std::optional<std::string> persisted_before;
  std::optional<std::string> events_before;
};

// Nothing where the row, or the table, is missing.
std::optional<Record> read_record(db::Connection& server, const Plan& plan);
// Makes the row, and the sidecar, where they are missing. What was before is recorded once.
Record ensure_record(db::Connection& server, const Plan& plan);
void set_record(db::Connection& server, const Plan& plan, const std::string& assignment);
void drop_record(db::Connection& server, const Plan& plan);
// Another workflow that keeps this whole server read-only; "" for none.
std::string other_holder(db::Connection& server, const Plan& plan);

std::string record_key(const Plan& plan);  // the row's condition, as SQL
std::string record_table();

}  // namespace godwit::fence
