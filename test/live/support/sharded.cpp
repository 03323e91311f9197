#include "sharded.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <stdexcept>

#include "compare.h"
#include "godwit/db/snapshot.h"
#include "godwit/state/sidecar.h"
#include "godwit/workflow/shards.h"

namespace godwit::test {
namespace {

struct Table {
  const char* name;
  const char* columns;
};

// By customer, apart from the last two: a key, the shard key in the key, no key at all, a further unique key.
constexpr Table kTables[] = {
    {"orders", "id BIGINT NOT NULL PRIMARY KEY, customer BIGINT NOT NULL, note VARCHAR(60), n INT NOT NULL"},
    {"items", "customer BIGINT NOT NULL, item INT NOT NULL, n INT NOT NULL, PRIMARY KEY (customer, item)"},
    {"visits", "customer BIGINT NOT NULL, at INT NOT NULL"},
    {"mails", "id BIGINT NOT NULL PRIMARY KEY, customer BIGINT NOT NULL, mail VARCHAR(60) NOT NULL, UNIQUE KEY (mail)"},
    {"countries", "code CHAR(2) NOT NULL PRIMARY KEY, n INT NOT NULL"},
    {"settings", "name VARCHAR(20) NOT NULL PRIMARY KEY, n INT NOT NULL"},
};
constexpr const char* kReference = "countries";
constexpr const char* kUnsharded = "settings";

std::string godwit_binary() {
  const char* binary = std::getenv("GODWIT_BIN");
  if (binary == nullptr) throw std::runtime_error("GODWIT_BIN is not set");
  return binary;
}

}  // namespace

Sharded::Sharded(const Server& source, std::vector<const Server*> shards)
    : source_(source), shards_(std::move(shards)), state_("/tmp/godwit-sharded-" + std::to_string(::getpid()) + "-" + std::to_string(source.port())) {
  clean();
  layout_ = workflow::layout_of(definition());
  create_tables();
  begin_streams();
}

Sharded::~Sharded() {
  try {
    clean();
  } catch (const std::exception&) {  // a server may be gone: the next test's own begin says so
  }
}

void Sharded::clean() const {
  source_.client().script("DROP DATABASE IF EXISTS shards;\nDROP DATABASE IF EXISTS _godwit;\n");
  for (std::size_t i = 0; i < count(); ++i) {
    shards_[i]->client().script("DROP DATABASE IF EXISTS " + schema_of(i) + ";\nDROP DATABASE IF EXISTS _godwit;\n");
  }
  for (const char* suffix : {"", "-wal", "-shm"}) ::unlink((state_ + suffix).c_str());
}

void Sharded::create_tables() const {
  source_.client().execute(std::string("CREATE DATABASE ") + kSchema);
  Client source = source_client();
  for (const auto& table : kTables) source.execute(std::string("CREATE TABLE ") + table.name + " (" + table.columns + ")");
  for (std::size_t i = 0; i < count(); ++i) {
    shards_[i]->client().execute("CREATE DATABASE " + schema_of(i));
    Client client = shard_client(i);
    for (const auto& table : kTables) {
      if (i == 0 || table.name != std::string(kUnsharded)) client.execute(std::string("CREATE TABLE ") + table.name + " (" + table.columns + ")");
    }
  }
}

workflow::Definition Sharded::definition() const {
  workflow::Definition definition;
  definition.name = kWorkflow;
  definition.source = db::parse_dsn(source_.dsn(kSchema), "--source");
  definition.source.password = "godwit";
  const auto ranges = shard::even_ranges(count());
  for (std::size_t i = 0; i < count(); ++i) definition.shards.push_back(ranges[i] + "=" + shards_[i]->dsn(schema_of(i)));
  for (const char* table : {"orders", "items", "visits", "mails"}) definition.vindexes.push_back(std::string(table) + ".customer=hash");
  definition.references = {kReference};
  definition.unsharded = {kUnsharded};
  workflow::settle_shards(definition, [](db::Dsn& dsn, const std::string&) { dsn.password = "godwit"; });
  return definition;
}

std::vector<state::TableRow> Sharded::tables_of_stream(std::size_t shard, bool is_reverse) const {
  std::vector<state::TableRow> rows;
  for (const auto& table : kTables) {
    if (shard != 0 && table.name == std::string(kUnsharded)) continue;
    state::TableRow row{.source_schema = kSchema, .source_table = table.name, .target_schema = schema_of(shard), .target_table = table.name, .state = "finished"};
    if (is_reverse) std::swap(row.source_schema, row.target_schema);
    rows.push_back(row);
  }
  return rows;
}

void Sharded::begin_streams() const {
  const auto definitions = workflow::shard_definitions(definition());
  db::Connection source = db::Connection::open(workflow::endpoint_of(definitions[0], db::Side::source));
  const state::StreamBegin begin{.position = db::end_of_binlog(source), .source_identity = source.server().identity, .source_version = source.server().version_text};
  for (std::size_t i = 0; i < count(); ++i) {
    db::Connection target = db::Connection::open(workflow::endpoint_of(definitions[i], db::Side::target));
    state::Sidecar sidecar(target);
    sidecar.create();
    sidecar.prepare_stream(workflow::stream_key(definitions[i]), begin, tables_of_stream(i, false));
  }
}

void Sharded::switch_to_shards() const {
  const auto definitions = workflow::shard_definitions(definition());
  db::Connection source = db::Connection::open(workflow::endpoint_of(definitions[0], db::Side::source));
  db::Connection first = db::Connection::open(workflow::endpoint_of(definitions[0], db::Side::target));
  state::Sidecar(source).create();
  state::Authority authority(first, kWorkflow);
  const auto hold = authority.begin(authority.create().epoch, "test");
  if (!hold) throw std::runtime_error("another switch is under way");
  for (std::size_t i = 0; i < count(); ++i) {
    db::Connection target = db::Connection::open(workflow::endpoint_of(definitions[i], db::Side::target));
    state::Sidecar(target).freeze(state::Sidecar(target).find(workflow::stream_key(definitions[i])).value().id);
    const state::StreamBegin begin{.position = db::end_of_binlog(target), .source_identity = target.server().identity, .source_version = target.server().version_text};
    const auto key = workflow::stream_key(workflow::in_direction(definitions[i], workflow::Direction::reverse));
    state::Sidecar(source).prepare_stream(key, begin, tables_of_stream(i, true));
  }
  if (!authority.commit(hold->epoch)) throw std::runtime_error("the commit was refused");
}

Process Sharded::replicate(const std::vector<std::string>& more, const std::string& failpoints) const {
  const workflow::Definition it = definition();
  std::vector<std::string> all{godwit_binary(), "replicate", kWorkflow, "--source", source_.dsn(kSchema), "--state", state_};
  for (const auto& shard : it.shards) all.insert(all.end(), {"--shard", shard});
  for (const auto& vindex : it.vindexes) all.insert(all.end(), {"--vindex", vindex});
  for (const auto& table : it.references) all.insert(all.end(), {"--reference", table});
  for (const auto& table : it.unsharded) all.insert(all.end(), {"--unsharded", table});
  all.insert(all.end(), more.begin(), more.end());
  auto environment = armed(failpoints);
  environment["GODWIT_SOURCE_PASSWORD"] = environment["GODWIT_TARGET_PASSWORD"] = "godwit";
  return Process(all, environment);
}

void Sharded::catch_up() const {
  Process process = replicate({"--until-current"});
  const Outcome outcome = process.wait();
  if (outcome.status != 0) throw std::runtime_error("replicate --until-current: " + outcome.out + outcome.err);
}

std::size_t Sharded::home(std::int64_t customer) const {
  catalog::Table table{.schema = kSchema, .name = "orders"};
  table.columns.push_back({.name = "customer", .data_type = "bigint", .column_type = "bigint"});
  const std::string text = std::to_string(customer);
  const std::optional<std::string_view> value = text;
  return shard::Route(layout_, table).shard_of({&value, 1});
}

std::string Sharded::table_difference(const std::string& table) const {
  Client source = source_client();
  const auto there = rendered(source, kSchema, table);
  std::vector<std::string> together;
  for (std::size_t i = 0; i < count(); ++i) {
    if (table == kUnsharded && i != 0) continue;
    Client client = shard_client(i);
    const auto rows = rendered(client, schema_of(i), table);
    if (table == kReference && rows != there) return table + " on shard " + std::to_string(i) + ": " + std::to_string(rows.size()) + " rows against " + std::to_string(there.size());
    if (table != kReference || i == 0) together.insert(together.end(), rows.begin(), rows.end());
    if (table == kReference || table == kUnsharded) continue;
    for (const auto& row : client.query("SELECT DISTINCT customer FROM " + table)) {
      if (home(std::stoll(row[0].value())) != i) return table + ": a row of customer " + row[0].value() + " is on shard " + std::to_string(i);
    }
  }
  std::sort(together.begin(), together.end());
  if (together == there) return "";
  const auto [x, y] = std::mismatch(there.begin(), there.end(), together.begin(), together.end());
  return table + ": " + std::to_string(there.size()) + " rows against " + std::to_string(together.size()) + " on the shards; first difference\n  source " + (x == there.end() ? "(none)" : *x) + "\n  shards " +
         (y == together.end() ? "(none)" : *y);
}

std::string Sharded::difference() const {
  for (const auto& table : kTables) {
    if (const std::string text = table_difference(table.name); !text.empty()) return text;
  }
  return "";
}

std::string Sharded::positions(const std::string& direction) const {
  std::string text;
  const auto ranges = shard::even_ranges(count());
  for (std::size_t i = 0; i < count(); ++i) {
    Client client = direction == "reverse" ? source_.client() : shards_[i]->client();
    text += client.scalar("SELECT position FROM _godwit.stream WHERE direction = '" + direction + "' AND shard = '" + ranges[i] + "'") + "; ";
  }
  return text;
}

std::uint64_t Sharded::parked() const { return std::stoull(source_.client().scalar("SELECT COUNT(*) FROM _godwit.parked_row")); }

}  // namespace godwit::test
