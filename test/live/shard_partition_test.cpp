// servers: a=mariadb-10.11
// Where MariaDB's own partitioning puts a row is where godwit computes it to be: HASH, RANGE and LIST over every integer type, at both ends of it,
// around every bound, at random, and for NULL; a row that MariaDB refuses has no partition here either.
#include "godwit/shard/partition.h"

#include <algorithm>
#include <iostream>
#include <random>
#include <set>

#include "catch.h"
#include "godwit/util/text.h"
#include "live/support/seed.h"
#include "live/support/servers.h"

using namespace godwit;
using namespace godwit::shard;
using godwit::test::Cells;
using godwit::test::Client;
using godwit::test::Server;

namespace {

struct IntegerType {
  std::string name;
  std::string lowest;
  std::string highest;
  bool is_signed() const { return lowest != "0"; }
};

const std::vector<IntegerType> kTypes{{"TINYINT", "-128", "127"},
                                      {"TINYINT UNSIGNED", "0", "255"},
                                      {"INT", "-2147483648", "2147483647"},
                                      {"INT UNSIGNED", "0", "4294967295"},
                                      {"BIGINT", "-9223372036854775808", "9223372036854775807"},
                                      {"BIGINT UNSIGNED", "0", "18446744073709551615"}};

// How the operator writes a scheme, and how MariaDB is told.
struct Case {
  std::string spec;
  std::string sql;
  std::size_t partitions = 0;
};

class Chance {
 public:
  Chance() : seed_(test::seed_of_this_run()), engine_(seed_) { std::cout << "shard_partition: GODWIT_SEED=" << seed_ << std::endl; }
  std::size_t below(std::size_t end) { return std::uniform_int_distribution<std::size_t>(0, end - 1)(engine_); }

  // Small ones, or any.
  std::string value(const IntegerType& type) {
    const bool is_small = below(2) == 0;
    const std::string digits = std::to_string(is_small ? below(300) : engine_());
    return (type.is_signed() && below(2) == 0 ? "-" : "") + digits.substr(0, 1 + below(type.highest.size()));
  }

 private:
  std::uint64_t seed_;
  std::mt19937_64 engine_;
};

bool fits(const std::string& text, const IntegerType& type) {
  const auto value = parse_integer(text);
  return value && !(*value < *parse_integer(type.lowest)) && !(*parse_integer(type.highest) < *value);
}

// Beside each of the numbers and on it, both ends, and many at random; each once.
std::set<Integer> values_of(const IntegerType& type, const std::vector<std::string>& around, Chance& chance) {
  std::set<Integer> values;
  const auto add = [&](const std::string& text) {
    if (fits(text, type)) values.insert(*parse_integer(text));
  };
  for (const char* const text : {"0", "1", "-1", type.lowest.c_str(), type.highest.c_str()}) add(text);
  for (const auto& text : around) {
    add(text);
    if (const auto number = parse_i64(text); number && std::abs(*number) < 1'000'000'000) {
      add(std::to_string(*number - 1));
      add(std::to_string(*number + 1));
    }
  }
  for (int i = 0; i < 300; ++i) add(chance.value(type));
  return values;
}

std::string literals(const std::set<Integer>& values) {
  std::string text = "(NULL)";
  for (const Integer& value : values) text += ",(" + shard::to_string(value) + ")";
  return text;
}

std::optional<Integer> integer_of(const std::optional<std::string>& cell) { return cell ? parse_integer(*cell) : std::nullopt; }

// Inserts them all, those that have no place with a warning, and looks where each has come to lie.
void check_places(Client& client, const IntegerType& type, const Case& it, const std::set<Integer>& values) {
  INFO(type.name << " " << it.sql);
  const Scheme scheme = parse_scheme({.text = it.spec, .partitions = it.partitions}, "--partition");
  client.execute("CREATE OR REPLACE TABLE parted.t (v " + type.name + " NULL) PARTITION BY " + it.sql);
  client.execute("INSERT IGNORE INTO parted.t VALUES " + literals(values));
  std::size_t found = 0;
  for (std::size_t i = 0; i < it.partitions; ++i) {
    for (const Cells& row : client.query("SELECT v FROM parted.t PARTITION (p" + std::to_string(i) + ")")) {
      INFO("v = " << row[0].value_or("NULL"));
      CHECK(partition_of(scheme, integer_of(row[0])) == i);
      ++found;
    }
  }
  std::size_t placed = partition_of(scheme, std::nullopt) ? 1 : 0;
  for (const Integer& value : values) placed += partition_of(scheme, value) ? 1U : 0U;
  CHECK(found == placed);
  CHECK(found > 0);
}

// So many numbers of the type, rising.
std::vector<std::string> some_values(const IntegerType& type, std::size_t count, Chance& chance) {
  std::set<Integer> values;
  while (values.size() < count) {
    if (const std::string text = chance.value(type); fits(text, type)) values.insert(*parse_integer(text));
  }
  std::vector<std::string> texts;
  for (const Integer& value : values) texts.push_back(shard::to_string(value));
  return texts;
}

Case range_case(const std::vector<std::string>& bounds, bool is_open) {
  Case it{.spec = "RANGE(v) " + join(bounds, ", ") + (is_open ? ", MAXVALUE" : ""), .sql = "RANGE(v) (", .partitions = bounds.size() + (is_open ? 1 : 0)};
  for (std::size_t i = 0; i < bounds.size(); ++i) it.sql += (i == 0 ? "" : ", ") + ("PARTITION p" + std::to_string(i)) + " VALUES LESS THAN (" + bounds[i] + ")";
  if (is_open) it.sql += ", PARTITION p" + std::to_string(bounds.size()) + " VALUES LESS THAN MAXVALUE";
  it.sql += ")";
  return it;
}

struct ListOptions {
  bool has_null = false;
  bool has_default = false;
};

// Members dealt out to three partitions.
Case list_case(const std::vector<std::string>& members, const ListOptions& options) {
  std::vector<std::vector<std::string>> lists(3);
  for (std::size_t i = 0; i < members.size(); ++i) lists[i % 3].push_back(members[i]);
  if (options.has_null) lists[1].push_back("NULL");
  Case it{.spec = "LIST(v) ", .sql = "LIST(v) (", .partitions = options.has_default ? 4U : 3U};
  for (std::size_t i = 0; i < 3; ++i) {
    it.spec += (i == 0 ? "(" : ", (") + join(lists[i], ", ") + ")";
    it.sql += (i == 0 ? "" : ", ") + ("PARTITION p" + std::to_string(i)) + " VALUES IN (" + join(lists[i], ", ") + ")";
  }
  if (options.has_default) {
    it.spec += ", DEFAULT";
    it.sql += ", PARTITION p3 DEFAULT";
  }
  it.sql += ")";
  return it;
}

Client fresh_client() {
  Client client = Server("a").client();
  client.execute("CREATE OR REPLACE DATABASE parted");
  return client;
}

}  // namespace

