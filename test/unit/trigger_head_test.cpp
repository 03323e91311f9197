#include "../../src/workflow/trigger_head.h"

#include "catch.h"

using namespace godwit::workflow;

namespace {

std::string rewritten(const std::string& sql) {
  return with_head(sql, {.name = "audit", .table = [](const std::string& table) { return table == "orders" ? std::string("purchases") : table; }});
}

}  // namespace

TEST_CASE("trigger head: schema and table by their names here, and no other trigger beside it", "[trigger_head]") {
  CHECK(rewritten("CREATE DEFINER=`a`@`%` TRIGGER shop.audit AFTER INSERT ON shop.orders FOR EACH ROW PRECEDES second INSERT INTO log VALUES (1)") ==
        "CREATE DEFINER=`a`@`%` TRIGGER `audit` AFTER INSERT ON `purchases` FOR EACH ROW INSERT INTO log VALUES (1)");
  CHECK(rewritten("CREATE TRIGGER IF NOT EXISTS `shop` . `au``dit` before update on /* ON x */ `lines`\nfor each row\nfollows `third`\nBEGIN SET NEW.a = 'on'; END") ==
        "CREATE TRIGGER IF NOT EXISTS `audit` before update on /* ON x */ `lines`\nfor each row\nBEGIN SET NEW.a = 'on'; END");
}

TEST_CASE("trigger head: a definer or a body that looks like it is left alone", "[trigger_head]") {
  CHECK(rewritten("CREATE DEFINER=`trigger`@`on` TRIGGER a BEFORE DELETE ON b FOR EACH ROW SET @x = 'TRIGGER z ON shop.orders FOR EACH ROW FOLLOWS y'") ==
        "CREATE DEFINER=`trigger`@`on` TRIGGER `audit` BEFORE DELETE ON `b` FOR EACH ROW SET @x = 'TRIGGER z ON shop.orders FOR EACH ROW FOLLOWS y'");
  CHECK(rewritten("SELECT 1") == "SELECT 1");
  CHECK(rewritten("CREATE TRIGGER `a") == "CREATE TRIGGER `a");
}
