#include "godwit/routing/replay.h"
#include "refused.h"

using namespace godwit;
using namespace godwit::routing;

namespace {

ServerFacts server(Flavour flavour, std::initializer_list<std::pair<std::string, std::string>> globals) {
  ServerFacts facts{.flavour = flavour, .version = flavour == Flavour::mariadb ? db::Version{10, 11, 19} : db::Version{9, 7, 4}};
  for (const auto& [name, value] : globals) facts.variables[name] = {.kind = VariableFact::Kind::unknown, .global = value};
  facts.collations = {{"utf8mb4_general_ci", "utf8mb4"}, {"utf8mb4_bin", "utf8mb4"}, {"latin1_swedish_ci", "latin1"}};
  facts.default_collations = {{"utf8mb4", "utf8mb4_general_ci"}, {"latin1", "latin1_swedish_ci"}};
  return facts;
}

SessionState session(std::map<std::string, std::string> variables) { return {.variables = std::move(variables)}; }

// "statement; statement", for a look at all of them.
std::string text_of(const Replay& replay) {
  std::string text;
  for (const auto& step : replay.steps) text += (text.empty() ? "" : "; ") + step.statement;
  return text;
}

std::string text_of(const std::vector<Refusal>& refusals) {
  std::string text;
  for (const auto& refusal : refusals) text += (text.empty() ? "" : "; ") + refusal.reason + " " + refusal.object;
  return text;
}

}  // namespace

TEST_CASE("replay: only what differs is set, in one SET, and one by one where that is refused", "[routing]") {
  const auto facts = server(Flavour::mariadb, {{"sql_mode", "STRICT_TRANS_TABLES"}, {"autocommit", "ON"}, {"sort_buffer_size", "1000"}, {"wait_timeout", "10"}});
  const auto wanted = session({{"autocommit", "OFF"}, {"sort_buffer_size", "1000"}, {"sql_mode", "ANSI_QUOTES"}, {"wait_timeout", "10"}});
  const auto fresh = session({{"autocommit", "ON"}, {"sort_buffer_size", "2000"}, {"sql_mode", "STRICT_TRANS_TABLES"}, {"wait_timeout", "10"}});
  const auto replay = plan_replay(wanted, fresh, facts, facts, {});
  REQUIRE(text_of(replay) == "SET @@SESSION.sql_mode = 'ANSI_QUOTES', @@SESSION.sort_buffer_size = 1000, @@SESSION.autocommit = 'OFF'");
  const auto& alone = replay.steps[0].instead;
  REQUIRE(alone.size() == 3);
  CHECK_FALSE(replay.steps[0].is_optional);
  CHECK_FALSE(alone[0].is_optional);
  CHECK(alone[1].is_optional);  // the client never chose it: it was the old server's default
  CHECK(compare(wanted, wanted, facts, facts, {}).empty());
  CHECK(compare(wanted, fresh, facts, facts, {}).size() == 2);
}

TEST_CASE("replay: what has no business on another server stays", "[routing]") {
  const auto facts = server(Flavour::mariadb, {{"gtid_seq_no", "0"}, {"last_gtid", ""}, {"pseudo_thread_id", "0"}, {"rand_seed1", "0"}, {"session_track_schema", "ON"}, {"max_allowed_packet", "5"}});
  const auto wanted = session({{"gtid_seq_no", "5"}, {"last_gtid", "0-1-2"}, {"pseudo_thread_id", "9"}, {"rand_seed1", "4"}, {"session_track_schema", "OFF"}, {"max_allowed_packet", "7"}});
  CHECK(text_of(plan_replay(wanted, session({}), facts, facts, {})).empty());
}

TEST_CASE("replay: a variable that only the client can have set must be there on the other flavour", "[routing]") {
  const auto from = server(Flavour::mariadb, {{"check_constraint_checks", "ON"}, {"join_cache_level", "2"}, {"sort_buffer_size", "9"}});
  const auto to = server(Flavour::mysql, {{"sort_buffer_size", "5"}});
  const auto fresh = session({{"sort_buffer_size", "5"}});
  const auto unchanged = plan_replay(session({{"check_constraint_checks", "ON"}, {"sort_buffer_size", "9"}}), fresh, from, to, {});
  CHECK(text_of(unchanged).empty());
  CHECK(unchanged.refusals.empty());
  const auto chosen = plan_replay(session({{"check_constraint_checks", "OFF"}, {"sort_buffer_size", "8"}}), fresh, from, to, {});
  CHECK(text_of(chosen) == "SET @@SESSION.sort_buffer_size = 8");
  REQUIRE(text_of(chosen.refusals) == "variable check_constraint_checks");
  CHECK(chosen.refusals[0].detail == "the other server has no such variable; the session has set it to 'OFF'");
}

