#include "variables.h"

#include <algorithm>
#include <array>

namespace godwit::routing {
namespace {

template <std::size_t N>
bool contains(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

constexpr std::array<std::string_view, 6> kPrefixesLeftAlone{"gtid_", "pseudo_", "rand_seed", "session_track_", "original_", "ndb_"};

constexpr std::array<std::string_view, 29> kLeftAlone{
    "last_gtid",        "last_insert_id",           "insert_id",          "identity",           "timestamp",
    "error_count",      "warning_count",            "in_transaction",     "proxy_user",         "external_user",
    "skip_replication", "skip_parallel_replication", "statement_id",       "immediate_server_version", "require_row_format",
    "server_id",        "default_master_connection", "wsrep_gtid_seq_no",  "wsrep_causal_reads", "hostname",
    "max_allowed_packet", "net_buffer_length",      "max_user_connections", "max_relay_log_size", "sql_slave_skip_counter",
    "character_set_database", "collation_database", "redirect_url",       "debug_sync"};

constexpr std::array<std::string_view, 4> kCharsets{"character_set_client", "character_set_connection", "collation_connection", "character_set_results"};

constexpr std::array<std::string_view, 35> kSemantic{
    "sql_mode",            "time_zone",          "autocommit",          "tx_isolation",       "transaction_isolation",
    "tx_read_only",        "transaction_read_only", "foreign_key_checks", "unique_checks",     "sql_safe_updates",
    "sql_select_limit",    "sql_big_selects",    "max_join_size",       "group_concat_max_len", "sql_auto_is_null",
    "sql_quote_show_create", "sql_notes",        "sql_warnings",        "max_sort_length",    
    "lock_wait_timeout",   "innodb_lock_wait_timeout", "wait_timeout",  "interactive_timeout", "net_read_timeout",
    "net_write_timeout",   "div_precision_increment", "default_week_format", "lc_time_names", "lc_messages",
    "updatable_views_with_limit", "completion_type", "max_sp_recursion_depth", "max_statement_time", "max_execution_time",
    "block_encryption_mode"};

// Two names of one variable: across flavours, or, where a server has both, the second first.
struct Names {
  std::string_view mariadb;
  std::string_view mysql;
};
constexpr std::array<Names, 8> kNames{{
    {"tx_isolation", "transaction_isolation"},
    {"tx_read_only", "transaction_read_only"},
    {"storage_engine", "default_storage_engine"},
    {"max_statement_time", "max_execution_time"},
    {"tmp_memory_table_size", "tmp_table_size"},
    {"log_slow_query", "slow_query_log"},
    {"log_slow_query_time", "long_query_time"},
    {"log_slow_min_examined_row_limit", "min_examined_row_limit"},
}};

bool has(const ServerFacts& facts, const std::string& name) { return facts.variables.contains(name); }

}  // namespace

bool is_left_alone(std::string_view name) {
  return contains(kLeftAlone, name) ||
         std::any_of(kPrefixesLeftAlone.begin(), kPrefixesLeftAlone.end(), [&](std::string_view prefix) { return name.starts_with(prefix); });
}

bool is_of_charsets(std::string_view name) { return contains(kCharsets, name); }

bool is_semantic(std::string_view name) { return contains(kSemantic, name); }

std::optional<std::string> name_on(const ServerFacts& to, const std::string& name) {
  if (has(to, name)) return name;
  for (const Names& names : kNames) {
    if (names.mariadb == name && has(to, std::string(names.mysql))) return std::string(names.mysql);
    if (names.mysql == name && has(to, std::string(names.mariadb))) return std::string(names.mariadb);
  }
  return std::nullopt;
}

bool is_second_name(const ServerFacts& from, std::string_view name) {
  return std::any_of(kNames.begin(), kNames.end(), [&](const Names& names) { return names.mariadb == name && has(from, std::string(names.mysql)); });
}

Variables VariablesPool::shared(Variables variables) {
  std::size_t hash = 0;
  for (const auto& [name, value] : variables) hash = hash * 31 + std::hash<std::string_view>()(name) * 7 + std::hash<std::string_view>()(value);
  const std::lock_guard lock(mutex_);
  const auto [first, last] = kept_.equal_range(hash);
  for (auto it = first; it != last; ++it) {
    if (it->second == variables) return it->second;
  }
  if (kept_.size() >= kKeptMax) kept_.clear();  // those in use go on as they are
  kept_.emplace(hash, variables);
  return variables;
}

int rank_of(std::string_view name) {
  if (name == "sql_mode") return 0;
  if (name == "collation_server") return 2;
  if (name == "autocommit") return 3;
  return 1;
}

}  // namespace godwit::routing