TEST_CASE("hash partitions are MariaDB's, for every integer type and many numbers of partitions", "[shard_partition]") {
  Client client = fresh_client();
  Chance chance;
  for (const IntegerType& type : kTypes) {
    for (const std::size_t partitions : {1U, 2U, 3U, 4U, 5U, 7U, 10U, 16U, 61U}) {
      const Case it{.spec = "HASH(v)", .sql = "HASH(v) PARTITIONS " + std::to_string(partitions), .partitions = partitions};
      check_places(client, type, it, values_of(type, {}, chance));
    }
  }
}

TEST_CASE("range partitions are MariaDB's, around every bound, with an end and without", "[shard_partition]") {
  Client client = fresh_client();
  Chance chance;
  for (const IntegerType& type : kTypes) {
    for (const std::size_t count : {1U, 2U, 5U, 20U}) {
      auto bounds = some_values(type, count, chance);
      if (bounds.front() == type.lowest) bounds.front() = type.is_signed() ? "-127" : "1";  // MariaDB takes it, but nothing is below
      std::ranges::sort(bounds, {}, [](const std::string& text) { return *parse_integer(text); });
      bounds.erase(std::unique(bounds.begin(), bounds.end()), bounds.end());
      for (const bool is_open : {false, true}) check_places(client, type, range_case(bounds, is_open), values_of(type, bounds, chance));
    }
  }
  const IntegerType& widest = kTypes.back();
  check_places(client, widest, range_case({"9223372036854775807", "9223372036854775808", "18446744073709551615"}, true), values_of(widest, {"9223372036854775808", "18446744073709551614"}, chance));
}

TEST_CASE("list partitions are MariaDB's, with and without NULL and a default partition", "[shard_partition]") {
  Client client = fresh_client();
  Chance chance;
  for (const IntegerType& type : kTypes) {
    for (const ListOptions options : {ListOptions{}, ListOptions{.has_null = true}, ListOptions{.has_default = true}, ListOptions{.has_null = true, .has_default = true}}) {
      const auto members = some_values(type, 30, chance);
      check_places(client, type, list_case(members, options), values_of(type, members, chance));
    }
  }
}

TEST_CASE("MariaDB's optimizer looks for a value in the partition that godwit computes", "[shard_partition]") {
  Client client = fresh_client();
  client.execute("CREATE TABLE parted.e (v BIGINT NULL) PARTITION BY HASH(v) PARTITIONS 7");
  const Scheme scheme = parse_scheme({.text = "HASH(v)", .partitions = 7}, "--partition");
  for (const std::string value : {"-9223372036854775808", "-15", "-1", "0", "6", "7", "9223372036854775807"}) {
    const auto plan = client.query("EXPLAIN PARTITIONS SELECT * FROM parted.e WHERE v = " + value);
    INFO(value);
    CHECK(plan.at(0).at(3) == "p" + std::to_string(partition_of(scheme, parse_integer(value)).value()));
  }
}

TEST_CASE("what godwit refuses of an unsigned column, MariaDB refuses", "[shard_partition]") {
  Client client = fresh_client();
  for (const std::string partitions : {"RANGE(v) (PARTITION p0 VALUES LESS THAN (-1), PARTITION p1 VALUES LESS THAN (5))", "LIST(v) (PARTITION p0 VALUES IN (5), PARTITION p1 VALUES IN (-1))"}) {
    CHECK_THROWS_WITH(client.execute("CREATE TABLE parted.u (v INT UNSIGNED) PARTITION BY " + partitions), Catch::Contains("out of partition function domain"));
  }
}
