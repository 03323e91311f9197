#include "godwit/shard/spider.h"

#include "refused.h"
#include "godwit/util/error.h"

using namespace godwit;
using namespace godwit::shard;

namespace {

const std::vector<std::string> kTwo{"-80=mysql://u:secret@a:3306/shop", "80-=mysql://u:secret@b:3307/shop"};

constexpr const char* kOrders =
    "CREATE TABLE `orders` (\n  `id` bigint(20) NOT NULL AUTO_INCREMENT,\n  `customer_id` int(11) NOT NULL,\n  `words` varchar(60) NOT NULL DEFAULT 'it''s',\n"
    "  PRIMARY KEY (`id`),\n  KEY `by_customer` (`customer_id`,`words`(10)),\n  FULLTEXT KEY `w` (`words`),\n"
    "  CONSTRAINT `fk` FOREIGN KEY (`customer_id`) REFERENCES `customers` (`id`),\n  CONSTRAINT `some` CHECK (`customer_id` > 0)\n"
    ") ENGINE=InnoDB AUTO_INCREMENT=17 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='of customers'";

catalog::Table orders() {
  catalog::Table table{.schema = "shop", .name = "orders", .engine = "InnoDB", .charset = "utf8mb4", .collation = "utf8mb4_bin"};
  table.columns = {{.name = "id", .data_type = "bigint", .column_type = "bigint(20)", .is_nullable = false, .is_auto_increment = true},
                   {.name = "customer_id", .data_type = "int", .column_type = "int(11)", .is_nullable = false},
                   {.name = "words", .data_type = "varchar", .column_type = "varchar(60)", .charset = "utf8mb4"}};
  table.keys = {{.name = "PRIMARY", .is_unique = true, .index_type = "BTREE", .parts = {{.column = "id"}}},
                {.name = "by_customer", .index_type = "BTREE", .parts = {{.column = "customer_id"}, {.column = "words", .prefix_length = 10}}},
                {.name = "w", .index_type = "FULLTEXT", .parts = {{.column = "words"}}}};
  table.create_sql = kOrders;
  return table;
}

HeadTable head_table_of(const catalog::Table& table, std::size_t shards) {
  catalog::DdlOptions options;
  options.source.flavour = options.target.flavour = db::Flavour::mariadb;
  options.target_collations = {"utf8mb4_bin"};
  return {.table = &table, .clauses = catalog::target_clauses(table, options), .places = std::vector<HeadTable::Place>(shards, {.schema = "shop", .name = table.name})};
}

std::vector<HeadObject> head_of(const catalog::Table& table, LayoutOptions options) {
  if (options.shards.empty()) options.shards = kTwo;
  const Layout layout = parse_layout(options);
  return spider_head(layout, {.workflow = "move", .schema_sql = {"CREATE DATABASE IF NOT EXISTS `shop`"}, .schemas = {"shop"}, .tables = {head_table_of(table, layout.shards.size())}});
}

std::string sql_of(const std::vector<HeadObject>& objects, HeadKind kind) {
  std::string text;
  for (const auto& object : objects) text += object.kind == kind ? object.sql + "\n" : "";
  return text;
}

std::string refusal(const catalog::Table& table, const LayoutOptions& options) {
  try {
    head_of(table, options);
  } catch (const Error& error) {
    CHECK(!error.remedy().empty());
    return std::string(info(error.code()).name) + ": " + error.object();
  }
  return "taken";
}

const LayoutOptions kByCustomer{.partitions = {"orders=HASH(customer_id)"}};

}  // namespace

TEST_CASE("a head has a server for each shard, and shows no password", "[shard]") {
  const auto objects = head_of(orders(), kByCustomer);
  const std::string servers = sql_of(objects, HeadKind::server);
  CHECK(servers ==
        "CREATE OR REPLACE SERVER `godwit_move_0` FOREIGN DATA WRAPPER mysql OPTIONS (HOST 'a', PORT 3306, USER 'u', PASSWORD '<password>')\n"
        "CREATE OR REPLACE SERVER `godwit_move_1` FOREIGN DATA WRAPPER mysql OPTIONS (HOST 'b', PORT 3307, USER 'u', PASSWORD '<password>')\n");
  CHECK(with_password(objects[1].sql, "it's").find("PASSWORD 'it\\'s')") != std::string::npos);
  for (const auto& object : objects) CHECK(object.sql.find("secret") == std::string::npos);
}

TEST_CASE("a table that is spread out is partitioned over the shards, and its shard key is guarded", "[shard]") {
  const auto objects = head_of(orders(), kByCustomer);
  CHECK(sql_of(objects, HeadKind::table) ==
        "CREATE TABLE `shop`.`orders` (\n"
        "  `id` bigint(20) NOT NULL AUTO_INCREMENT,\n"
        "  `customer_id` int(11) NOT NULL,\n"
        "  `words` varchar(60) NOT NULL DEFAULT 'it''s',\n"
        "  PRIMARY KEY (`id`, `customer_id`),\n"  // the head hands its values out: they are unique by themselves
        "  KEY `by_customer` (`customer_id`, `words`(10)),\n"
        "  FULLTEXT KEY `w` (`words`),\n"
        "  CONSTRAINT `some` CHECK (`customer_id` > 0)\n"
        ") ENGINE=SPIDER DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='wrapper \"mysql\", auto_increment_mode \"1\"'\n"
        "PARTITION BY HASH (`customer_id`) (\n"
        "  PARTITION `-80` COMMENT = 'srv \"godwit_move_0\", database \"shop\", table \"orders\"',\n"
        "  PARTITION `80-` COMMENT = 'srv \"godwit_move_1\", database \"shop\", table \"orders\"'\n"
        ")\n");
  CHECK(sql_of(objects, HeadKind::trigger) ==
        "CREATE TRIGGER `shop`.`_godwit_key_orders` BEFORE UPDATE ON `shop`.`orders` FOR EACH ROW IF NOT (NEW.`customer_id` <=> OLD.`customer_id`) THEN "
        "SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 1644, MESSAGE_TEXT = 'godwit: the shard key customer_id of orders cannot be changed'; END IF\n");
}

