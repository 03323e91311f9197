// What a rehearsal's things are called, from the migration's own names. Pure; any thread. Private to rehearsal.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "godwit/workflow/copy.h"

namespace godwit::rehearsal {

inline constexpr const char* kMarker = "_godwit_rehearsal";  // the table that says whose the source's throwaway schema is
inline constexpr const char* kSuffix = "_godwit_rehearsal";  // of schemas and workflows
inline constexpr const char* kAccountPrefix = "godwit_rehearsal_";

std::string data_workflow(const std::string& name);
std::string switch_workflow(const std::string& name);
// On both sides. Throws Error(bad_usage) where no schema can have that name.
std::string switch_schema(const std::string& name);
// The named lock on the target that a rehearsal holds for as long as it lives.
std::string lock_name(const std::string& name);

struct DataNames {
  std::vector<std::string> map;  // --map of the data part: each rule leads to a throwaway schema
  // Those, on the target; of shards, on each of them in the order of their ranges.
  std::vector<std::vector<std::string>> schemas;
};
// The database that the DSN of the data part's target names. One target has --map for each; shards may have databases of their own names, which no --map can tell.
std::string data_schema(const workflow::Definition& definition, const db::Dsn& target);
// `source_schemas`: all that the migration selects. Throws Error(bad_usage) where a name would be too long.
DataNames data_names(const workflow::Definition& definition, const std::set<std::string>& source_schemas);

}  // namespace godwit::rehearsal
