#include "../../src/workflow/event_status.h"

#include "catch.h"

using namespace godwit::workflow;

namespace {

std::string event(const std::string& status, const std::string& body = "DELETE FROM log") {
  return "CREATE DEFINER=`a``EVENT`@`%` EVENT `on completion preserve disable` ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00' ON COMPLETION NOT PRESERVE " + status + " COMMENT 'ENABLE' DO " + body;
}

}  // namespace

TEST_CASE("event_status: the words behind ON COMPLETION, and no others, say whether an event is enabled", "[event_status]") {
  CHECK(is_enabled(event("ENABLE", "SET @DISABLE = 1")));
  CHECK_FALSE(is_enabled(event("DISABLE", "SET @ENABLE = 1")));
  CHECK(is_disabled(event("DISABLE")));
  CHECK_FALSE(is_disabled(event("ENABLE")));
  for (const auto* on : {"DISABLE ON SLAVE", "DISABLE ON REPLICA"}) {
    CHECK_FALSE(is_enabled(event(on)));
    CHECK_FALSE(is_disabled(event(on)));
    CHECK(with_enabled(event(on), true) == event(on));
  }
  CHECK_FALSE(is_enabled("CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SET @a = 'ON COMPLETION PRESERVE ENABLE'"));
}

TEST_CASE("event_status: it is made the other, and back", "[event_status]") {
  CHECK(with_enabled(event("ENABLE"), false) == event("DISABLE"));
  CHECK(with_enabled(event("DISABLE"), true) == event("ENABLE"));
  CHECK(with_enabled(event("ENABLE"), true) == event("ENABLE"));
  CHECK(with_enabled("CREATE EVENT", true) == "CREATE EVENT");
}

TEST_CASE("event_status: it is altered by its definer", "[event_status]") {
  CHECK(alter_enabled(event("ENABLE"), "`s`.`e`", true) == "ALTER DEFINER=`a``EVENT`@`%` EVENT `s`.`e` ENABLE");
  CHECK(alter_enabled("CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SET @a = 1", "`s`.`e`", false) == "ALTER EVENT `s`.`e` DISABLE");
}