TEST_CASE("ranges and lists become partitions with the same bounds", "[shard]") {
  const std::string ranges = sql_of(head_of(orders(), {.partitions = {"orders=RANGE(customer_id) 1000, MAXVALUE"}}), HeadKind::table);
  CHECK(ranges.find("PARTITION BY RANGE (`customer_id`)") != std::string::npos);
  CHECK(ranges.find("PARTITION `-80` VALUES LESS THAN (1000) COMMENT") != std::string::npos);
  CHECK(ranges.find("PARTITION `80-` VALUES LESS THAN MAXVALUE COMMENT") != std::string::npos);
  const std::string lists = sql_of(head_of(orders(), {.partitions = {"orders=LIST(customer_id) (1, 3, NULL), DEFAULT"}}), HeadKind::table);
  CHECK(lists.find("PARTITION `-80` VALUES IN (NULL, 1, 3) COMMENT") != std::string::npos);
  CHECK(lists.find("PARTITION `80-` DEFAULT COMMENT") != std::string::npos);
}

TEST_CASE("a reference table is linked to every shard, an unsharded one to the first; neither is guarded", "[shard]") {
  const auto everywhere = head_of(orders(), {.references = {"orders"}});
  CHECK(sql_of(everywhere, HeadKind::table).find(R"(srv "godwit_move_0 godwit_move_1", database "shop shop", table "orders orders")") != std::string::npos);
  CHECK(sql_of(everywhere, HeadKind::trigger).empty());
  const auto first = head_of(orders(), {.unsharded = {"orders"}});
  CHECK(sql_of(first, HeadKind::table).find(R"(srv "godwit_move_0", database "shop", table "orders")") != std::string::npos);
  CHECK(sql_of(first, HeadKind::table).find("PRIMARY KEY (`id`),") != std::string::npos);
  CHECK(sql_of(first, HeadKind::trigger).empty());
}

TEST_CASE("what has no Spider form is refused by its name", "[shard]") {
  CHECK(refusal(orders(), {.vindexes = {"orders.customer_id=hash"}}) == "not_servable: `shop`.`orders`");
  auto table = orders();
  table.columns[2].generated = catalog::Generated::virtual_column;
  CHECK(refusal(table, kByCustomer) == "not_servable: `shop`.`orders`.`words`");
  table = orders();
  table.columns[2].data_type = "float";
  CHECK(refusal(table, {.unsharded = {"orders"}}) == "not_servable: `shop`.`orders`.`words`");
  table = orders();
  table.keys[1].is_unique = true;
  CHECK(refusal(table, kByCustomer) == "taken");  // it holds the shard key
  table.keys[1].parts[0].column = "words";
  CHECK(refusal(table, kByCustomer) == "not_servable: `shop`.`orders` key `by_customer`");
  table = orders();
  table.columns[0].is_auto_increment = false;
  CHECK(refusal(table, kByCustomer) == "not_servable: `shop`.`orders` key `PRIMARY`");
  CHECK(refusal(table, {.partitions = {"orders=HASH(id)"}}) == "taken");
  table = orders();
  table.keys[1].is_unique = table.keys[1].is_hash = true;
  const Error hashed = refusal([&] { head_of(table, kByCustomer); });
  CHECK(hashed.code() == Code::not_servable);
  CHECK(hashed.object() == "`shop`.`orders` key `by_customer`");
  CHECK(hashed.cause() == "a unique key over a long column or an expression has no Spider form");
  CHECK(hashed.remedy() == "a unique key over plain columns");
  table = orders();
  table.name = "or ders";
  CHECK(refusal(table, {.unsharded = {"`or ders`"}}) == "not_servable: `shop`.`or ders`");
}

TEST_CASE("a head connects by TLS where the shards' DSNs have an authority, and is refused where they only demand it", "[shard]") {
  const std::string ca = "?ssl-mode=verify_identity&ssl-ca=/etc/ca.pem";
  const std::vector<std::string> both{kTwo[0] + ca, kTwo[1] + ca};
  const std::string everywhere = sql_of(head_of(orders(), {.shards = both, .references = {"orders"}}), HeadKind::table);
  CHECK(everywhere.find(R"(ssl_ca "/etc/ca.pem /etc/ca.pem", ssl_verify_server_cert "1 1")") != std::string::npos);
  const std::string spread = sql_of(head_of(orders(), {.shards = {kTwo[0], both[1]}, .partitions = {"orders=HASH(id)"}}), HeadKind::table);
  CHECK(spread.find(R"(ssl_ca "/etc/ca.pem")") != std::string::npos);
  CHECK(refusal(orders(), {.shards = {kTwo[0], both[1]}, .references = {"orders"}}) == "not_servable: --shard -80");
  CHECK(refusal(orders(), {.shards = {kTwo[0] + "?ssl-mode=required", kTwo[1]}, .references = {"orders"}}) == "not_servable: --shard -80");
}

TEST_CASE("names that would be too long for the server get a stand-in", "[shard]") {
  auto table = orders();
  table.name = std::string(60, 'o');
  for (const auto& object : head_of(table, {.partitions = {table.name + "=HASH(id)"}})) CHECK(object.name.size() <= 64);
}
