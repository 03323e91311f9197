// servers: a=mariadb-10.11 b=mariadb-10.11 c=mysql-9.7 d=mysql-9.7 e=mariadb-11.8 f=mariadb-10.5
// Every type with its extreme values arrives as it was, on each pair of the matrix, by bulk insert (to MariaDB) or LOAD DATA (to MySQL), and by INSERT.
#include "catch.h"
#include "live/fixtures/fidelity.h"
#include "live/support/compare.h"
#include "live/support/process.h"

using namespace godwit::test;

namespace {

void copy_and_compare(const std::string& source_name, const std::string& target_name, const std::vector<std::string>& more) {
  const Server source(source_name);
  const Server target(target_name);
  INFO(source.flavour() << " -> " << target.flavour());
  const Migration migration(source, target, "fidelity");
  migration.clean();
  Client from = source.client();
  load_fidelity(from, source.flavour());
  if (source.is_mariadb() != target.is_mariadb()) drop_what_the_other_flavour_lacks(from, source.flavour());
  if (source.flavour() == "mariadb-11.8" && target.is_mariadb()) from.execute("DROP TABLE fidelity.vectors");
  // A MariaDB of today stores 0 where -0 is written, by whatever statement: nothing can carry it there.
  if (target.is_mariadb()) from.execute("UPDATE fidelity.numbers SET f = 0, fd = 0 WHERE id = 8");
  std::vector<std::string> options{"--allow-no-key", "--chunk-size", "2KiB"};
  options.insert(options.end(), more.begin(), more.end());
  const Outcome outcome = migration.run("copy", options);
  INFO(outcome.out << outcome.err);
  REQUIRE(outcome.status == 0);
  Client to = target.client();
  CHECK(difference(from, "fidelity", to, "fidelity") == "");
  migration.clean();
}

}  // namespace

TEST_CASE("every type arrives as it was: MariaDB 10.11 to MariaDB 10.11", "[fidelity]") { copy_and_compare("a", "b", {}); }
TEST_CASE("every type arrives as it was: MySQL 9.7 to MySQL 9.7", "[fidelity]") { copy_and_compare("c", "d", {}); }
TEST_CASE("every type arrives as it was: MariaDB 10.11 to MySQL 9.7", "[fidelity]") { copy_and_compare("a", "c", {}); }
TEST_CASE("every type arrives as it was: MySQL 9.7 to MariaDB 10.11", "[fidelity]") { copy_and_compare("c", "a", {}); }
TEST_CASE("every type arrives as it was: MariaDB 11.8 to MariaDB 10.11", "[fidelity]") { copy_and_compare("e", "a", {}); }
TEST_CASE("every type arrives as it was: MariaDB 11.8 to MySQL 9.7", "[fidelity]") { copy_and_compare("e", "c", {}); }
TEST_CASE("every type arrives as it was: MariaDB 10.5 to MariaDB 10.11", "[fidelity]") { copy_and_compare("f", "a", {}); }
TEST_CASE("every type arrives as it was: MariaDB 10.5 to MySQL 9.7", "[fidelity]") { copy_and_compare("f", "c", {}); }
TEST_CASE("by INSERT it is the same: MariaDB 10.11", "[fidelity]") { copy_and_compare("a", "b", {"--no-load-data"}); }
TEST_CASE("by INSERT it is the same: MySQL 9.7", "[fidelity]") { copy_and_compare("c", "d", {"--no-load-data"}); }
TEST_CASE("by INSERT it is the same: MariaDB 10.11 to MySQL 9.7", "[fidelity]") { copy_and_compare("a", "c", {"--no-load-data"}); }
TEST_CASE("by INSERT it is the same: MySQL 9.7 to MariaDB 10.11", "[fidelity]") { copy_and_compare("c", "a", {"--no-load-data"}); }

TEST_CASE("vectors go without their index, and check says so", "[fidelity]") {
  const Server source("e");
  const Server target("c");
  const Migration migration(source, target, "fidelity");
  migration.clean();
  Client from = source.client();
  from.execute("CREATE DATABASE fidelity");
  from.execute("CREATE TABLE fidelity.near (id INT PRIMARY KEY, v VECTOR(3) NOT NULL, VECTOR INDEX by_v (v))");
  const Outcome outcome = migration.run("check");
  INFO(outcome.out << outcome.err);
  CHECK(outcome.status == 0);
  for (const char* words : {"`fidelity`.`near`.`by_v`", "the vector index is not carried", "create it on the target after the switch"}) CHECK(outcome.out.find(words) != std::string::npos);
  migration.clean();
}

TEST_CASE("the comparison of these tests finds a changed byte", "[fidelity]") {
  const Server source("a");
  const Server target("b");
  for (const Server* server : {&source, &target}) {
    Client client = server->client();
    client.execute("DROP DATABASE IF EXISTS fidelity");
    load_fidelity(client, server->flavour());
  }
  Client from = source.client();
  Client to = target.client();
  REQUIRE(difference(from, "fidelity", to, "fidelity") == "");
  to.execute("UPDATE fidelity.numbers SET f = f * 1.0000002 WHERE f = 1.5");
  CHECK(difference(from, "fidelity", to, "fidelity") != "");
  from.execute("DROP DATABASE fidelity");
  to.execute("DROP DATABASE fidelity");
}
