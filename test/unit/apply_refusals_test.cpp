// What the stream refuses of a binlog, of a definition and of what it has stored itself: by events made by hand, since hardly any server writes them.
// Each has its code, what it is about, its cause and a way on.
#include <array>
#include <functional>
#include <memory>

#include "../../src/apply/prepared.h"
#include "../../src/apply/row_change.h"
#include "catch.h"
#include "godwit/apply/assembler.h"
#include "godwit/apply/cascades.h"
#include "godwit/util/error.h"

using namespace godwit;
using namespace godwit::apply;
using State = binlog::Cell::State;

namespace {

struct Refusal {
  Code code;
  std::string object;  // of this and the others, a part
  std::string cause;
  std::string remedy;
};

bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

void must_refuse(const Refusal& expected, const std::function<void()>& deed) {
  INFO(expected.cause);
  try {
    deed();
  } catch (const Error& error) {
    INFO(error.what());
    CHECK(error.code() == expected.code);
    CHECK(holds(error.object(), expected.object));
    CHECK(holds(error.cause(), expected.cause));
    CHECK(holds(error.remedy(), expected.remedy));
    return;
  }
  FAIL("it was taken");
}

// Numbers, of which the first is the primary key.
catalog::Table table_of(const std::string& name, const std::vector<std::string>& columns) {
  catalog::Table table{.schema = "shop", .name = name};
  for (const auto& column : columns) table.columns.push_back({.name = column, .data_type = "bigint", .column_type = "bigint", .is_nullable = false});
  catalog::Key key{.name = "PRIMARY", .is_unique = true, .index_type = "BTREE"};
  key.parts.push_back({.column = columns.front()});
  table.keys.push_back(key);
  return table;
}

TableBinding binding_of(const catalog::Table& table) { return apply::bind(table, table, catalog::transfers(table, table, {}), db::Server{}); }

std::shared_ptr<binlog::TableMap> map_of(const catalog::Table& table) {
  auto map = std::make_shared<binlog::TableMap>();
  map->schema = table.schema;
  map->table = table.name;
  for (const auto& column : table.columns) map->columns.push_back({.type = column.data_type == "json" ? binlog::ColumnType::json : binlog::ColumnType::longlong, .is_unsigned = false, .name = column.name});
  return map;
}

const catalog::Table kOrders = table_of("orders", {"id", "customer"});
const std::string kOne(8, '\1');

// A binlog as its events come in, one after the other.
struct Stage {
  explicit Stage(AssemblerOptions options = {}) : assembler({{.bindings = &bindings}}, options) {}

  template <typename Body>
  std::optional<Transaction> take(Body body, binlog::Header header = {}) {
    binlog::Event event{.header = header, .body = std::move(body)};
    return assembler.take(event);
  }
  std::optional<Transaction> begin() {
    take(binlog::Gtid{.gtid = gtid::MysqlGtid{.number = ++number}});
    return take(binlog::Query{.schema = "shop", .sql = "BEGIN"});
  }
  std::optional<Transaction> statement(std::string_view sql) { return take(binlog::Query{.schema = "shop", .sql = sql}); }
  std::optional<Transaction> insert() {
    return take(binlog::Rows{.table = map, .kind = binlog::RowsKind::insert, .column_count = 2, .present_after = "\3", .rows = row});
  }

  const std::vector<TableBinding> bindings{binding_of(kOrders)};
  const std::shared_ptr<const binlog::TableMap> map = map_of(kOrders);
  const std::string row = std::string(1, '\0') + kOne + kOne;
  Assembler assembler;
  std::uint64_t number = 0;
};

binlog::Cell present(const std::string& bytes = kOne) { return {.state = State::value, .bytes = bytes}; }

// One row's change of a table, of which the image has these cells.
struct Image {
  explicit Image(const catalog::Table& table) : layout(binlog::make_layout(map_of(table))) {}
  Change erase(const TableBinding& binding, const std::vector<binlog::Cell>& before) const {
    const binlog::Rows event{.table = layout.table, .kind = binlog::RowsKind::erase};
    const binlog::Row row{.before = before};
    return change_of(binding, layout, {.event = event, .row = row});
  }
  Change update(const TableBinding& binding, const std::vector<binlog::Cell>& before, const std::vector<binlog::Cell>& after) const {
    const binlog::Rows event{.table = layout.table, .kind = binlog::RowsKind::update};
    const binlog::Row row{.before = before, .after = after};
    return change_of(binding, layout, {.event = event, .row = row});
  }
  binlog::Layout layout;
};

// Orders whose rows refer to a customer, whom they follow.
struct Family {
  explicit Family(const std::vector<std::string>& parent_columns, const std::string& referenced) {
    source.tables = {table_of("customers", parent_columns), kOrders};
    source.tables[1].foreign_keys.push_back({.name = "f", .columns = {"customer"}, .referenced_schema = "shop", .referenced_table = "customers", .referenced_columns = {referenced}, .on_update = "RESTRICT", .on_delete = "CASCADE"});
  }
  std::vector<TableBinding> bind() const {
    std::vector<TableBinding> bindings;
    for (const auto& table : source.tables) bindings.push_back(binding_of(table));
    bind_cascades(bindings, source);
    return bindings;
  }
  catalog::Catalog source;
};

}  // namespace

