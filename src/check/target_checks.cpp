#include <fmt/format.h>

#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "context.h"
#include "godwit/sql/quote.h"
#include "godwit/util/text.h"

namespace godwit::check {
namespace {

std::vector<std::string> target_schemas(const Context& c) {
  std::vector<std::string> schemas{"_godwit"};
  for (const auto& table : c.catalog.tables) {
    const std::string schema = c.request.names.table(table.schema, table.name).first;
    if (std::find(schemas.begin(), schemas.end(), schema) == schemas.end()) schemas.push_back(schema);
  }
  return schemas;
}

Findings target_privileges(const Context& c) {
  Findings findings;
  const auto& held = c.target.privileges;
  for (const auto& schema : target_schemas(c)) {
    std::vector<std::string> missing;
    for (const char* needed : {"SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER", "INDEX", "REFERENCES", "CREATE VIEW", "CREATE ROUTINE", "ALTER ROUTINE", "TRIGGER", "EVENT"}) {
      if (!held.has_on_schema(needed, schema)) missing.emplace_back(needed);
    }
    if (missing.empty()) continue;
    findings.push_back(blocker(Code::privilege_missing, c.target.name(), fmt::format("{} lacks {} on {}", held.account(), join(missing, ", "), schema), fmt::format("GRANT {} ON {}.* TO {}", join(missing, ", "), sql::quote_identifier(schema), held.account())));
  }
  if (findings.empty()) findings.push_back(ok(held.account() + " has what it needs"));
  return findings;
}

// By a fence: the target has not been switched to yet, and godwit's account passes.
bool is_fenced_by_us(const Context& c) {
  if (c.target.is_on("super_read_only") || !passes_read_only(c.target)) return false;
  try {
    return !c.target.connection.query("SELECT 1 FROM `_godwit`.`fence` WHERE kind = 'read_only' AND is_set = 1").empty();
  } catch (const Error& error) {
    if (error.is_retryable()) throw;
    return false;
  }
}

Findings target_writable(const Context& c) {
  const bool is_closed = c.target.is_on("read_only") || c.target.is_on("super_read_only");
  if (!is_closed) return {ok("it takes writes")};
  if (is_fenced_by_us(c)) return {ok("read_only is ON: it is fenced, and godwit's account passes")};
  return {blocker(Code::server_read_only, c.target.name(), "read_only is ON", "SET GLOBAL read_only = OFF (and super_read_only = OFF)")};
}

Findings target_binlog(const Context& c) {
  if (c.target.is_on("log_bin")) return {ok("log_bin=ON: the way back is open")};
  return {warning(Code::binlog_disabled, c.target.name(), "log_bin is OFF: after a switch there would be no way back", "start the server with --log-bin")};
}

// Where a bulk insert is offered, LOAD DATA is for long rows, and for chunks of a later snapshot; those go by INSERT then.
Findings target_local_infile(const Context& c) {
  if (c.target.is_on("local_infile")) return {ok("local_infile=ON")};
  if (c.target.connection.takes_bulk_insert()) return {ok("local_infile=OFF, and rows go by bulk insert")};
  return {warning(Code::statement_failed, c.target.name(), "local_infile is OFF: rows go by INSERT, which is slower", "SET GLOBAL local_infile = ON")};
}

// With 1, LOAD DATA holds the table's AUTO-INC lock to its end, also where every value is given.
Findings target_autoinc_lock(const Context& c) {
  if (c.target.connection.takes_bulk_insert()) return {ok("rows go by bulk insert, which takes no AUTO-INC lock")};
  constexpr std::uint64_t kLarge = 256U << 20;  // below, there is little to gain
  const std::string mode = c.target.variable("innodb_autoinc_lock_mode");
  if (mode == "2") return {ok("innodb_autoinc_lock_mode=2")};
  std::vector<std::string> names;
  for (const auto& table : c.catalog.tables) {
    const bool is_counting = std::any_of(table.columns.begin(), table.columns.end(), [](const auto& column) { return column.is_auto_increment; });
    if (is_counting && table.bytes_estimate > kLarge) names.push_back(sql::quote_table(table.schema, table.name));
  }
  if (names.empty()) return {ok(fmt::format("innodb_autoinc_lock_mode={}, and no large table has AUTO_INCREMENT", mode))};
  const std::string shown = names.size() > 3 ? fmt::format("{}, {}, {} and {} more", names[0], names[1], names[2], names.size() - 3) : join(names, ", ");
  return {warning(Code::loads_in_turn, c.target.name(), fmt::format("innodb_autoinc_lock_mode={}: chunks of one table with AUTO_INCREMENT are loaded one after another ({})", mode, shown),
                  "start the target with innodb_autoinc_lock_mode = 2, which is safe with row format; several such tables are copied side by side in any case")};
}

Findings target_max_packet(const Context& c) {
  const auto source = c.source.number("max_allowed_packet");
  const auto target = c.target.number("max_allowed_packet");
  if (target >= source) return {ok(fmt::format("{} on the target", format_bytes(target)))};
  return {warning(Code::packet_too_small, c.target.name(), fmt::format("max_allowed_packet is {}, on the source {}: a long value may not fit", format_bytes(target), format_bytes(source)), fmt::format("SET GLOBAL max_allowed_packet = {}", source))};
}

// What the server's file system has left: by MariaDB's DISKS plugin where it is loaded, by a look at the folder where godwit runs
// on the target's host. SQL has no figure for it.
std::optional<std::uint64_t> free_bytes(const Context& c) {
  const std::string folder = c.target.variable("datadir");
  char host[256] = {};
  ::gethostname(host, sizeof host - 1);
  std::error_code error;
  if (c.target.variable("hostname") == host && std::filesystem::is_directory(folder, error)) {
    const auto space = std::filesystem::space(folder, error);
    if (!error) return space.available;
  }
  try {
    const db::Rows rows = c.target.connection.query(
        "SELECT Available * 1024 AS free FROM information_schema.DISKS WHERE LEFT(@@datadir, LENGTH(Path)) = Path ORDER BY LENGTH(Path) DESC LIMIT 1");
    if (!rows.empty()) return rows.u64(0, "free");
  } catch (const Error& failure) {
    if (failure.is_retryable()) throw;  // no such plugin
  }
  return std::nullopt;
}

Findings target_disk(const Context& c) {
  std::uint64_t bytes = 0;
  for (const auto& table : c.catalog.tables) bytes += table.bytes_estimate;
  const bool is_logged = c.target.is_on("log_bin") && !c.request.skip_target_binlog;
  const std::string estimate = fmt::format("about {} of rows, plus keys{}", format_bytes(bytes), is_logged ? " and as much binlog" : "");
  const auto free = free_bytes(c);
  if (!free) return {ok(fmt::format("{}, must fit {}", estimate, c.target.variable("datadir")))};
  const std::string cause = fmt::format("{}; {} has {} free", estimate, c.target.variable("datadir"), format_bytes(*free));
  if (bytes < *free / (is_logged ? 2 : 1)) return {ok(cause)};
  const std::string remedy = is_logged ? "make room; or --skip-target-binlog, which halves it" : "make room before the copy";
  return {warning(Code::disk_too_small, c.target.name(), cause, remedy)};
}

Findings target_skip_binlog(const Context& c) {
  if (!c.request.skip_target_binlog) return {ok("the copy is in the target's binlog")};
  Findings findings;
  const auto& held = c.target.privileges;
  const bool may = held.has_global("SUPER") || held.has_global("SYSTEM_VARIABLES_ADMIN") || held.has_global("SESSION_VARIABLES_ADMIN") || held.has_global("BINLOG ADMIN");
  if (!may) {
    const char* privilege = c.target.is_mariadb() ? "BINLOG ADMIN" : "SYSTEM_VARIABLES_ADMIN";
    findings.push_back(blocker(Code::privilege_missing, c.target.name(), held.account() + " may not set sql_log_bin", fmt::format("GRANT {} ON *.* TO {}; or without --skip-target-binlog", privilege, held.account())));
  }
  const db::Rows dumps = c.target.connection.query("SELECT ID FROM information_schema.PROCESSLIST WHERE COMMAND LIKE 'Binlog Dump%'");
  if (!dumps.empty()) {
    findings.push_back(blocker(Code::replicas_attached, c.target.name(), fmt::format("{} replicas read its binlog and would miss the copy", dumps.size()), "copy without --skip-target-binlog, or detach them first"));
  }
  if (findings.empty()) findings.push_back(ok("allowed, and no replica is attached"));
  return findings;
}

Findings names_case(const Context& c) {
  const int source = c.source.connection.server().lower_case_table_names;
  const int target = c.target.connection.server().lower_case_table_names;
  if (source == target) return {ok(fmt::format("lower_case_table_names={} on both", source))};
  const bool has_upper = std::any_of(c.catalog.tables.begin(), c.catalog.tables.end(), [](const catalog::Table& t) {
    return lower(t.name) != t.name || lower(t.schema) != t.schema;
  });
  const std::string cause = fmt::format("lower_case_table_names is {} on the source, {} on the target", source, target);
  if (has_upper) return {blocker(Code::names_case_differs, c.target.name(), cause + ", and some names have upper-case letters", "initialise the target with the source's value, or --map those names")};
  return {warning(Code::names_case_differs, c.target.name(), cause, "applications must spell names as the target has them")};
}

Findings time_zones(const Context& c) {
  const std::string source = c.source.variable("time_zone") + " (" + c.source.variable("system_time_zone") + ")";
  const std::string target = c.target.variable("time_zone") + " (" + c.target.variable("system_time_zone") + ")";
  if (source == target) return {ok(source + " on both")};
  return {warning(Code::schema_differs, c.target.name(), fmt::format("time zone {} on the source, {} on the target; godwit itself works in UTC", source, target), "SET GLOBAL time_zone on the target to the source's, before the switch")};
}

Findings sql_modes(const Context& c) {
  const std::string source = c.source.variable("sql_mode");
  const std::string target = c.target.variable("sql_mode");
  if (source == target) return {ok("the same on both")};
  return {warning(Code::schema_differs, c.target.name(), fmt::format("sql_mode is {} on the source, {} on the target", source, target), "compare them before the switch: applications may rely on it")};
}

Findings not_the_same(const Context& c) {
  const auto& source = c.source.connection.server();
  const auto& target = c.target.connection.server();
  const bool is_same_server = source.identity == target.identity && c.source.variable("hostname") == c.target.variable("hostname") && c.source.variable("port") == c.target.variable("port");
  if (!is_same_server) return {ok("two servers")};
  for (const auto& table : c.catalog.tables) {
    if (c.request.names.table(table.schema, table.name) == std::pair(table.schema, table.name)) {
      return {blocker(Code::same_tables, c.target.name(), "source and target are the same server and the same tables", "name another server in --target, or --map the schema to another name")};
    }
  }
  return {ok("one server, other names")};
}

// Tables of this workflow may be there already: it is being resumed.
Findings target_empty(const Context& c) {
  std::set<std::pair<std::string, std::string>> ours;
  try {
    const db::Rows rows = c.target.connection.query(
        "SELECT t.target_schema AS s, t.target_table AS t FROM `_godwit`.copy_table t JOIN `_godwit`.stream w ON w.id = t.stream WHERE w.workflow = " +
        sql::quote_string(c.request.workflow));
    for (std::size_t i = 0; i < rows.size(); ++i) ours.emplace(rows.text(i, "s"), rows.text(i, "t"));
  } catch (const Error& error) {
    if (error.is_retryable()) throw;  // no sidecar yet
  }
  Findings findings;
  for (const auto& table : c.catalog.tables) {
    const auto [schema, name] = c.request.names.table(table.schema, table.name);
    if (ours.count({schema, name}) != 0) continue;
    const std::string quoted = sql::quote_table(schema, name);
    const bool is_there = !c.target.connection
                               .query(fmt::format("SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {}", sql::quote_string(schema), sql::quote_string(name)))
                               .empty();
    if (is_there && c.request.is_schema_created) {
      findings.push_back(blocker(Code::target_not_empty, quoted, "the table is on the target already, and not of this workflow", fmt::format("DROP TABLE {}; or --map it to another name; or --schema existing", quoted)));
    } else if (is_there && !c.target.connection.query("SELECT 1 FROM " + quoted + " LIMIT 1").empty()) {
      findings.push_back(blocker(Code::target_not_empty, quoted, "the table holds rows that this workflow did not copy", fmt::format("TRUNCATE TABLE {}", quoted)));
    } else if (!is_there && !c.request.is_schema_created) {
      findings.push_back(blocker(Code::no_such_table, quoted, "--schema existing, and the target has no such table", "create it, or --schema create"));
    }
  }
  if (findings.empty()) findings.push_back(ok("nothing in the way"));
  return findings;
}

}  // namespace

std::vector<Check> target_checks() {
  return {
      {"not_the_same", "source and target are not the same tables", not_the_same, Scope::target},
      {"target_writable", "the target takes writes", target_writable, Scope::target},
      {"target_privileges", "the account may create and fill the tables", target_privileges, Scope::target},
      {"target_empty", "nothing foreign stands where the tables go", target_empty, Scope::target},
      {"target_binlog", "the target writes a binlog, for the way back", target_binlog, Scope::target},
      {"target_skip_binlog", "--skip-target-binlog is allowed and harms no replica", target_skip_binlog, Scope::target},
      {"target_local_infile", "rows may go by LOAD DATA LOCAL, or by bulk insert", target_local_infile, Scope::target},
      {"target_autoinc_lock", "several chunks of one table are written side by side", target_autoinc_lock, Scope::target},
      {"target_max_packet", "every value of the source fits a packet of the target", target_max_packet, Scope::target},
      {"target_disk", "how much must fit", target_disk, Scope::target},
      {"names_case", "both treat the case of names alike", names_case, Scope::target},
      {"time_zones", "both have one time zone", time_zones, Scope::target},
      {"sql_modes", "both have one sql_mode", sql_modes, Scope::target},
  };
}

}  // namespace godwit::check