TEST_CASE("replay: a flag of the optimizer, or a collation of the server, that the other side lacks is named", "[routing]") {
  auto from = server(Flavour::mariadb, {{"optimizer_switch", "rowid_filter=on,materialization=on"}, {"collation_server", "utf8mb4_bin"}});
  from.collations.emplace("utf8mb4_unicode_nopad_ci", "utf8mb4");
  const auto to = server(Flavour::mysql, {{"optimizer_switch", "materialization=on"}, {"collation_server", "utf8mb4_bin"}});
  const auto fresh = session({{"optimizer_switch", "materialization=on"}, {"collation_server", "utf8mb4_bin"}});
  const auto refused = [&](const char* name, const char* value) {
    const auto replay = plan_replay(session({{name, value}}), fresh, from, to, {});
    REQUIRE(replay.refusals.size() == 1);
    CHECK(text_of(replay.refusals) == std::string("variable ") + name);
    return replay.refusals[0].detail;
  };
  CHECK(refused("optimizer_switch", "rowid_filter=off,materialization=on") == "the other server has no rowid_filter, which the session has set off");
  CHECK(refused("collation_server", "utf8mb4_unicode_nopad_ci") == "the other server has no utf8mb4_unicode_nopad_ci");
}

TEST_CASE("facts: a server that lists no variables is refused, in its own words where it has said some", "[routing]") {
  const Error silent = refusal([] { read_facts(Flavour::mysql, {9, 7, 4}, {}); });
  CHECK(silent.code() == Code::privilege_missing);
  CHECK(silent.object() == "session variables");
  CHECK(silent.cause() == "the server lists none");
  CHECK(silent.remedy() == "GRANT SELECT ON performance_schema.* TO godwit's account");
  const std::vector<Result> denied{{.server_errno = 1142, .error = "1142 SELECT command denied"}};
  CHECK(refusal([&] { read_facts(Flavour::mysql, {9, 7, 4}, denied); }).cause() == "1142 SELECT command denied");
}

TEST_CASE("replay: names and values are translated between flavours", "[routing]") {
  const auto mariadb = server(Flavour::mariadb, {{"tx_isolation", "REPEATABLE-READ"}, {"max_statement_time", "0.000000"}, {"sql_mode", "NO_AUTO_CREATE_USER,STRICT_TRANS_TABLES"}});
  const auto mysql = server(Flavour::mysql, {{"transaction_isolation", "REPEATABLE-READ"}, {"max_execution_time", "0"}, {"sql_mode", "STRICT_TRANS_TABLES"}});
  const auto there = plan_replay(session({{"tx_isolation", "SERIALIZABLE"}, {"max_statement_time", "0.000200"}, {"sql_mode", "NO_AUTO_CREATE_USER,STRICT_TRANS_TABLES"}}),
                                 session({{"transaction_isolation", "REPEATABLE-READ"}, {"max_execution_time", "0"}, {"sql_mode", "STRICT_TRANS_TABLES"}}), mariadb, mysql, {});
  CHECK(there.refusals.empty());
  CHECK(text_of(there) ==
        "SET @@SESSION.sql_mode = 'STRICT_TRANS_TABLES,TIME_TRUNCATE_FRACTIONAL', @@SESSION.max_execution_time = 1, @@SESSION.transaction_isolation = 'SERIALIZABLE'");
  const auto back = plan_replay(session({{"transaction_isolation", "SERIALIZABLE"}, {"max_execution_time", "250"}, {"sql_mode", "STRICT_TRANS_TABLES,TIME_TRUNCATE_FRACTIONAL"}}),
                                session({{"tx_isolation", "REPEATABLE-READ"}, {"max_statement_time", "0.000000"}, {"sql_mode", "STRICT_TRANS_TABLES"}}), mysql, mariadb, {});
  CHECK(text_of(back) == "SET @@SESSION.max_statement_time = 0.250000, @@SESSION.tx_isolation = 'SERIALIZABLE'");
}

