#include "moving_stage.h"

namespace godwit::test {
namespace {

// Both have the same schema, roles and routines; godwit may do everything with them.
void prepare_server(const Server& server) {
  Client client = server.client();
  client.execute("CREATE USER IF NOT EXISTS mover@'%' IDENTIFIED BY ''");
  client.execute("GRANT ALL ON *.* TO mover@'%'");
  client.script(R"(
DROP DATABASE IF EXISTS moving;
CREATE DATABASE moving CHARACTER SET utf8mb4;
CREATE DATABASE IF NOT EXISTS test;
DROP DATABASE IF EXISTS `moving über`;
CREATE DATABASE `moving über`;
CREATE TABLE moving.t (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, v VARCHAR(100)) ENGINE=InnoDB;
INSERT INTO moving.t VALUES (1, 'one'), (2, 'two'), (3, 'three'), (4, 'four');
CREATE TABLE moving.other (id INT NOT NULL PRIMARY KEY, v INT) ENGINE=InnoDB;
INSERT INTO moving.other VALUES (1, 1);
CREATE TABLE moving.narrow (v TINYINT);
DROP ROLE IF EXISTS moving_role;
CREATE ROLE moving_role;
GRANT SELECT ON moving.* TO moving_role;
GRANT moving_role TO godwit@'%';
GRANT moving_role TO mover@'%';
CREATE PROCEDURE moving.make_table() BEGIN CREATE TEMPORARY TABLE hidden (id INT); INSERT INTO hidden VALUES (7); END;
CREATE PROCEDURE moving.set_things() BEGIN SET @from_procedure = 'x'; SET SESSION sort_buffer_size = 524288; END;
CREATE FUNCTION moving.set_buffer(n INT) RETURNS INT NO SQL BEGIN SET SESSION join_buffer_size = n; RETURN n; END;
CREATE PROCEDURE moving.prepare_it() PREPARE hidden FROM 'SELECT 1 + 1';
CREATE PROCEDURE moving.two_results() BEGIN SELECT 1; SELECT 2; END;
)");
  // On MariaDB, which does not show who holds which lock, such a routine keeps every session where it is: a case of its own.
  if (!server.is_mariadb()) client.execute("CREATE PROCEDURE moving.lock_it() DO GET_LOCK('from procedure', 1)");
}

}  // namespace

const std::vector<MovingPair>& moving_pairs() {
  static const std::vector<MovingPair> all{{"MariaDB to MariaDB", "a", "b"}, {"MySQL to MySQL", "c", "d"}, {"MariaDB to MySQL", "a", "c"}, {"MySQL to MariaDB", "c", "a"}};
  return all;
}

MovingStage::MovingStage(const MovingPair& pair, std::vector<std::string> more) : from(pair.from), to(pair.to), is_across(from.is_mariadb() != to.is_mariadb()) {
  prepare_server(from);
  prepare_server(to);
  std::vector<std::string> options{"--drain-timeout", "1s"};
  options.insert(options.end(), more.begin(), more.end());
  const bool has_tls = !from.is_mariadb() || !to.is_mariadb();
  proxy = std::make_unique<Proxy>(from, to, Proxy::Setup{.options = options, .schema = kSchema, .has_tls = has_tls});
}

AppClient::Options MovingStage::login() const {
  auto options = proxy->app(kSchema);
  if (is_across) options.user = "mover";
  if (is_across) options.password = "";
  return options;
}

// What MariaDB and MySQL call differently. A digit too many of a second is rounded by one and cut by the other: the mode that says so travels.
std::string in_common_words(std::string text) {
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{{"utf8mb4_0900_ai_ci", "<usual>"}, {"utf8mb4_general_ci", "<usual>"}, {"utf8mb4_uca1400_ai_ci", "<usual>"}, {"`moving_role`@`%`", "moving_role"}, {"TIME_TRUNCATE_FRACTIONAL", ""}, {"TIME_ROUND_FRACTIONAL", ""}, {"tx_isolation", "transaction isolation"}, {"transaction_isolation", "transaction isolation"}}) {
    for (auto at = text.find(from); at != std::string::npos; at = text.find(from)) text.replace(at, from.size(), to);
  }
  return text;
}

}  // namespace godwit::test
