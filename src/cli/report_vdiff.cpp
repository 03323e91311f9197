#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "godwit/util/text.h"
#include "grid.h"
#include "report.h"
#include "terminal.h"

namespace godwit::cli {
namespace {

using nlohmann::json;
using workflow::Verdict;

const char* to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::identical:
      return "identical";
    case Verdict::different:
      return "different";
    case Verdict::partial:
      return "partial";
  }
  return "";
}

json to_json(const workflow::VdiffDifference& difference) {
  json values = json::array();
  for (const auto& value : difference.values) values.push_back({{"column", value.column}, {"source", value.source}, {"target", value.target}});
  return {{"kind", difference.kind}, {"key", difference.key}, {"shard", difference.shard}, {"belongs_on", difference.belongs}, {"count", difference.count}, {"values", values}, {"is_repaired", difference.is_repaired}};
}

json to_json(const workflow::VdiffTable& table) {
  json samples = json::array();
  for (const auto& sample : table.samples) samples.push_back(to_json(sample));
  return {{"source", table.source},
          {"target", table.target},
          {"state", table.state},
          {"why", table.why},
          {"manner", table.manner},
          {"is_everywhere", table.is_everywhere},
          {"source_rows", table.source_rows},
          {"target_rows", table.target_rows},
          {"equal", table.equal()},
          {"missing", table.missing},
          {"extra", table.extra},
          {"different", table.different},
          {"misplaced", table.misplaced},
          {"repaired", table.repaired},
          {"unsettled", table.unsettled},
          {"duration_ms", table.duration.count()},
          {"left_out_columns", table.left_out},
          {"samples", samples}};
}

std::string words_of(const workflow::VdiffDifference& sample) {
  const std::string on = sample.shard.empty() ? "" : " on shard " + sample.shard;
  if (sample.kind == "missing") return "missing" + (on.empty() ? " on the target" : on);
  if (sample.kind == "extra") return (on.empty() ? "on the target" : "on shard " + sample.shard) + " only";
  if (sample.kind == "different") return "different" + on;
  return fmt::format("{}, where it does not belong: its shard is {}", on.empty() ? "on a shard" : on.substr(1), sample.belongs.empty() ? "none" : sample.belongs);
}

void print_sample(const workflow::VdiffTable& table, const workflow::VdiffDifference& sample) {
  const std::string what = words_of(sample);
  const std::string where = sample.key.empty() ? "a row" : sample.key;
  print_line(fmt::format("{}: {}{}: {}{}", table.source, where, sample.count > 1 ? fmt::format(" ({} times)", format_count(sample.count)) : "", what, sample.is_repaired ? ", repaired" : ""));
  if (sample.kind != "different" && sample.kind != "misplaced" && !sample.key.empty()) return;
  for (const auto& value : sample.values) {
    if (!value.source.empty()) fmt::print("    {:<24} source {}\n", value.column, value.source);
    if (!value.target.empty()) fmt::print("    {:<24} target {}\n", value.source.empty() ? value.column : "", value.target);
  }
}

void print_tables(const workflow::VdiffReport& report) {
  std::vector<std::string> heads{"table", "compared by", "source", "target", "equal", "missing", "extra", "different", "time"};
  if (!report.shards.empty()) heads.insert(heads.end() - 1, "misplaced");
  Grid grid(heads, 2);
  for (const auto& table : report.tables) {
    const std::string manner = (table.state == "unchanged" ? "unchanged since" : table.manner) + (table.is_everywhere ? ", each shard" : "");
    std::vector<std::string> cells{table.source, manner, format_count(table.source_rows), format_count(table.target_rows), format_count(table.equal()), format_count(table.missing), format_count(table.extra), format_count(table.different)};
    if (!report.shards.empty()) cells.push_back(format_count(table.misplaced));
    cells.push_back(format_duration(table.duration));
    grid.add(cells);
  }
  grid.print();
}

// The last line is the one that people go by.
std::string verdict_line(const workflow::VdiffReport& report) {
  std::uint64_t rows = 0;
  std::uint64_t differences = 0;
  std::uint64_t unsettled = 0;
  std::uint64_t repaired = 0;
  std::size_t unfinished = 0;
  for (const auto& table : report.tables) {
    rows += table.source_rows;
    differences += table.missing + table.extra + table.different + table.misplaced;
    unsettled += table.unsettled;
    repaired += table.repaired;
    unfinished += table.state == "compared" || table.state == "unchanged" ? 0U : 1U;
  }
  const std::string what = fmt::format("{} tables, {} rows", report.tables.size(), format_count(rows));
  const std::string mended = repaired == 0 ? "" : fmt::format(" ({} repaired)", format_count(repaired));
  switch (report.verdict) {
    case Verdict::identical:
      return fmt::format("{}: {} at position {}{}", what, report.only_keys ? "the same keys" : "identical", report.position, mended);
    case Verdict::different:
      return fmt::format("{}: {} rows DIFFER at position {}{}{}", what, format_count(differences), report.position, mended, unfinished == 0 ? "" : fmt::format("; {} tables are not compared to their end", unfinished));
    case Verdict::partial:
      return fmt::format("{}: PARTIAL: {} rows could not be settled, {} tables are not compared to their end; position {}", what, format_count(unsettled), unfinished, report.position);
  }
  return what;
}

}  // namespace

void print_vdiff(const std::string& name, const workflow::VdiffReport& report, int status, bool is_json) {
  if (is_json) {
    json tables = json::array();
    for (const auto& table : report.tables) tables.push_back(to_json(table));
    print_json("vdiff",
               {{"workflow", name},
                {"code", status},
                {"verdict", to_string(report.verdict)},
                {"position", report.position},
                {"shards", report.shards},
                {"only_keys", report.only_keys},
                {"pairs", report.pairs},
                {"held_us_max", report.held_max.count()},
                {"writes_held_us", report.writes_held.count()},
                {"duration_ms", report.duration.count()},
                {"went_on", report.was_resumed},
                {"tables", tables}});
    return;
  }
  print_tables(report);
  for (const auto& table : report.tables) {
    for (const auto& sample : table.samples) print_sample(table, sample);
    if (!table.why.empty()) print_line(fmt::format("{}: not compared to its end: {}", table.source, table.why));
    if (!table.left_out.empty()) print_line(fmt::format("{}: not compared, since the source has no such column: {}", table.source, join(table.left_out, ", ")));
  }
  print_line(fmt::format("{} in {}, {} snapshot pairs; the stream stood still for {:.1f} ms at most", name, format_duration(report.duration), report.pairs, static_cast<double>(report.held_max.count()) / 1000));
  print_line(verdict_line(report));
}

}  // namespace godwit::cli