TEST_CASE("replay: words of sql_mode that the other flavour lacks are dropped if nobody chose them, else refused", "[routing]") {
  const auto mariadb = server(Flavour::mariadb, {{"sql_mode", "NO_KEY_OPTIONS"}});
  const auto mysql = server(Flavour::mysql, {{"sql_mode", ""}});
  const auto fresh = session({{"sql_mode", "TIME_TRUNCATE_FRACTIONAL"}});
  CHECK(plan_replay(session({{"sql_mode", "NO_KEY_OPTIONS"}}), fresh, mariadb, mysql, {}).refusals.empty());
  CHECK(text_of(plan_replay(session({{"sql_mode", "NO_TABLE_OPTIONS"}}), fresh, mariadb, mysql, {}).refusals) == "sql_mode NO_TABLE_OPTIONS");
  const auto essential = server(Flavour::mariadb, {{"sql_mode", "EMPTY_STRING_IS_NULL"}});
  CHECK(text_of(plan_replay(session({{"sql_mode", "EMPTY_STRING_IS_NULL"}}), fresh, essential, mysql, {}).refusals) == "sql_mode EMPTY_STRING_IS_NULL");
}

TEST_CASE("replay: a collation that was only the default becomes the other server's, a chosen one is refused unless mapped", "[routing]") {
  auto from = server(Flavour::mysql, {});
  from.collations = {{"utf8mb4_0900_ai_ci", "utf8mb4"}, {"utf8mb4_0900_as_cs", "utf8mb4"}};
  from.default_collations = {{"utf8mb4", "utf8mb4_0900_ai_ci"}};
  auto to = server(Flavour::mariadb, {});
  const auto with = [](const char* collation) {
    return session({{"character_set_client", "utf8mb4"}, {"character_set_connection", "utf8mb4"}, {"collation_connection", collation}, {"character_set_results", "utf8mb4"}});
  };
  const auto usual = plan_replay(with("utf8mb4_0900_ai_ci"), with("utf8mb4_bin"), from, to, {});
  CHECK(text_of(usual) ==
        "SET @@SESSION.character_set_client = 'utf8mb4', @@SESSION.character_set_connection = 'utf8mb4', @@SESSION.collation_connection = 'utf8mb4_general_ci', "
        "@@SESSION.character_set_results = 'utf8mb4'");
  CHECK(text_of(plan_replay(with("utf8mb4_0900_as_cs"), with("utf8mb4_bin"), from, to, {}).refusals) == "collation utf8mb4_0900_as_cs");
  to.collations.emplace("utf8mb4_uca1400_nopad_as_cs", "utf8mb4");
  CHECK(text_of(plan_replay(with("utf8mb4_0900_as_cs"), with("utf8mb4_bin"), from, to, {}).refusals) == "collation utf8mb4_0900_as_cs");
  ReplayOptions mapped;
  mapped.collation_map = {{"utf8mb4_0900_as_cs", "utf8mb4_bin"}};
  CHECK(plan_replay(with("utf8mb4_0900_as_cs"), with("utf8mb4_bin"), from, to, mapped).steps.empty());
}

TEST_CASE("replay: a collation that stands for the default of the side that the session came from becomes it again, one chosen there since is refused", "[routing]") {
  auto mysql = server(Flavour::mysql, {});
  mysql.collations = {{"utf8mb4_0900_ai_ci", "utf8mb4"}};
  mysql.default_collations = {{"utf8mb4", "utf8mb4_0900_ai_ci"}};
  auto mariadb = server(Flavour::mariadb, {});
  mariadb.collations.emplace("utf8mb4_uca1400_nopad_ai_ci", "utf8mb4");
  const auto with = [](const char* collation) { return session({{"collation_connection", collation}}); };
  const auto there = plan_replay(with("utf8mb4_0900_ai_ci"), session({}), mysql, mariadb, {});
  CHECK(text_of(there) == "SET @@SESSION.collation_connection = 'utf8mb4_uca1400_nopad_ai_ci'");
  const auto moved = with("utf8mb4_uca1400_nopad_ai_ci");
  ReplayOptions back;
  back.collations_before = collations_before(with("utf8mb4_0900_ai_ci"), mysql, mariadb, {});
  CHECK(text_of(plan_replay(moved, session({}), mariadb, mysql, back)) == "SET @@SESSION.collation_connection = 'utf8mb4_0900_ai_ci'");
  CHECK(text_of(plan_replay(moved, session({}), mariadb, mysql, {}).refusals) == "collation utf8mb4_uca1400_nopad_ai_ci");
}

