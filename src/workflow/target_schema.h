// The target's half of a copy before its first row: databases, tables, and what is to be created after the rows. Each is recorded in the
// sidecar before it is created: what is found under a recorded name is ours, and cancel knows what to take away. One thread.
#pragma once

#include <cstdint>
#include <string>

#include "preparation.h"
#include "sidecar_ledger.h"

namespace godwit::workflow {

// Creates what is missing, or with --schema existing looks that it is there. Repeatable. Throws Error(target_not_empty, no_such_table,
// table_changed, stream_fenced).
void create_target_schema(const Definition& definition, const Preparation& prepared, db::Connection& target, SidecarLedger& ledger, std::uint64_t stream);

// Throws Error(table_changed) about a table, quoted, of the source.
[[noreturn]] void refuse_changed_table(const std::string& workflow, const std::string& table);

}  // namespace godwit::workflow
