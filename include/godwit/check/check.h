// The named checks before a migration: each says ok, warning or blocker, what was seen, and what mends it. They change
// nothing. One thread.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "godwit/catalog/catalog.h"
#include "godwit/catalog/ddl.h"
#include "godwit/db/connection.h"
#include "godwit/shard/layout.h"
#include "godwit/util/error.h"

namespace godwit::check {

enum class Verdict { ok, warning, blocker, skipped };
std::string_view to_string(Verdict verdict);

struct Finding {
  std::string check;  // "source_binlog_enabled"
  Verdict verdict = Verdict::ok;
  Code code = Code::check_blocked;  // meaningful for warnings and blockers
  std::string object;
  std::string cause;   // for ok: what was seen, in a few words
  std::string remedy;  // the statement or flag
  std::string shard;   // its range, where it is of one shard only
};

struct Request {
  db::Endpoint source;
  db::Endpoint target;
  catalog::Selection selection;
  catalog::NameMap names;
  bool is_schema_created = true;  // --schema create
  bool allow_no_key = false;
  bool skip_target_binlog = false;
  std::map<std::string, std::string> collation_map;
  std::set<std::string> skipped;  // --skip NAME
  std::vector<std::string> accounts;  // --accounts
  std::string workflow;           // target_empty accepts tables this workflow is copying
  const shard::Layout* layout = nullptr;  // of a target of shards: this request is about one of them
  std::size_t shard = 0;                  // its number
};

// In a fixed order. Throws Error only when a server cannot be reached or a name in `skipped` is unknown.
std::vector<Finding> run_checks(const Request& request);
// One request per shard, by number, all of one layout: what is said of the source once, what is said of the targets for each, unless they all agree.
std::vector<Finding> run_checks(const std::vector<Request>& shards);
bool has_blocker(const std::vector<Finding>& findings);

struct CheckInfo {
  std::string_view name;
  std::string_view what;
};
const std::vector<CheckInfo>& all_checks();

}  // namespace godwit::check