TEST_CASE("replay: user variables keep their types", "[routing]") {
  using Type = UserVariable::Type;
  const auto facts = server(Flavour::mariadb, {});
  SessionState wanted;
  wanted.user_variables = {{"a", Type::integer, "-5"},
                           {"b", Type::unsigned_integer, "5"},
                           {"c", Type::decimal, "7"},
                           {"d", Type::decimal, "1.50"},
                           {"e", Type::real, "0.5"},
                           {"f", Type::real, "1e300"},
                           {"g", Type::string, "it's", "utf8mb4", "utf8mb4_bin"},
                           {"h", Type::string, std::string("\0\xff", 2), "binary", "binary"},
                           {"i", Type::null, ""},
                           {"j", Type::null, "", "latin1", "latin1_swedish_ci"},
                           {"k`k", Type::string, "", "utf8mb4", "utf8mb4_bin"}};
  CHECK(text_of(plan_replay(wanted, {}, facts, facts, {})) ==
        "SET @`a` = -5, @`b` = CAST(5 AS UNSIGNED), @`c` = CAST(7 AS DECIMAL(1,0)), @`d` = 1.50, @`e` = 0.5e0, @`f` = 1e300, "
        "@`g` = _utf8mb4 X'69742773' COLLATE utf8mb4_bin, @`h` = X'00FF', @`i` = NULL, @`j` = CAST(NULL AS CHAR CHARACTER SET latin1) COLLATE latin1_swedish_ci, "
        "@`k``k` = _utf8mb4 X'' COLLATE utf8mb4_bin");
  CHECK(compare(wanted, wanted, facts, facts, {}).empty());
  auto other = wanted;
  other.user_variables[0].type = Type::unsigned_integer;
  other.user_variables[6].value = "its";
  CHECK(compare(wanted, other, facts, facts, {}).size() == 2);
}

TEST_CASE("replay: many user variables are set in several statements, one that is too large is refused", "[routing]") {
  const auto facts = server(Flavour::mariadb, {});
  SessionState wanted;
  for (int i = 0; i < 10; ++i) wanted.user_variables.push_back({"v" + std::to_string(i), UserVariable::Type::string, std::string(100, 'x'), "binary", "binary"});
  ReplayOptions options;
  options.statement_bytes_max = 500;
  CHECK(plan_replay(wanted, {}, facts, facts, options).steps.size() == 5);
  options.statement_bytes_max = 100;
  CHECK(text_of(plan_replay(wanted, {}, facts, facts, options).refusals).find("user_variable @v0") == 0);
}

TEST_CASE("replay: names beyond ASCII follow SET NAMES, and the session's charset is put back", "[routing]") {
  const auto facts = server(Flavour::mariadb, {});
  auto wanted = session({{"character_set_client", "latin1"}, {"character_set_connection", "latin1"}, {"collation_connection", "latin1_swedish_ci"}, {"character_set_results", "latin1"}});
  const auto fresh = wanted;
  wanted.schema = "caf\xC3\xA9";
  const auto replay = plan_replay(wanted, fresh, facts, facts, {});
  REQUIRE(replay.steps.size() == 3);
  CHECK(replay.steps[0].statement == "SET NAMES utf8mb4");
  CHECK(replay.steps[1].statement == "USE `caf\xC3\xA9`");
  CHECK(replay.steps[2].statement.find("@@SESSION.character_set_client = 'latin1'") != std::string::npos);
}

TEST_CASE("replay: clock, ids and a one-shot SET TRANSACTION come last, in this order", "[routing]") {
  const auto facts = server(Flavour::mysql, {});
  SessionState wanted{.last_insert_id = 7, .insert_id = 9, .timestamp = "1000.500000"};
  wanted.wire.transaction_characteristics = "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; SET TRANSACTION READ ONLY;";
  CHECK(text_of(plan_replay(wanted, {}, facts, facts, {})) ==
        "SET @@SESSION.timestamp = 1000.500000; SET @@SESSION.last_insert_id = 7; SET @@SESSION.insert_id = 9; SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; SET TRANSACTION READ ONLY");
}

