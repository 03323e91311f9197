// One binlog routed to several shards: random histories in which rows change their shard, applied by each shard on its own and with kills in between; what the
// union of the shards is at the end; and what is refused by name.
#include <fmt/format.h>

#include <map>
#include <memory>
#include <random>

#include "catch.h"
#include "godwit/apply/assembler.h"
#include "godwit/shard/layout.h"
#include "godwit/util/error.h"

using namespace godwit;
using namespace godwit::apply;

namespace {

struct Row {
  std::int64_t id = 0;
  std::int64_t customer = 0;
  std::int64_t n = 0;
  bool operator==(const Row&) const = default;
};
using Rows = std::map<std::int64_t, Row>;

std::string number(std::int64_t value) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * i) & 0xff));
  return bytes;
}

// present: which of the columns the image has, lowest bit first.
std::string image(const Row& row, unsigned present = 7) {
  std::string bytes(1, '\0');  // nothing is NULL
  if ((present & 1U) != 0) bytes += number(row.id);
  if ((present & 2U) != 0) bytes += number(row.customer);
  if ((present & 4U) != 0) bytes += number(row.n);
  return bytes;
}

catalog::Table table_of(const std::string& name) {
  catalog::Table table;
  table.schema = "shop";
  table.name = name;
  for (const char* column : {"id", "customer", "n"}) table.columns.push_back({.name = column, .data_type = "bigint", .column_type = "bigint", .is_nullable = false});
  catalog::Key key;
  key.name = "PRIMARY";
  key.is_unique = true;
  key.index_type = "BTREE";
  key.parts.push_back({.column = "id"});
  table.keys.push_back(key);
  return table;
}

// What a source writes into its binlog, as events whose bytes live as long as it does.
class Binlog {
 public:
  explicit Binlog(const std::string& name) {
    auto map = std::make_shared<binlog::TableMap>();
    map->schema = "shop";
    map->table = name;
    for (const char* column : {"id", "customer", "n"}) map->columns.push_back({.type = binlog::ColumnType::longlong, .is_unsigned = false, .name = column});
    map_ = map;
  }

  gtid::Gtid begin() {
    gtid_.number += 1;
    put(binlog::Gtid{.gtid = gtid_});
    put(binlog::Query{.schema = "shop", .sql = "BEGIN"});
    return gtid_;
  }
  void insert(const Row& row) { rows(binlog::RowsKind::insert, image(row), 0, 7); }
  void erase(const Row& row, unsigned present = 7) { rows(binlog::RowsKind::erase, image(row, present), present, 0); }
  void update(const Row& before, const Row& after, unsigned present_before = 7, unsigned present_after = 7) {
    rows(binlog::RowsKind::update, image(before, present_before) + image(after, present_after), present_before, present_after);
  }
  void commit() { put(binlog::Xid{}); }

  const std::vector<std::unique_ptr<binlog::Event>>& events() const { return events_; }

 private:
  template <typename Body>
  void put(Body body) {
    auto event = std::make_unique<binlog::Event>();
    event->body = std::move(body);
    events_.push_back(std::move(event));
  }
  std::string_view keep(std::string bytes) { return *texts_.emplace_back(std::make_unique<std::string>(std::move(bytes))); }
  void rows(binlog::RowsKind kind, std::string bytes, unsigned before, unsigned after) {
    binlog::Rows rows{.table = map_, .kind = kind, .column_count = 3, .rows = keep(std::move(bytes))};
    if (before != 0) rows.present_before = keep(std::string(1, static_cast<char>(before)));
    if (after != 0) rows.present_after = keep(std::string(1, static_cast<char>(after)));
    put(rows);
  }

  gtid::MysqlGtid gtid_{};
  std::shared_ptr<const binlog::TableMap> map_;
  std::vector<std::unique_ptr<std::string>> texts_;
  std::vector<std::unique_ptr<binlog::Event>> events_;
};

shard::Layout layout_of(std::size_t shards, const shard::LayoutOptions& tables) {
  shard::LayoutOptions options = tables;
  for (const auto& range : shard::even_ranges(shards)) options.shards.push_back(range + "=mysql://g@127.0.0.1:" + std::to_string(4000 + options.shards.size()) + "/shop");
  return shard::parse_layout(options);
}

