#include "godwit/workflow/counters.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "godwit/sql/quote.h"
#include "godwit/util/error.h"
#include "godwit/util/text.h"
#include "godwit/workflow/shards.h"
#include "preparation.h"

namespace godwit::workflow {
namespace {

using sql::quote_string;
__extension__ using Wide = __int128;
using Name = std::pair<std::string, std::string>;  // schema, table

constexpr int kPatienceSeconds = 2;
constexpr std::uint64_t kMarginPart = 1'000;  // of what a column has left, the margin takes no more than one part of so many
constexpr unsigned kNotSupported = 1845;        // ALGORITHM=INPLACE is not supported
constexpr unsigned kNotSupportedReason = 1846;

// The largest value of an integer type; of others, none that matters.
std::uint64_t max_of(const std::string& data_type, bool is_unsigned) {
  const std::map<std::string, unsigned> bits{{"tinyint", 8}, {"smallint", 16}, {"mediumint", 24}, {"int", 32}, {"bigint", 64}};
  const auto found = bits.find(data_type);
  if (found == bits.end()) return std::numeric_limits<std::uint64_t>::max();
  const unsigned width = found->second - (is_unsigned ? 0 : 1);
  return width == 64 ? std::numeric_limits<std::uint64_t>::max() : (std::uint64_t{1} << width) - 1;
}

std::uint64_t plus(std::uint64_t a, std::uint64_t b) { return a > std::numeric_limits<std::uint64_t>::max() - b ? std::numeric_limits<std::uint64_t>::max() : a + b; }

struct Counter {
  state::TableRow names;
  std::uint64_t max = 0;  // of the column of `to`
};

// Tables of the stream whose column counts by itself on `to`.
std::vector<Counter> counters(db::Connection& to, const std::vector<state::TableRow>& tables, const std::set<std::string>& schemas) {
  std::map<Name, std::uint64_t> max;
  for (const auto& schema : schemas) {
    const db::Rows rows = to.query(fmt::format("SELECT TABLE_NAME AS name, DATA_TYPE AS type, COLUMN_TYPE AS full_type FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = {} AND EXTRA LIKE '%auto_increment%'",
                                               quote_string(schema)));
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const bool is_unsigned = lower(rows.text(i, "full_type")).find("unsigned") != std::string::npos;
      max[{schema, rows.text(i, "name")}] = max_of(lower(rows.text(i, "type")), is_unsigned);
    }
  }
  std::vector<Counter> result;
  for (const auto& table : tables) {
    if (const auto found = max.find({table.target_schema, table.target_table}); found != max.end()) result.push_back({.names = table, .max = found->second});
  }
  return result;
}

// The next value as the engine has it (MySQL: information_schema_stats_expiry = 0, set on every session): InnoDB counts what it hands out, never back,
// and keeps it through restarts on every version that is supported.
std::map<Name, std::uint64_t> next_values(db::Connection& connection, const std::vector<Name>& tables) {
  std::map<std::string, std::vector<std::string>> by_schema;
  for (const auto& [schema, table] : tables) by_schema[schema].push_back(quote_string(table));
  std::map<Name, std::uint64_t> result;
  for (const auto& [schema, names] : by_schema) {
    const db::Rows rows = connection.query(
        fmt::format("SELECT TABLE_NAME AS name, AUTO_INCREMENT AS next FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_NAME IN ({})", quote_string(schema), join(names, ", ")));
    for (std::size_t i = 0; i < rows.size(); ++i) result[{schema, rows.text(i, "name")}] = rows.is_null(i, "next") ? 1 : rows.u64(i, "next");
  }
  return result;
}

void set_next(db::Connection& to, const Name& table, std::uint64_t value) {
  const std::string alter = fmt::format("ALTER TABLE {} AUTO_INCREMENT = {}", sql::quote_table(table.first, table.second), value);
  try {
    to.execute(alter + ", ALGORITHM = INPLACE, LOCK = NONE");
  } catch (const Error&) {
    // An engine that is not InnoDB may know no other way than its own.
    if (to.last_errno() != kNotSupported && to.last_errno() != kNotSupportedReason) throw;
    to.execute(alter);
  }
}

std::vector<std::string> sequences(db::Connection& connection, const std::string& schema) {
  if (!connection.server().is_mariadb()) return {};
  const db::Rows rows = connection.query(fmt::format("SELECT TABLE_NAME AS name FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_TYPE = 'SEQUENCE'", quote_string(schema)));
  std::vector<std::string> result;
  for (std::size_t i = 0; i < rows.size(); ++i) result.push_back(rows.text(i, "name"));
  return result;
}

struct Sequence {
  std::int64_t next = 0;  // that is not in the server's cache: none beyond was handed out
  std::int64_t increment = 1;
  std::int64_t min = 0;
  std::int64_t max = 0;
};

Sequence read_sequence(db::Connection& connection, const Name& name) {
  const db::Rows rows = connection.query(fmt::format("SELECT next_not_cached_value AS next, increment, minimum_value AS min, maximum_value AS max FROM {}", sql::quote_table(name.first, name.second)));
  const auto number = [&](std::string_view column) { return parse_i64(rows.text(0, column)).value_or(0); };
  return {.next = number("next"), .increment = number("increment"), .min = number("min"), .max = number("max")};
}

// Where the values wrap round there is no "beyond": the other side's place is taken as it is. An increment of 0 is the server's auto_increment_increment.
// Nothing where it need not be raised.
std::optional<std::int64_t> raised_sequence(const Sequence& ours, const Sequence& theirs, std::uint64_t margin) {
  const bool is_falling = theirs.increment < 0;
  const Wide step = is_falling ? theirs.increment : std::max<std::int64_t>(theirs.increment, 1);
  const auto after = [&](std::uint64_t values) {
    const Wide value = static_cast<Wide>(theirs.next) + step * static_cast<Wide>(values);
    return static_cast<std::int64_t>(std::clamp<Wide>(value, theirs.min, theirs.max));
  };
  const std::int64_t needed = after(margin / 2);
  if (is_falling ? ours.next <= needed : ours.next >= needed) return std::nullopt;
  return after(margin);
}

enum class Deed { raise, look };

}  // namespace