TEST_CASE("replay: roles keep their names across flavours, several of them cannot", "[routing]") {
  const auto mariadb = server(Flavour::mariadb, {});
  const auto mysql = server(Flavour::mysql, {});
  const auto replayed = [](const char* role, const ServerFacts& from, const ServerFacts& to) { return plan_replay({.role = role}, {}, from, to, {}); };
  CHECK(text_of(replayed("reader", mariadb, mysql)) == "SET ROLE `reader`");
  CHECK(text_of(replayed("`reader`@`%`", mysql, mariadb)) == "SET ROLE `reader`");
  CHECK(text_of(replayed("`a`@`%`,`b`@`%`", mysql, mysql)) == "SET ROLE `a`@`%`,`b`@`%`");
  CHECK(text_of(replayed("`a`@`%`,`b`@`%`", mysql, mariadb).refusals) == "role `a`@`%`,`b`@`%`");
  CHECK(text_of(replayed("`a`@`localhost`", mysql, mariadb).refusals) == "role `a`@`localhost`");
  CHECK(text_of(plan_replay({}, {.role = "given"}, mariadb, mariadb, {})) == "SET ROLE NONE");
}

TEST_CASE("replay: --map renames the schema", "[routing]") {
  const auto facts = server(Flavour::mariadb, {});
  ReplayOptions options;
  options.names = catalog::NameMap({"shop=store"});
  CHECK(text_of(plan_replay({.schema = "shop"}, {.schema = "store"}, facts, facts, options)).empty());
  CHECK(text_of(plan_replay({.schema = "shop"}, {}, facts, facts, options)) == "USE `store`");
}

TEST_CASE("replay: texts are prepared again in their contexts, which change only between different ones", "[routing]") {
  const auto facts = server(Flavour::mariadb, {{"sql_mode", ""}});
  const PrepareContext one{.schema = "a", .sql_mode = "ANSI_QUOTES", .character_set_client = "utf8mb4", .character_set_connection = "utf8mb4", .collation_connection = "utf8mb4_bin"};
  PrepareContext two = one;
  two.schema = "b";
  const auto replay = plan_text_statements({{"x", "PREPARE x FROM 'SELECT 1'", one}, {"y", "PREPARE y FROM 'SELECT 2'", one}, {"z", "PREPARE z FROM 'SELECT 3'", two}, {"w", "", two}}, facts, facts, {});
  CHECK(text_of(replay.refusals) == "text_prepared_statement w");
  std::vector<std::string> statements;
  for (const auto& step : replay.steps) statements.push_back(step.statement.substr(0, 20));
  CHECK(statements == std::vector<std::string>{"SET @@SESSION.sql_mo", "USE `a`", "SET @@SESSION.charac", "PREPARE x FROM 'SELE", "PREPARE y FROM 'SELE", "SET @@SESSION.sql_mo", "USE `b`",
                                               "SET @@SESSION.charac", "PREPARE z FROM 'SELE"});
}

TEST_CASE("refusals: each has its word", "[routing]") {
  const auto plain = server(Flavour::mariadb, {});
  const auto refused = [&](WireState wire, std::map<std::string, std::uint64_t> counters) {
    SessionState state{.counters = std::move(counters), .are_temporary_tables_known = true, .wire = std::move(wire)};
    return text_of(refusals(plain, state));
  };
  CHECK(refused({}, {}).empty());
  CHECK(refused({.transaction_characteristics = "SET TRANSACTION READ ONLY;"}, {}).empty());
  CHECK(refused({.is_in_transaction = true}, {}) == "transaction ");
  CHECK(refused({.is_in_transaction = true, .transaction_characteristics = "XA START 'x';"}, {}) == "xa XA START 'x';");
  CHECK(refused({.has_table_locks = true}, {}) == "table_lock ");
  CHECK(refused({.holds_global_read_lock = true}, {}) == "global_read_lock ");
  CHECK(refused({}, {{"com_ha_open", 2}, {"com_ha_close", 1}}) == "handler ");
  CHECK(refused({.may_hold_user_lock = true}, {}) == "user_lock ");
  CHECK(refused({}, {{"com_prepare_sql", 1}}) == "text_prepared_statement ");
  CHECK(refused({.text_prepares = 1}, {{"com_prepare_sql", 1}}).empty());
  CHECK(refused({}, {{"com_prepare_sql", 1}, {"com_dealloc_sql", 1}}).empty());
}
