#include "gate_stage.h"

namespace godwit::test {
namespace {

void prepare_server(const Server& server, const std::string& name) {
  Client client = server.client();
  client.script(R"(
DROP DATABASE IF EXISTS gate;
CREATE DATABASE gate CHARACTER SET utf8mb4;
USE gate;
CREATE TABLE gate.side (name VARCHAR(10));
CREATE TABLE gate.t (id INT NOT NULL PRIMARY KEY, v INT NOT NULL) ENGINE=InnoDB;
CREATE TABLE gate.log (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, client INT NOT NULL, n INT NOT NULL) ENGINE=InnoDB;
CREATE TABLE gate.words (id INT NOT NULL PRIMARY KEY, word VARCHAR(20) NOT NULL) ENGINE=InnoDB;
INSERT INTO gate.t SELECT seq, seq * 3 FROM seq_1_to_1000;
INSERT INTO gate.words SELECT seq, CONCAT('word ', seq) FROM seq_1_to_1000;
)");
  client.execute("INSERT INTO gate.side VALUES ('" + name + "')");
}

}  // namespace

GateStage::GateStage(const std::vector<std::string>& options) {
  prepare_server(source, "source");
  prepare_server(target, "target");
  proxy = std::make_unique<Proxy>(source, target, Proxy::Setup{.options = options, .schema = kSchema});
}

std::string side_of(AppClient& client) { return client.scalar("SELECT name FROM gate.side"); }

}  // namespace godwit::test