TEST_CASE("refused: events in an order that no server writes", "[apply_refusals]") {
  const auto stray = [](const std::string& what) { return Refusal{Code::event_corrupt, "binlog stream", what + " stands where it cannot", "godwit inspect binlog"}; };
  must_refuse(stray("a GTID"), [] {
    Stage stage;
    stage.begin();
    stage.begin();
  });
  must_refuse(stray("a row event"), [] { Stage().insert(); });
  must_refuse(stray("the end of a transaction"), [] { Stage().take(binlog::Xid{}); });
  must_refuse(stray("the statement INSERT INTO orders VALUES (1, 2)"), [] { Stage().statement("INSERT INTO orders VALUES (1, 2)"); });
}

TEST_CASE("refused: what a binlog holds and no stream can follow", "[apply_refusals]") {
  must_refuse({Code::event_unsupported, "an anonymous transaction", "without a GTID", "SET GLOBAL gtid_mode = ON"}, [] { Stage().take(binlog::Gtid{.is_anonymous = true}); });
  must_refuse({Code::event_unsupported, "START_ENCRYPTION", "are encrypted", "through the server"}, [] { Stage().take(binlog::StartEncryption{}); });
  const binlog::Header unknown{.type = static_cast<binlog::EventType>(99)};
  must_refuse({Code::event_unsupported, "event 99", "must not be ignored", "a newer godwit"}, [&] { Stage().take(binlog::Unknown{}, unknown); });
  CHECK(!Stage().take(binlog::Unknown{}, {.type = unknown.type, .flags = binlog::Header::kIgnorable}));
}

TEST_CASE("refused: a rollback of what is applied already", "[apply_refusals]") {
  const Refusal whole{Code::event_unsupported, ":1", "rolled back after a part of it was applied", "tables without transactions"};
  const Refusal unseen{Code::event_unsupported, ":1", "ROLLBACK TO `s` names a savepoint that was not seen or is applied already", "tables without transactions"};
  const auto after_a_part = [](std::string_view sql) {
    Stage stage({.part_bytes_max = 1});
    stage.begin();
    stage.statement("SAVEPOINT `s`");
    const auto part = stage.insert();
    REQUIRE(part);
    REQUIRE(part->kind == TransactionKind::part);
    stage.statement(sql);
  };
  must_refuse(whole, [&] { after_a_part("ROLLBACK"); });
  must_refuse(unseen, [&] { after_a_part("ROLLBACK TO `s`"); });
  must_refuse(unseen, [] {
    Stage stage;
    stage.begin();
    stage.statement("ROLLBACK TO `s`");
  });
}

TEST_CASE("refused: a table map that is not the table that was bound", "[apply_refusals]") {
  const TableBinding binding = binding_of(kOrders);
  const auto map = map_of(kOrders);
  CHECK_NOTHROW(require_fit(binding, *map));
  map->columns[1].type = binlog::ColumnType::varchar;
  must_refuse({Code::schema_misfit, "`shop`.`orders`", "column customer is of type varchar in the binlog, bigint in its definition", "copy again"}, [&] { require_fit(binding, *map); });
  map->columns[1].name = "client";
  must_refuse({Code::schema_misfit, "`shop`.`orders`", "column 2 is client in the binlog, customer in its definition", "copy again"}, [&] { require_fit(binding, *map); });
}

TEST_CASE("refused: keys of columns that the target computes", "[apply_refusals]") {
  catalog::Table generated = kOrders;
  generated.columns[0].generated = catalog::Generated::stored;
  must_refuse({Code::no_usable_key, "`shop`.`orders`", "its key PRIMARY has a generated column", "primary key of ordinary columns"}, [&] { binding_of(generated); });
  Family family({"id", "code"}, "code");
  family.source.tables[0].columns[1].generated = catalog::Generated::stored;
  must_refuse({Code::cascades_not_logged, "`shop`.`customers`", "a foreign key refers to the generated column `code`", "--exclude-tables"}, [&] { family.bind(); });
}