struct Counters::Impl {
  Impl(const Definition& forward, db::Side side);
  RaisedCounters go_through(std::uint64_t margin, Deed deed);
  void go_through_tables(std::uint64_t margin, Deed deed, RaisedCounters& result);
  std::set<std::string> schemas(const std::vector<state::TableRow>& tables, std::string state::TableRow::*schema) const;

  const Definition definition;  // as the direction that writes to `to` sees it
  db::Connection from;
  db::Connection to;
  std::vector<Counter> tables;
  std::vector<std::pair<Name, Name>> sequences_there;
  std::vector<std::string> missing;
};

std::set<std::string> Counters::Impl::schemas(const std::vector<state::TableRow>& all, std::string state::TableRow::*schema) const {
  std::set<std::string> result;
  for (const auto& table : all) result.insert(table.*schema);
  return result;
}

Counters::Impl::Impl(const Definition& forward, db::Side side)
    : definition(in_direction(forward, direction_serving(other(side)))), from(db::Connection::open(source_endpoint(definition))), to(db::Connection::open(target_endpoint(definition))) {
  to.execute(fmt::format("SET SESSION lock_wait_timeout = {}", kPatienceSeconds));
  const auto stream = state::Sidecar::exists(to) ? state::Sidecar(to).find(stream_key(definition)) : std::nullopt;
  if (!stream) return;
  const auto all = state::Sidecar(to).tables(stream->id);
  tables = counters(to, all, schemas(all, &state::TableRow::target_schema));
  if (is_sharded(definition)) return;  // a sequence could be of the source, or of a head over the shards, and is not carried
  const catalog::NameMap names = names_of(definition);
  for (const auto& schema : schemas(all, &state::TableRow::source_schema)) {
    const std::string there = names.schema(schema);
    const auto known = sequences(to, there);
    for (const auto& sequence : sequences(from, schema)) {
      const bool is_there = std::find(known.begin(), known.end(), sequence) != known.end();
      if (is_there) sequences_there.push_back({{schema, sequence}, {there, sequence}});
      if (!is_there) missing.push_back(sql::quote_table(there, sequence));
    }
  }
}

// Half of the margin may be used up before it is raised anew: what was raised a moment ago is left alone.
void Counters::Impl::go_through_tables(std::uint64_t margin, Deed deed, RaisedCounters& result) {
  std::vector<Name> theirs;
  std::vector<Name> ours;
  for (const auto& counter : tables) {
    theirs.emplace_back(counter.names.source_schema, counter.names.source_table);
    ours.emplace_back(counter.names.target_schema, counter.names.target_table);
  }
  const auto of_from = next_values(from, theirs);
  const auto of_to = next_values(to, ours);
  for (std::size_t i = 0; i < tables.size(); ++i) {
    const auto next = of_from.find(theirs[i]);
    const auto own = of_to.find(ours[i]);
    if (next == of_from.end() || own == of_to.end()) continue;
    const std::uint64_t max = tables[i].max;
    const std::uint64_t room = std::min(margin, (max - std::min(next->second, max)) / kMarginPart);
    if (next->second > max) result.exhausted.push_back(sql::quote_table(ours[i].first, ours[i].second));
    if (own->second >= std::min(plus(next->second, room / 2), max)) continue;
    if (deed == Deed::raise) set_next(to, ours[i], std::min(plus(next->second, room), max));
    ++result.tables;
    result.names.push_back(fmt::format("AUTO_INCREMENT of {}", sql::quote_table(ours[i].first, ours[i].second)));
  }
}

Counters::Counters(const Definition& definition, db::Side to) : impl_(std::make_unique<Impl>(definition, to)) {}
Counters::~Counters() = default;

RaisedCounters Counters::Impl::go_through(std::uint64_t margin, Deed deed) {
  RaisedCounters result;
  result.missing = missing;
  go_through_tables(margin, deed, result);
  for (const auto& [theirs, ours] : sequences_there) {
    const auto value = raised_sequence(read_sequence(to, ours), read_sequence(from, theirs), margin);
    if (!value) continue;
    const std::string name = sql::quote_table(ours.first, ours.second);
    if (deed == Deed::raise) to.query(fmt::format("SELECT SETVAL({}, {}, 0)", name, *value));
    ++result.sequences;
    result.names.push_back("sequence " + name);
  }
  return result;
}

RaisedCounters Counters::raise(std::uint64_t margin) { return impl_->go_through(margin, Deed::raise); }
RaisedCounters Counters::lacking(std::uint64_t margin) { return impl_->go_through(margin, Deed::look); }

RaisedCounters raise_auto_increment(const Definition& definition, db::Side to, std::uint64_t margin) { return Counters(definition, to).raise(margin); }

}  // namespace godwit::workflow
