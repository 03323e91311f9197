#include "heartbeat.h"

#include <fmt/format.h>

#include <optional>

#include "godwit/apply/applier.h"
#include "godwit/sql/quote.h"
#include "godwit/state/sidecar.h"
#include "godwit/util/error.h"
#include "godwit/util/log.h"

namespace godwit::workflow {

Heartbeat::Heartbeat(const db::Endpoint& source, std::chrono::milliseconds interval)
    : source_(source), interval_(interval), thread_([this] { run(); }) {}

Heartbeat::~Heartbeat() {
  ended_.request();
  thread_.join();
}

bool Heartbeat::prepare(db::Connection& connection) {
  try {
    connection.execute("SET SESSION lock_wait_timeout = 2");
    state::Sidecar::create_heartbeat(connection);
    return true;
  } catch (const Error& error) {
    if (error.is_retryable()) throw;
    log::info("no heartbeat on the source, lag is told from positions and event times: {}", error.cause());
    return false;
  }
}

void Heartbeat::run() {
  const std::string table = sql::quote_table(state::kSidecarSchema, "heartbeat");
  std::optional<db::Connection> connection;
  do {
    try {
      if (!connection) {
        connection.emplace(db::Connection::open(source_));
        if (!prepare(*connection)) return;
      }
      connection->execute(fmt::format("REPLACE INTO {} (id, sent_us) VALUES (1, {})", table, apply::now_us()));
      is_beating_ = true;
    } catch (const Error& error) {
      // The stream meets the same trouble and says it louder.
      log::debug("heartbeat: {}", error.what());
      is_beating_ = false;
      connection.reset();
    }
  } while (ended_.sleep_for(interval_));
}

}  // namespace godwit::workflow
