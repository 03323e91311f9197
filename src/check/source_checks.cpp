#include <fmt/format.h>

#include <algorithm>

#include "context.h"
#include "godwit/db/snapshot.h"
#include "godwit/sql/quote.h"
#include "godwit/util/text.h"

namespace godwit::check {
namespace {

constexpr db::Version kMariadbMin{10, 5, 0};
constexpr db::Version kMysqlMin{8, 0, 0};
constexpr std::uint64_t kCopyRateAssumed = 30U << 20;  // bytes per second, for estimates of duration
constexpr std::uint64_t kOldTransactionSeconds = 60;

std::uint64_t data_bytes(const Context& context) {
  std::uint64_t bytes = 0;
  for (const auto& table : context.catalog.tables) bytes += table.bytes_estimate;
  return bytes;
}

Finding version_of(const ServerView& server) {
  const auto& about = server.connection.server();
  const bool is_known = about.version >= (about.is_mariadb() ? kMariadbMin : kMysqlMin);
  if (is_known) return ok(fmt::format("{}: {}", server.name(), about.version_text));
  return blocker(Code::server_unsupported, server.name(), "it is " + about.version_text, "MariaDB 10.5 or MySQL 8.0 and later are supported");
}

Findings server_versions(const Context& c) { return {version_of(c.source), version_of(c.target)}; }

Findings source_binlog(const Context& c) {
  if (c.source.is_on("log_bin")) return {ok("log_bin=ON")};
  return {blocker(Code::binlog_disabled, c.source.name(), "log_bin is OFF", "start the server with --log-bin, or name a replica that writes one")};
}

Findings source_binlog_format(const Context& c) {
  const std::string format = c.source.variable("binlog_format");
  if (format.empty() || format == "ROW") return {ok("binlog_format=ROW")};
  return {blocker(Code::binlog_format_wrong, c.source.name(), "binlog_format is " + format, "SET GLOBAL binlog_format = 'ROW', and have every session reconnect")};
}

Findings source_row_image(const Context& c) {
  const std::string image = c.source.variable("binlog_row_image");
  if (image.starts_with("FULL")) return {ok("binlog_row_image=" + image)};
  return {blocker(Code::binlog_format_wrong, c.source.name(), "binlog_row_image is " + image, "SET GLOBAL binlog_row_image = 'FULL', and have every session reconnect")};
}

Findings source_commit_order(const Context& c) {
  if (c.source.is_mariadb() || c.source.is_on("binlog_order_commits")) return {ok("commits follow the binlog's order")};
  return {blocker(Code::commit_order_off, c.source.name(), "binlog_order_commits is OFF: a snapshot's position cannot be known", "SET GLOBAL binlog_order_commits = ON")};
}

Findings source_gtid(const Context& c) {
  if (c.source.is_mariadb()) {
    if (c.source.is_on("gtid_strict_mode")) return {ok("GTIDs, strict")};
    return {warning(Code::gtid_off, c.source.name(), "gtid_strict_mode is OFF: after a fail-over the history may not be one", "SET GLOBAL gtid_strict_mode = ON")};
  }
  if (c.source.variable("gtid_mode") == "ON") return {ok("gtid_mode=ON")};
  return {blocker(Code::gtid_off, c.source.name(), "gtid_mode is " + c.source.variable("gtid_mode"), "SET GLOBAL gtid_mode step by step to ON (OFF_PERMISSIVE, ON_PERMISSIVE, ON), with enforce_gtid_consistency = ON")};
}

Findings source_binlog_retention(const Context& c) {
  std::uint64_t seconds = c.source.number("binlog_expire_logs_seconds");
  if (seconds == 0) seconds = c.source.number("expire_logs_days") * 86400;
  const std::uint64_t needed = 3 * (data_bytes(c) / kCopyRateAssumed) + 3600;
  if (seconds == 0) return {ok("binlogs do not expire")};
  const std::string have = format_duration(std::chrono::seconds(seconds));
  if (seconds >= needed) return {ok("binlogs are kept " + have)};
  return {warning(Code::binlog_disabled, c.source.name(),
                  fmt::format("binlogs are kept {}; the copy may take {}", have, format_duration(std::chrono::seconds(needed / 3))),
                  fmt::format("SET GLOBAL binlog_expire_logs_seconds = {}", needed))};
}

Findings source_binlog_filters(const Context& c) {
  Findings findings;
  const bool is_mariadb = c.source.is_mariadb();
  const auto& held = c.source.privileges;
  if (!held.has_global("REPLICATION CLIENT") && !held.has_global("BINLOG MONITOR") && !held.has_global("SUPER")) {
    return {warning(Code::privilege_missing, c.source.name(), "the account may not see binlog filters", fmt::format("GRANT {} ON *.* TO {}", is_mariadb ? "BINLOG MONITOR" : "REPLICATION CLIENT", held.account()))};
  }
  const db::Rows rows = c.source.connection.query(
      is_mariadb || c.source.connection.server().version < db::Version{8, 2, 0} ? "SHOW MASTER STATUS" : "SHOW BINARY LOG STATUS");
  for (std::size_t i = 0; i < rows.size(); ++i) {
    for (const char* filter : {"Binlog_Do_DB", "Binlog_Ignore_DB"}) {
      if (rows.text(i, filter).empty()) continue;
      findings.push_back(blocker(Code::source_filters_binlog, c.source.name(), fmt::format("{} is {}: changes of other schemas are not logged", filter, rows.text(i, filter)), "remove the filter and restart the server"));
    }
  }
  if (findings.empty()) findings.push_back(ok("no binlog filter"));
  return findings;
}

Findings source_is_replica(const Context& c) {
  const bool is_mariadb = c.source.is_mariadb();
  db::Rows rows;
  try {
    rows = c.source.connection.query(is_mariadb ? "SHOW SLAVE STATUS" : "SHOW REPLICA STATUS");
  } catch (const Error& error) {
    if (error.is_retryable()) throw;
    return {warning(Code::privilege_missing, c.source.name(), "the account may not see whether the source is a replica", fmt::format("GRANT {} ON *.* TO {}", is_mariadb ? "SLAVE MONITOR" : "REPLICATION CLIENT", c.source.privileges.account()))};
  }
  if (rows.empty()) return {ok("it is no replica")};
  const bool logs_updates = c.source.is_on("log_slave_updates") || c.source.is_on("log_replica_updates");
  if (logs_updates) return {ok("a replica that logs what it applies")};
  return {blocker(Code::binlog_disabled, c.source.name(), "it is a replica that does not log what it applies", "start it with --log-replica-updates (--log-slave-updates)")};
}

Findings source_sync_binlog(const Context& c) {
  const std::string value = c.source.variable("sync_binlog");
  if (value == "1") return {ok("sync_binlog=1")};
  return {warning(Code::binlog_disabled, c.source.name(), fmt::format("sync_binlog is {}: a crash of the host may lose transactions that the target has", value), "SET GLOBAL sync_binlog = 1 for the time of the migration")};
}

Findings source_long_transactions(const Context& c) {
  try {
    const db::Rows rows = c.source.connection.query(
        "SELECT trx_mysql_thread_id AS id, TIMESTAMPDIFF(SECOND, trx_started, NOW()) AS age FROM information_schema.INNODB_TRX "
        "ORDER BY trx_started LIMIT 1");
    if (rows.empty() || rows.u64(0, "age") < kOldTransactionSeconds) return {ok("no old transaction")};
    return {warning(Code::lock_unavailable, c.source.name(), fmt::format("connection {} has had a transaction open for {} s", rows.text(0, "id"), rows.text(0, "age")), fmt::format("end it before the copy (KILL {}) if it is forgotten", rows.text(0, "id")))};
  } catch (const Error& error) {
    if (error.is_retryable()) throw;
    return {warning(Code::privilege_missing, c.source.name(), "the account may not see open transactions", fmt::format("GRANT PROCESS ON *.* TO {}", c.source.privileges.account()))};
  }
}

Findings source_prepared_xa(const Context& c) {
  try {
    const db::Rows rows = c.source.connection.query("XA RECOVER");
    if (rows.empty()) return {ok("no prepared XA transaction")};
    return {warning(Code::lock_unavailable, c.source.name(), fmt::format("{} XA transactions are prepared and neither committed nor rolled back", rows.size()), "XA COMMIT or XA ROLLBACK them")};
  } catch (const Error& error) {
    if (error.is_retryable()) throw;
    return {ok("the account may not see prepared XA transactions")};
  }
}

// What godwit needs on the source, each with the statement that gives it.
Findings source_privileges(const Context& c) {
  Findings findings;
  const auto& held = c.source.privileges;
  const auto need_global = [&](std::initializer_list<std::string_view> any_of) {
    for (const auto privilege : any_of) {
      if (held.has_global(privilege)) return;
    }
    findings.push_back(blocker(Code::privilege_missing, c.source.name(), fmt::format("{} lacks {}", held.account(), *any_of.begin()), fmt::format("GRANT {} ON *.* TO {}", *any_of.begin(), held.account())));
  };
  if (c.source.is_mariadb()) {
    need_global({"BINLOG MONITOR", "REPLICATION CLIENT", "SUPER"});
    need_global({"REPLICATION SLAVE"});
  } else {
    need_global({"REPLICATION CLIENT", "SUPER"});
    need_global({"REPLICATION SLAVE"});
  }
  const bool are_logged = are_cascades_logged(c.source);
  const bool may_lock = !c.source.is_mariadb() || db::has_committed_xa(c.source.connection);  // db/snapshot: the views of the others know where they are
  for (const auto& table : c.catalog.tables) {
    if (!may_lock) break;
    const bool is_keyless = c.request.allow_no_key && catalog::row_key(table) == nullptr;
    const bool is_changed = !are_logged && std::any_of(table.foreign_keys.begin(), table.foreign_keys.end(), [](const catalog::ForeignKey& key) {
      return key.on_delete == "CASCADE" || key.on_delete == "SET NULL" || key.on_update == "CASCADE" || key.on_update == "SET NULL";
    });
    if ((!is_keyless && !is_changed) || held.has_on_schema("LOCK TABLES", table.schema)) continue;
    const char* why = is_keyless ? "it has no key" : "the binlog does not hold what its foreign keys change";
    findings.push_back(blocker(Code::privilege_missing, c.source.name(), fmt::format("{} lacks LOCK TABLES on {}, which {} needs: {}", held.account(), table.schema, sql::quote_table(table.schema, table.name), why), fmt::format("GRANT LOCK TABLES ON {}.* TO {}", sql::quote_identifier(table.schema), held.account())));
  }
  for (const auto& [schema, unused] : c.catalog.schemas) {
    if (!held.has_on_schema("SELECT", schema)) {
      findings.push_back(blocker(Code::privilege_missing, c.source.name(), fmt::format("{} lacks SELECT on {}", held.account(), schema), fmt::format("GRANT SELECT ON {}.* TO {}", sql::quote_identifier(schema), held.account())));
    }
    for (const char* wish : {"SHOW VIEW", "TRIGGER", "EVENT"}) {
      if (held.has_on_schema(wish, schema)) continue;
      findings.push_back(warning(Code::privilege_missing, c.source.name(), fmt::format("{} lacks {} on {}: those objects would not be seen", held.account(), wish, schema), fmt::format("GRANT {} ON {}.* TO {}", wish, sql::quote_identifier(schema), held.account())));
    }
  }
  if (!held.has_global("PROCESS")) {
    findings.push_back(warning(Code::privilege_missing, c.source.name(), held.account() + " lacks PROCESS: the history list and blockers are not seen", fmt::format("GRANT PROCESS ON *.* TO {}", held.account())));
  }
  if (findings.empty()) findings.push_back(ok(held.account() + " has what it needs"));
  return findings;
}

}  // namespace

std::vector<Check> source_checks() {
  return {
      {"server_versions", "both servers are of a supported version", server_versions, Scope::target},
      {"source_binlog", "the source writes a binlog", source_binlog},
      {"source_binlog_format", "the binlog holds rows, not statements", source_binlog_format},
      {"source_row_image", "row images are whole", source_row_image},
      {"source_commit_order", "commits follow the binlog's order", source_commit_order},
      {"source_gtid", "transactions have GTIDs", source_gtid},
      {"source_binlog_retention", "binlogs outlive the copy", source_binlog_retention},
      {"source_binlog_filters", "no schema is left out of the binlog", source_binlog_filters},
      {"source_is_replica", "a replica as source logs what it applies", source_is_replica},
      {"source_sync_binlog", "the binlog survives a crash of the host", source_sync_binlog},
      {"source_long_transactions", "no transaction has been open for long", source_long_transactions},
      {"source_prepared_xa", "no XA transaction is left prepared", source_prepared_xa},
      {"source_privileges", "the account may read rows and the binlog", source_privileges},
  };
}

}  // namespace godwit::check