// One shard's table, which takes nothing that does not fit.
struct Shard {
  Rows rows;
  gtid::Set position{gtid::Flavour::mysql};

  static Row row_of(std::string_view values) {
    Row row;
    std::sscanf(std::string(values).c_str(), "%ld, %ld, %ld", &row.id, &row.customer, &row.n);
    return row;
  }
  void apply(const Change& change) {
    if (change.kind != ChangeKind::insert) REQUIRE(rows.erase(std::stol(change.old_key)) == 1);
    if (change.kind == ChangeKind::erase) return;
    const Row row = row_of(change.values);
    REQUIRE(std::to_string(row.id) == change.new_key);
    REQUIRE(rows.emplace(row.id, row).second);
  }
};

struct Stage {
  Stage(std::size_t count, const shard::LayoutOptions& tables, const std::string& name) : layout(layout_of(count, tables)), shards(count), binlog(name) {
    const catalog::Table table = table_of(name);
    std::vector<catalog::Transfer> transfers;
    for (const auto& column : table.columns) transfers.push_back({.column = column.name, .select = column.name});
    for (std::size_t i = 0; i < count; ++i) {
      catalog::Table there = table;
      there.schema = "shop_" + std::to_string(i);
      bindings.emplace_back().push_back(apply::bind(table, there, transfers, db::Server{}));
    }
    routes = shard::make_routes(layout, std::vector<catalog::Table>{table});
  }

  std::vector<TargetTables> targets() const {
    std::vector<TargetTables> result;
    for (const auto& of_shard : bindings) result.push_back({.bindings = &of_shard, .routes = &routes, .shard = result.size()});
    return result;
  }

  // Reads everything from the beginning; each shard commits a transaction or is killed before it, and then misses all that follows.
  void read(std::mt19937& random, unsigned survival_percent) {
    Assembler assembler(targets(), {.part_bytes_max = 8U << 20});
    std::vector<bool> is_dead(shards.size(), false);
    assembler.is_wanted = [&](std::size_t i, const gtid::Gtid& gtid) { return !shards[i].position.contains(gtid); };
    for (const auto& event : binlog.events()) {
      const auto transaction = assembler.take(*event);
      if (!transaction) continue;
      for (std::size_t i = 0; i < shards.size(); ++i) {
        is_dead[i] = is_dead[i] || random() % 100 >= survival_percent;
        if (is_dead[i] || shards[i].position.contains(transaction->gtid)) continue;
        for (const auto& change : transaction->changes) {
          if (change.target == i) shards[i].apply(change);
        }
        shards[i].position.add(transaction->gtid);
      }
    }
  }

  std::size_t home(const Row& row) const {
    const std::string text = std::to_string(row.customer);
    const std::optional<std::string_view> value = text;
    return routes[0].shard_of({&value, 1});
  }

  shard::Layout layout;
  std::vector<Shard> shards;
  std::vector<std::vector<TableBinding>> bindings;
  std::vector<shard::Route> routes;
  Binlog binlog;
};

Code code_of(Stage& stage) {
  std::mt19937 random(1);
  try {
    stage.read(random, 100);
  } catch (const Error& error) {
    INFO(error.what());
    CHECK(error.object().find("orders") != std::string::npos);
    return error.code();
  }
  return Code::internal_error;
}

// A transaction of up to five changes, some of which give a row another customer or another key.
void write_transaction(Stage& stage, Rows& rows, std::mt19937& random) {
  stage.binlog.begin();
  for (unsigned changes = random() % 6; changes > 0; --changes) {
    const auto id = static_cast<std::int64_t>(random() % 12);
    const auto found = rows.find(id);
    Row row{.id = id, .customer = static_cast<std::int64_t>(random() % 9), .n = static_cast<std::int64_t>(random() % 1000)};
    if (found == rows.end()) {
      stage.binlog.insert(row);
      rows[id] = row;
      continue;
    }
    const Row before = found->second;
    if (random() % 4 == 0) {
      stage.binlog.erase(before);
      rows.erase(id);
      continue;
    }
    if (random() % 3 == 0) row.id = static_cast<std::int64_t>(12 + random() % 100);
    if (row.id != id && rows.count(row.id) != 0) row.id = id;
    stage.binlog.update(before, row);
    rows.erase(id);
    rows[row.id] = row;
  }
  stage.binlog.commit();
}

}  // namespace