TEST_CASE("refused: foreign keys that lead on in too many ways", "[apply_refusals]") {
  catalog::Catalog source;
  source.tables = {table_of("people", {"id", "manager", "mentor"})};
  for (const char* column : {"manager", "mentor"}) {
    source.tables[0].foreign_keys.push_back({.name = column, .columns = {column}, .referenced_schema = "shop", .referenced_table = "people", .referenced_columns = {"id"}, .on_update = "RESTRICT", .on_delete = "CASCADE"});
  }
  std::vector<TableBinding> bindings{binding_of(source.tables[0])};
  must_refuse({Code::cascades_not_logged, "`shop`.`people`", "in more ways than can be followed", "--exclude-tables"}, [&] { bind_cascades(bindings, source); });
}

TEST_CASE("refused: row images that lack what their row is found by", "[apply_refusals]") {
  catalog::Table keyless = kOrders;
  keyless.keys.clear();
  must_refuse({Code::row_image_incomplete, "`shop`.`orders`", "the table has no key, and a row event lacks the column `customer`", "binlog_row_image = FULL"},
              [&] { Image(keyless).erase(binding_of(keyless), {present(), {}}); });
  TableBinding shared = binding_of(kOrders);
  share(shared, {"customer"});
  must_refuse({Code::row_image_incomplete, "`shop`.`orders`", "a row event lacks `customer`, a column of the shard key", "FULL on every shard"},
              [&] { Image(kOrders).erase(shared, {present(), {}}); });
}

TEST_CASE("refused: the difference of a JSON value without the value", "[apply_refusals]") {
  catalog::Table table = kOrders;
  table.columns[1].data_type = table.columns[1].column_type = "json";
  must_refuse({Code::row_image_incomplete, "`shop`.`orders`", "holds how the JSON column `customer` changed, and not what it was", "binlog_row_value_options = ''"},
              [&] { Image(table).update(binding_of(table), {present(), {}}, {{}, {.state = State::json_diff}}); });
}

TEST_CASE("refused: cascades of a parent whose event lacks what its children refer to", "[apply_refusals]") {
  const Family family({"id", "code"}, "code");
  auto bindings = family.bind();
  const Image customers(family.source.tables[0]);
  CHECK(holds(customers.erase(bindings[0], {present(), {}}).cascades, "SELECT godwit_old.`code`"));  // looked up, where all its rows are there
  bindings[0].is_partial = true;
  must_refuse({Code::row_image_incomplete, "`shop`.`customers`", "lacks the column `code`, by which foreign keys changed other rows while the copy ran", "FULL on the source; then godwit cancel"},
              [&] { customers.erase(bindings[0], {present(), {}}); });
}

TEST_CASE("refused: a cascade that sends rows to another shard", "[apply_refusals]") {
  const Family family({"id"}, "id");
  const auto bindings = family.bind();
  const Image customers(family.source.tables[0]);
  const binlog::Rows event{.table = customers.layout.table, .kind = binlog::RowsKind::erase};
  const std::vector<binlog::Cell> before{present()};
  const binlog::Row row{.before = before};
  const RowOfEvent it{.event = event, .row = row};
  CHECK(holds(cascades_of(bindings[0], customers.layout, it, {false}).cascades, "DELETE `shop`.`orders`"));
  must_refuse({Code::cascades_not_logged, "`shop`.`customers`", "changed the shard key of rows of `shop`.`orders`, which then belong to other shards", "the children's first"},
              [&] { cascades_of(bindings[0], customers.layout, it, {true}); });
}

TEST_CASE("refused: stored changes of a prepared transaction that are damaged, or of a table that is left out now", "[apply_refusals]") {
  const std::vector<TableBinding> bindings{binding_of(kOrders)};
  const std::string stored = serialize({{.table = bindings.data(), .kind = ChangeKind::erase, .old_key = "1"}});
  CHECK(deserialize(stored, bindings).at(0).old_key == "1");
  const Refusal cut{Code::event_corrupt, "_godwit.prepared_xa", "a stored change is cut short", "copy again"};
  must_refuse(cut, [&] { deserialize(stored.substr(0, 2), bindings); });
  must_refuse(cut, [&] { deserialize(stored.substr(0, stored.size() - 1), bindings); });
  must_refuse({Code::schema_misfit, "`shop`.`orders`", "is not migrated any more", "copy again"}, [&] { deserialize(stored, {}); });
  std::string flagless = stored.substr(0, stored.find("orders") + 6);
  flagless += std::string("\1\0\0\0x", 5);
  must_refuse({Code::event_corrupt, "_godwit.prepared_xa", "a stored change has no flags", "copy again"}, [&] { deserialize(flagless, bindings); });
}
