#include "live/support/session_pair.h"

#include "catch.h"

namespace godwit::test {
namespace {

// A plain account, with what an application has; a role; the same tables on both sides.
void prepare(const Server& server) {
  auto admin = server.client();
  admin.execute("CREATE DATABASE IF NOT EXISTS shop");
  admin.execute("CREATE DATABASE IF NOT EXISTS stock");
  admin.execute("DROP USER IF EXISTS app@'%'");
  admin.execute("DROP ROLE IF EXISTS reader");
  admin.execute("CREATE USER app@'%' IDENTIFIED BY 'app'");
  admin.execute("GRANT ALL ON shop.* TO app@'%'");
  admin.execute("GRANT ALL ON stock.* TO app@'%'");
  admin.execute("CREATE ROLE reader");
  admin.execute("GRANT reader TO app@'%'");
  admin.execute("DROP TABLE IF EXISTS shop.t");
  admin.execute("CREATE TABLE shop.t (id INT PRIMARY KEY AUTO_INCREMENT, a INT) ENGINE=InnoDB");
  admin.execute("INSERT INTO shop.t (a) VALUES (1), (2), (3)");
  for (const char* procedure : {"makes_table", "prepares"}) admin.execute(std::string("DROP PROCEDURE IF EXISTS shop.") + procedure);
  admin.execute("CREATE PROCEDURE shop.makes_table() CREATE TEMPORARY TABLE hidden (a INT)");
  admin.execute("CREATE PROCEDURE shop.prepares() PREPARE hidden FROM 'SELECT 1'");
}

}  // namespace

SessionPair::SessionPair(const Server& one, const Server& other) : from(one), to(other) {
  prepare(from);
  prepare(to);
}

std::string describe(const std::vector<routing::Difference>& differences) {
  std::string text;
  for (const auto& difference : differences) text += difference.object + ": wanted " + difference.wanted + ", found " + difference.found + "\n";
  return text;
}

void require_same(SessionPair& pair, const SessionItem& item) {
  INFO(pair.from.flavour() << " to " << pair.to.flavour() << ": " << item.name);
  Session old(pair.from, "app", "shop");
  for (const auto& sql : item.made_by) old.execute(sql);
  Move move = pair.move(old);
  REQUIRE(move.refused() == "");
  CHECK(describe(move.differences) == "");
  CHECK(move.session->ask(item.asked_there.empty() ? item.asked : item.asked_there) == old.ask(item.asked));
}

void require_refused(SessionPair& pair, const std::vector<std::string>& made_by, const std::string& reason) {
  INFO(pair.from.flavour() << " to " << pair.to.flavour() << ": " << made_by.back());
  Session old(pair.from, "app", "shop");
  for (const auto& sql : made_by) old.execute(sql);
  const Move move = pair.move(old);
  CHECK(move.refused().find(reason) != std::string::npos);
  if (move.refused().find(reason) == std::string::npos) WARN("refused: " << move.refused());
}

}  // namespace godwit::test