TEST_CASE("routing: the shards' union is the source, each row is on its shard, whichever shards are killed at which transaction", "[apply]") {
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 60; ++round) {
    Stage stage(1 + random() % 7, {.vindexes = {"orders.customer=hash"}}, "orders");
    Rows source;
    for (int i = 0; i < 60; ++i) write_transaction(stage, source, random);
    for (int run = 0; run < 6; ++run) stage.read(random, 97);
    stage.read(random, 100);
    Rows together;
    for (std::size_t i = 0; i < stage.shards.size(); ++i) {
      for (const auto& [id, row] : stage.shards[i].rows) {
        CHECK(stage.home(row) == i);
        CHECK(together.emplace(id, row).second);
      }
    }
    CHECK(together == source);
  }
}

TEST_CASE("routing: a reference table's rows go to every shard, an unsharded table's to the first", "[apply]") {
  std::mt19937 random(7);
  for (const bool is_reference : {true, false}) {
    Stage stage(3, is_reference ? shard::LayoutOptions{.references = {"orders"}} : shard::LayoutOptions{.unsharded = {"orders"}}, "orders");
    Rows source;
    for (int i = 0; i < 40; ++i) write_transaction(stage, source, random);
    stage.read(random, 100);
    for (std::size_t i = 0; i < 3; ++i) CHECK(stage.shards[i].rows == (is_reference || i == 0 ? source : Rows{}));
  }
}

TEST_CASE("routing: a row image without the shard key is refused by name, unless what it lacks did not change", "[apply]") {
  const auto fresh = [] { return Stage(2, {.vindexes = {"orders.customer=hash"}}, "orders"); };
  const Row row{.id = 1, .customer = 5, .n = 1};
  SECTION("a deleted row's") {
    Stage stage = fresh();
    stage.binlog.begin();
    stage.binlog.erase(row, 1);
    CHECK(code_of(stage) == Code::row_image_incomplete);
  }
  SECTION("an updated row's") {
    Stage stage = fresh();
    stage.binlog.begin();
    stage.binlog.update(row, row, 1, 4);
    CHECK(code_of(stage) == Code::row_image_incomplete);
  }
  SECTION("one that goes to another shard, without all its columns") {
    Stage stage = fresh();
    Row moved = row;
    while (stage.home(moved) == stage.home(row)) ++moved.customer;
    stage.binlog.begin();
    stage.binlog.update(row, moved, 3, 2);
    CHECK(code_of(stage) == Code::row_image_incomplete);
  }
  SECTION("the after image leaves out what did not change") {
    Stage stage = fresh();
    stage.binlog.begin();
    stage.binlog.insert(row);
    stage.binlog.update(row, {.id = 1, .customer = 0, .n = 9}, 7, 4);
    stage.binlog.commit();
    std::mt19937 random(1);
    stage.read(random, 100);
    CHECK(stage.shards[stage.home(row)].rows.at(1) == Row{.id = 1, .customer = 5, .n = 9});
  }
}

TEST_CASE("routing: a row that has no place stops the stream by name", "[apply]") {
  Stage stage(2, {.vindexes = {"orders.customer=numeric"}}, "orders");
  stage.binlog.begin();
  stage.binlog.insert({.id = 1, .customer = -1, .n = 0});
  CHECK(code_of(stage) == Code::row_unplaced);
}

