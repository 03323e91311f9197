#include "godwit/state/proxy_registry.h"

#include <fmt/format.h>

#include "godwit/util/error.h"
#include "godwit/util/text.h"
#include "sidecar_tables.h"

namespace godwit::state {
namespace {

using sql::quote_string;

constexpr unsigned kNoSuchDatabase = 1049;
constexpr unsigned kNoSuchTable = 1146;
constexpr std::size_t kEndpointMax = 255;

// True where it was done; false where the table, or the schema, is not there.
template <typename Deed>
bool where_there_is_a_sidecar(db::Connection& connection, const Deed& deed) {
  try {
    deed();
    return true;
  } catch (const Error&) {
    if (connection.last_errno() != kNoSuchTable && connection.last_errno() != kNoSuchDatabase) throw;
    return false;
  }
}

ProxyRow proxy_of(const db::Rows& rows, std::size_t row) {
  return {.instance = rows.text(row, "instance"),
          .endpoint = rows.text(row, "endpoint"),
          .serving = rows.text(row, "serving") == "target" ? db::Side::target : db::Side::source,
          .seen_ago = std::chrono::milliseconds(rows.u64(row, "seen_ago_ms"))};
}

}  // namespace

bool ProxyRegistry::note(const ProxyRow& proxy) {
  return where_there_is_a_sidecar(db_, [&] {
    db_.execute(fmt::format("REPLACE INTO {} (workflow, instance, endpoint, serving, seen) VALUES ({}, {}, {}, {}, UTC_TIMESTAMP(3))",
                            name("proxy"),
                            quote_string(workflow_),
                            quote_string(proxy.instance),
                            quote_string(proxy.endpoint.substr(0, kEndpointMax)),
                            quote_string(db::to_string(proxy.serving))));
  });
}

void ProxyRegistry::remove(const std::string& instance) {
  where_there_is_a_sidecar(db_, [&] { db_.execute(fmt::format("DELETE FROM {} WHERE workflow = {} AND instance = {}", name("proxy"), quote_string(workflow_), quote_string(instance))); });
}

std::optional<std::chrono::seconds> ProxyRegistry::age() {
  const auto rows = db_.query(fmt::format("SELECT COALESCE(TIMESTAMPDIFF(SECOND, CREATE_TIME, NOW()), {}) AS age FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_NAME = 'proxy'",
                                          kProxiesKnownAfter.count(),
                                          quote_string(kSidecarSchema)));
  if (rows.empty()) return std::nullopt;
  return std::chrono::seconds(parse_i64(rows.text(0, "age")).value_or(kProxiesKnownAfter.count()));
}

std::vector<ProxyRow> ProxyRegistry::live(std::chrono::milliseconds max_age) {
  std::vector<ProxyRow> found;
  where_there_is_a_sidecar(db_, [&] {
    const auto rows = db_.query(fmt::format("SELECT instance, endpoint, serving, GREATEST(TIMESTAMPDIFF(MICROSECOND, seen, UTC_TIMESTAMP(3)), 0) DIV 1000 AS seen_ago_ms FROM {} "
                                            "WHERE workflow = {} AND seen >= UTC_TIMESTAMP(3) - INTERVAL {} MICROSECOND ORDER BY seen DESC, instance",
                                            name("proxy"),
                                            quote_string(workflow_),
                                            std::chrono::microseconds(max_age).count()));
    found = rows_of(rows, proxy_of);
  });
  return found;
}

}  // namespace godwit::state
