// The head over a migration's shards, --serve: what a Spider head is made of, and that it is made, found again and taken away. Each thing that godwit creates
// there is recorded in the head's own schema `_godwit_head` before it is created: only what is recorded is ever replaced or dropped. One thread.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "godwit/workflow/copy.h"

namespace godwit::workflow {

// As whom the head logs in on the shards. It must be an account that read_only keeps from writing, or a fence would not hold it.
struct HeadAccount {
  std::string user;  // "": the users, and passwords, of the shards' DSNs
  std::string password;
};

struct HeadStatement {
  std::string kind;  // "server", "schema", "table", "trigger", "view", "procedure", "function"
  std::string schema;
  std::string name;
  std::string sql;       // of a server: without its password (shard::with_password)
  std::string sql_mode;  // of a routine; else ""
  std::size_t shard = 0;  // of a server
};

struct HeadPlan {
  std::vector<HeadStatement> statements;  // in their order
  std::vector<std::string> warnings;      // what an application meets under the head that it did not meet before
};

// Reads the source's catalog, and asks the head (before there is a --serve: the first shard) what it knows. Throws Error: not_servable, table_unplaced,
// shard_key_unsuitable, bad_usage where there are no shards.
HeadPlan plan_head(const Definition& definition, const HeadAccount& account);

struct HeadReport {
  std::vector<std::string> created;  // table `shop`.`orders`
  std::vector<std::string> there;    // as it must be, since an earlier run
  std::vector<std::string> warnings;
};
// To be repeated wherever it was killed. Throws Error: those of plan_head, head_unfit, head_occupied, access_denied (the account, on a shard).
HeadReport create_head(const Definition& definition, const HeadAccount& account);

// The head's tables that are not what the source's definitions, as they are now, would make them: DDL has come to the shards since. Of what godwit did not create it says nothing.
std::vector<std::string> outdated_on_head(const Definition& definition);

// For cancel: drops what is recorded, and the records; gives the names. Rows are the shards': none is dropped. Does nothing where there is no --serve, or nothing is recorded.
std::vector<std::string> drop_head(const Definition& definition);
// For complete: the head stays, and is the operator's from then on.
void release_head(const Definition& definition);

// Before the head is opened for writers: it counts AUTO_INCREMENT by itself, and knows nothing of rows that came to the shards past it (streams). Whatever is open
// is closed, and read anew from the shards. Needs RELOAD.
void renew_head_counters(const Definition& definition);

// Throws Error(not_servable) for what Vitess has no vindex for. {"shards": [{"range", "server"}], "vschema": …}
nlohmann::json describe_vschema(const Definition& definition);

// Where a key's row is.
struct Whereabouts {
  std::string table;
  std::vector<std::string> columns;  // of the key; none: all rows are in one place, or everywhere
  bool is_everywhere = false;
  std::size_t shard = 0;
  std::size_t shards = 0;
  std::string range;
  std::string server;
  std::optional<std::string> keyspace_id;  // hexadecimal; of a table with a vindex
};
// Throws Error: no_such_table, bad_usage (another number of values), row_unplaced.
Whereabouts find_key(const Definition& definition, const std::string& table, const std::vector<std::optional<std::string>>& key);

}  // namespace godwit::workflow