TEST_CASE("routing: a row that had no place is on no shard: its end is for none, and its change brings it to one", "[apply]") {
  Stage stage(2, {.vindexes = {"orders.customer=numeric"}}, "orders");
  const Row lost{.id = 1, .customer = -1, .n = 0};
  const Row mended{.id = 2, .customer = 7, .n = 5};
  stage.binlog.begin();
  stage.binlog.erase(lost);
  stage.binlog.update({.id = 2, .customer = -2, .n = 5}, mended);
  stage.binlog.commit();
  std::mt19937 random(1);
  stage.read(random, 100);
  CHECK(stage.shards[stage.home(mended)].rows == Rows{{2, mended}});
  CHECK(stage.shards[1 - stage.home(mended)].rows.empty());

  stage.binlog.begin();
  stage.binlog.update(mended, lost);  // but none may become so
  CHECK(code_of(stage) == Code::row_unplaced);
}

TEST_CASE("routing: one shard alone gets its rows, and those that leave and come", "[apply]") {
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  Stage stage(4, {.vindexes = {"orders.customer=hash"}}, "orders");
  Rows source;
  for (int i = 0; i < 60; ++i) write_transaction(stage, source, random);
  Assembler assembler({stage.targets()[2]}, {});
  Shard shard;
  for (const auto& event : stage.binlog.events()) {
    const auto transaction = assembler.take(*event);
    for (std::size_t i = 0; transaction && i < transaction->changes.size(); ++i) {
      CHECK(transaction->changes[i].target == 0);
      shard.apply(transaction->changes[i]);
    }
  }
  std::erase_if(source, [&](const auto& row) { return stage.home(row.second) != 2; });
  CHECK(shard.rows == source);
}

TEST_CASE("routing: only the shards that want a transaction get its changes", "[apply]") {
  Stage stage(2, {.references = {"orders"}}, "orders");
  stage.binlog.begin();
  stage.binlog.insert({.id = 1, .customer = 1, .n = 1});
  stage.binlog.commit();
  Assembler assembler(stage.targets(), {});
  assembler.is_wanted = [](std::size_t i, const gtid::Gtid&) { return i == 1; };
  std::optional<Transaction> transaction;
  for (const auto& event : stage.binlog.events()) transaction = assembler.take(*event);
  REQUIRE(transaction);
  REQUIRE(transaction->changes.size() == 1);
  CHECK(transaction->changes[0].target == 1);
  CHECK(transaction->changes[0].table->target == "`shop_1`.`orders`");
}

// DDL is for those that have its table: which of them is told by the first migrated table that it names.
TEST_CASE("routing: a statement knows which shards have its table", "[apply]") {
  std::vector<TableBinding> first;
  std::vector<TableBinding> second;
  for (const char* name : {"orders", "settings"}) {
    const catalog::Table table = table_of(name);
    std::vector<catalog::Transfer> transfers;
    for (const auto& column : table.columns) transfers.push_back({.column = column.name, .select = column.name});
    first.push_back(apply::bind(table, table, transfers, db::Server{}));
    if (table.name == "orders") second.push_back(first.back());
  }
  const auto places = [&](const std::string& sql) {
    Assembler assembler({{.bindings = &first, .routes = nullptr, .shard = 0}, {.bindings = &second, .routes = nullptr, .shard = 1}}, {});
    binlog::Event begin;
    begin.body = binlog::Gtid{.gtid = gtid::MysqlGtid{.number = 1}};
    CHECK(!assembler.take(begin));
    binlog::Event statement;
    statement.body = binlog::Query{.schema = "shop", .sql = sql};
    const auto transaction = assembler.take(statement);
    REQUIRE(transaction);
    REQUIRE(transaction->kind == TransactionKind::statement);
    return transaction->statement.is_there;
  };
  const std::vector<bool> both{true, true};
  const std::vector<bool> one{true, false};
  CHECK(places("ALTER TABLE orders ADD COLUMN settings INT") == both);
  CHECK(places("ALTER TABLE `shop`.`settings` ADD COLUMN x INT") == one);
  CHECK(places("alter table settings add foreign key (id) references orders (id)") == one);
  CHECK(places("CREATE UNIQUE INDEX settings ON orders (n)") == both);
  CHECK(places("DROP INDEX orders ON settings") == one);
  CHECK(places("TRUNCATE settings") == one);
  CHECK(places("ALTER DATABASE shop CHARACTER SET utf8mb4").empty());
}
