#include "replica.h"

#include <chrono>
#include <stdexcept>
#include <thread>

#include "compare.h"

namespace godwit::test {

Replica::Replica(const Server& source, const Server& replica, const ReplicaOptions& options)
    : source_(source), replica_(replica), client_(replica.client()) {
  if (replica_.is_mariadb()) {
    start_mariadb(options);
  } else {
    start_mysql(options);
  }
}

Replica::~Replica() {
  try {
    if (replica_.is_mariadb()) {
      client_.execute("STOP SLAVE");
      client_.execute("RESET SLAVE ALL");
      client_.execute("SET GLOBAL gtid_slave_pos = '', replicate_do_db = '', slave_exec_mode = 'STRICT'");
    } else {
      client_.execute("STOP REPLICA");
      client_.execute("CHANGE REPLICATION FILTER REPLICATE_DO_DB = ()");
      client_.execute("RESET REPLICA ALL");
      client_.execute("SET GLOBAL replica_exec_mode = 'STRICT'");
    }
  } catch (const std::exception&) {
    // The servers are thrown away after the tests.
  }
}

void Replica::start_mariadb(const ReplicaOptions& options) {
  // The replica has a history of its own in the same domain.
  client_.execute("SET GLOBAL gtid_strict_mode = 0");
  client_.execute("SET GLOBAL gtid_slave_pos = " + literal(options.from));
  client_.execute("SET GLOBAL slave_exec_mode = " + literal(options.is_idempotent ? "IDEMPOTENT" : "STRICT"));
  client_.execute("SET GLOBAL replicate_do_db = " + literal(options.schema));
  client_.execute("CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = " + std::to_string(source_.port()) +
                  ", MASTER_USER = 'godwit', MASTER_PASSWORD = 'godwit', MASTER_USE_GTID = slave_pos, MASTER_CONNECT_RETRY = 1");
  client_.execute("START SLAVE");
}

void Replica::start_mysql(const ReplicaOptions& options) {
  const std::string missing = client_.scalar("SELECT GTID_SUBTRACT(" + literal(options.from) + ", @@GLOBAL.gtid_executed)");
  if (!missing.empty()) client_.execute("SET GLOBAL gtid_purged = " + literal("+" + missing));
  client_.execute(std::string("SET GLOBAL replica_exec_mode = ") + literal(options.is_idempotent ? "IDEMPOTENT" : "STRICT"));
  client_.execute("CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = " + std::to_string(source_.port()) +
                  ", SOURCE_USER = 'godwit', SOURCE_PASSWORD = 'godwit', SOURCE_AUTO_POSITION = 1, SOURCE_CONNECT_RETRY = 1, SOURCE_SSL = 1, GET_SOURCE_PUBLIC_KEY = 1");
  client_.execute("CHANGE REPLICATION FILTER REPLICATE_DO_DB = (" + options.schema + ")");
  client_.execute("START REPLICA");
}

std::string Replica::applier_error() {
  return client_.scalar("SELECT CONCAT(LAST_ERROR_NUMBER, ' ', LAST_ERROR_MESSAGE) FROM performance_schema.replication_applier_status_by_worker WHERE LAST_ERROR_NUMBER <> 0 LIMIT 1");
}

void Replica::catch_up() {
  Client source = source_.client();
  if (replica_.is_mariadb()) {
    const std::string end = source.scalar("SELECT @@GLOBAL.gtid_binlog_pos");
    if (client_.scalar("SELECT MASTER_GTID_WAIT(" + literal(end) + ", 30)") == "0") return;
    const auto rows = client_.query("SHOW SLAVE STATUS");
    std::string text = "the replica does not catch up to " + end + ":";
    for (const auto& row : rows) {
      for (const auto& cell : row) {
        if (cell && cell->size() > 20) text += "\n  " + *cell;
      }
    }
    throw std::runtime_error(text);
  }
  const std::string end = source.scalar("SELECT @@GLOBAL.gtid_executed");
  if (client_.scalar("SELECT WAIT_FOR_EXECUTED_GTID_SET(" + literal(end) + ", 30)") != "0") {
    throw std::runtime_error("the replica does not catch up to " + end + ": " + applier_error() + " " +
                             client_.scalar("SELECT LAST_ERROR_MESSAGE FROM performance_schema.replication_connection_status LIMIT 1"));
  }
}

}  // namespace godwit::test
