#include "status_json.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "godwit/cutover/cutover.h"

namespace godwit::cli {
namespace {

using nlohmann::json;

void add_serving(json& document, const Survey& survey) {
  document["serving"] = survey.serving ? json(db::to_string(*survey.serving)) : json();
  document["epoch"] = survey.route ? json(survey.route->epoch) : json();
  document["is_switching"] = survey.route && survey.route->is_switching;
  if (survey.serving) document["stream_direction"] = workflow::to_string(workflow::direction_serving(*survey.serving));
  if (!survey.serving) document["serving_unknown"] = survey.why_unknown;
}

json of_table(const CopiedTable& table) {
  return {{"source", table.source}, {"target", table.target}, {"state", table.state}, {"rows", table.rows}, {"bytes", table.bytes}, {"chunks", table.chunks}, {"chunks_done", table.chunks_done}};
}

json of_stream(const StreamView& stream) {
  std::uint64_t rows = 0;
  std::uint64_t bytes = 0;
  std::uint64_t done = 0;
  json tables = json::array();
  for (const auto& table : stream.tables) {
    rows += table.rows;
    bytes += table.bytes;
    done += table.state == "pending" ? 0U : 1U;
    tables.push_back(of_table(table));
  }
  json result{{"shard", stream.row.key.shard}, {"direction", stream.row.key.direction}, {"state", stream.row.state}, {"epoch", stream.row.epoch}, {"is_followed", stream.is_followed},
              {"moved_ms", stream.moved_ago.count()}, {"failed_statements", stream.failed}, {"tables", tables}, {"tables_done", done}, {"rows", rows}, {"bytes", bytes}};
  if (stream.row.position) result["position"] = stream.row.position->text;
  if (!stream.row.last_error.empty()) result["last_error"] = stream.row.last_error;
  const auto seconds = static_cast<std::uint64_t>(std::max<std::int64_t>(stream.age.count(), 1));
  if (stream.row.state == "copying") result["bytes_per_s"] = bytes / seconds;
  return result;
}

void add_comparison(json& document, const Survey& survey) {
  const ServerView* passive = survey.passive();
  document["is_comparison_known"] = passive != nullptr;
  if (passive == nullptr || !passive->vdiff) return;
  const auto& row = passive->vdiff->row;
  document["comparison"] = {{"state", row.state}, {"started", row.started}, {"ended", row.ended}, {"position", row.position}, {"age_s", passive->vdiff->age.count()}};
}

void add_lag(json& document, const Survey& survey) {
  json lag{{"near_ms", cutover::kLagMax.count()}};
  if (survey.is_near) lag["is_near"] = *survey.is_near;
  if (!survey.why_lag_unknown.empty()) lag["unknown"] = survey.why_lag_unknown;
  document["lag"] = lag;
}

}  // namespace

void add_answers(json& document, const Learned& learned) {
  const Survey& survey = learned.survey;
  document["workflow"] = learned.name;
  add_serving(document, survey);
  document["streams"] = json::array();
  for (const auto* stream : survey.streams()) document["streams"].push_back(of_stream(*stream));
  document["is_replicate_heard"] = learned.is_replicate_heard;
  add_lag(document, survey);
  add_comparison(document, survey);
  document["proxies"] = json::array();
  for (const auto& proxy : survey.proxies) {
    document["proxies"].push_back({{"endpoint", proxy.endpoint}, {"serving", db::to_string(proxy.serving)}, {"seen_ms", proxy.seen_ago.count()}, {"is_live", proxy.seen_ago <= state::kProxySilenceMax}});
  }
  const Permission permission = may_switch(learned);
  document["may_switch"] = {{"to", db::to_string(permission.to)}, {"is_allowed", permission.is_given ? json(*permission.is_given) : json()}, {"why", permission.why}};
  document["needs"] = json::array();
  for (const auto& need : needs(learned)) document["needs"].push_back({{"what", need.what}, {"remedy", need.remedy}});
}

std::string phase_of(const Survey& survey) {
  if (!survey.serving) return "unknown";
  if (survey.route && survey.route->is_switching) return "switching";
  const auto streams = survey.streams();
  if (streams.empty()) return *survey.serving == db::Side::target ? "switched" : "recorded";
  const auto any_is = [&](std::string_view state) { return std::ranges::any_of(streams, [&](const StreamView* stream) { return stream->row.state == state; }); };
  if (any_is("error")) return "error";
  if (any_is("creating") || any_is("copying")) return "copying";
  if (any_is("running")) return "replicating";
  return streams.front()->row.state;
}

}  // namespace godwit::cli
