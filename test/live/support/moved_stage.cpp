#include "moved_stage.h"

#include <tuple>

#include "catch.h"

namespace godwit::test {
namespace {

void prepare_server(const Server& server, const std::string& side) {
  Client client = server.client();
  client.execute("CREATE USER IF NOT EXISTS mover@'%' IDENTIFIED BY ''");
  client.execute("GRANT ALL ON *.* TO mover@'%'");
  client.script(R"(
DROP DATABASE IF EXISTS moved;
CREATE DATABASE moved CHARACTER SET utf8mb4;
USE moved;
CREATE TABLE t (id INT NOT NULL PRIMARY KEY, v VARCHAR(100)) ENGINE=InnoDB;
INSERT INTO t VALUES (1, 'one'), (2, 'two'), (3, 'three'), (4, 'four'), (5, 'five'), (6, 'six');
CREATE TABLE log (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, v LONGTEXT) ENGINE=InnoDB;
CREATE PROCEDURE make_table() BEGIN CREATE TEMPORARY TABLE hidden (id INT); INSERT INTO hidden VALUES (7); END;
)");
  client.execute("CREATE TABLE moved.side (name VARCHAR(10))");
  client.execute("INSERT INTO moved.side VALUES ('" + side + "')");
}

Server prepared(const std::string& name, const std::string& side) {
  Server server(name);
  prepare_server(server, side);
  return server;
}

std::vector<std::string> options_with(const std::vector<std::string>& more) {
  std::vector<std::string> options{"--drain-timeout", "2s"};
  options.insert(options.end(), more.begin(), more.end());
  return options;
}

}  // namespace

MovedStage::MovedStage(const std::string& first, const std::string& second, const std::vector<std::string>& more)
    : from(prepared(first, "source")), to(prepared(second, "target")), proxy(from, to, Proxy::Setup{.options = options_with(more), .schema = kSchema}) {}

RawClient::Options MovedStage::raw() const {
  auto options = proxy.raw(kSchema);
  options.user = "mover";
  options.password = "";
  return options;
}

AppClient::Options MovedStage::login() const {
  auto options = proxy.app(kSchema);
  options.user = "mover";
  options.password = "";
  return options;
}

std::string MovedStage::refusal(const std::string& pause) {
  const auto paused = proxy.command(pause);
  if (paused.is_ok()) proxy.must("RESUME");
  return paused.is_ok() ? "PAUSE went through" : paused.message;
}

void on_each_flavour(const std::function<void(MovedStage&)>& test) {
  for (const auto& [name, first, second] : {std::tuple{"MariaDB", "a", "b"}, std::tuple{"MySQL", "c", "d"}}) {
    DYNAMIC_SECTION(name) {
      MovedStage stage(first, second);
      test(stage);
    }
  }
}

}  // namespace godwit::test
