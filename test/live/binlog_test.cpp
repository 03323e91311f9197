// servers: a=mariadb-10.11 c=mysql-9.7 e=mariadb-11.8 f=mariadb-10.5
// Rows that come out of the stream are, byte for byte, what the server itself selects of them.
#include "catch.h"
#include "live/fixtures/fidelity.h"
#include "live/support/compare.h"
#include "live/support/row_images.h"

using namespace godwit;
using namespace godwit::test;

namespace {

struct Fixture {
  explicit Fixture(const std::string& name) : server(name), client(server.client()) {
    client.execute("DROP DATABASE IF EXISTS fidelity");
  }
  ~Fixture() { client.execute("DROP DATABASE IF EXISTS fidelity"); }

  Server server;
  Client client;
};

void check_rows(const std::map<std::string, TableRows>& logged, const std::string& table, const TableRows& rows) {
  INFO(table);
  const auto found = logged.find(table);
  CHECK(difference(found == logged.end() ? TableRows{} : found->second, rows) == "");
}

std::map<std::string, TableRows> all_selected(Fixture& it) {
  std::map<std::string, TableRows> rows;
  for (const auto& table : tables_of(it.client, "fidelity")) rows[table] = selected(it.server, "fidelity", table);
  return rows;
}

// Inserts, then deletes of all rows; before images of the deletes must be the same rows again.
void check_fidelity(const std::string& name, const std::vector<std::string>& settings, const ReadOptions& options) {
  Fixture it(name);
  INFO(it.server.flavour());
  for (const auto& setting : settings) it.client.execute(setting);
  const auto start = position_of(it.server);
  load_fidelity(it.client, it.server.flavour());
  const auto rows = all_selected(it);
  const auto inserts = read_changes(it.server, start, "fidelity", options);
  for (const auto& [table, expected] : rows) check_rows(inserts.inserted, table, expected);

  const auto loaded = position_of(it.server);
  it.client.execute("SET foreign_key_checks = 0");
  for (const auto& [table, expected] : rows) it.client.execute("DELETE FROM fidelity." + quoted(table));
  const auto deletes = read_changes(it.server, loaded, "fidelity", options);
  for (const auto& [table, expected] : rows) check_rows(deletes.before, table, expected);
}

}  // namespace

TEST_CASE("logged rows of every type are what the server selects: MariaDB 10.11", "[binlog]") { check_fidelity("a", {}, {}); }
TEST_CASE("logged rows of every type are what the server selects: MariaDB 11.8", "[binlog]") { check_fidelity("e", {}, {}); }
TEST_CASE("logged rows of every type are what the server selects: MariaDB 10.5", "[binlog]") { check_fidelity("f", {}, {}); }
TEST_CASE("logged rows of every type are what the server selects: MySQL 9.7", "[binlog]") { check_fidelity("c", {}, {}); }
TEST_CASE("on MySQL the table map alone says all that reading needs", "[binlog]") { check_fidelity("c", {}, {.has_facts = false}); }
