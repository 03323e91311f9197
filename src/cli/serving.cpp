#include "serving.h"

#include <fmt/format.h>

#include "godwit/cutover/cutover.h"
#include "godwit/util/error.h"
#include "options.h"

namespace godwit::cli {
namespace {

constexpr std::chrono::seconds kPatience{3};

std::optional<state::Route> read_route(const state::Workflow& recorded, const std::string& target_defaults_file) {
  db::Dsn dsn = workflow::definition_from(recorded).target;
  fill_password(dsn, "GODWIT_TARGET_PASSWORD", target_defaults_file, "--target");
  dsn.schema.clear();
  db::Endpoint endpoint{.side = db::Side::target, .dsn = dsn};
  endpoint.connect_timeout = kPatience;
  endpoint.read_timeout = kPatience;
  db::Connection target = db::Connection::open(endpoint);
  return state::Authority(target, recorded.name).read();
}

}  // namespace

Serving ask_who_serves(const state::Workflow& recorded, const std::string& target_defaults_file) {
  if (recorded.phase == cutover::kCompletedPhase) return {.side = db::Side::target, .route = {}, .why_unknown = {}};
  Serving found;
  try {
    found.route = read_route(recorded, target_defaults_file);
    const auto without = recorded.phase == cutover::kCompletingPhase ? db::Side::target : db::Side::source;
    found.side = found.route ? found.route->serving : without;
  } catch (const Error& error) {
    found.why_unknown = fmt::format("{}: {}", error.is_retryable() ? "the target is unreachable" : "the target does not say it", error.cause());
  }
  return found;
}

}  // namespace godwit::cli
