#include <algorithm>

#include "cells.h"
#include "godwit/util/error.h"
#include "godwit/util/text.h"
#include "pull.h"

namespace godwit::routing {
namespace {

// Answers in the order of facts_statements().
enum Slot : std::size_t { variables, variables_without_metadata, collations, charsets, clock, lock_plugin, lock_instrument, lock_routines, slots };

const Result& slot(std::span<const Result> results, Slot which) {
  static const Result kNone;
  return which < results.size() ? results[which] : kNone;
}

VariableFact::Kind kind_of(std::string_view type) {
  const std::string name = lower(type);
  for (const std::string_view number : {"bigint", "int", "double", "integer", "numeric"}) {
    if (name.starts_with(number)) return VariableFact::Kind::number;
  }
  return name.empty() ? VariableFact::Kind::unknown : VariableFact::Kind::text;
}

// Rows of name, read only, type, global value in hex.
void read_variables(const Result& result, ServerFacts& facts) {
  for (std::size_t i = 0; i < result.rows.size(); ++i) {
    VariableFact fact;
    fact.is_read_only = ascii_cell(result.rows, i, 1) == "YES";
    fact.kind = kind_of(ascii_cell(result.rows, i, 2));
    fact.global = hex_cell(result.rows, i, 3);
    facts.variables.emplace(lower(ascii_cell(result.rows, i, 0)), std::move(fact));
  }
}

// MariaDB from 10.10 on: COLLATION_NAME may be short ("uca1400_ai_ci"), FULL_COLLATION_NAME is what a session has.
void read_collations(const Result& result, ServerFacts& facts) {
  const auto& columns = result.rows.columns;
  const auto full = std::find_if(columns.begin(), columns.end(), [](const auto& name) { return equals_ignoring_case(name, "FULL_COLLATION_NAME"); });
  const auto column = full == columns.end() ? 0 : static_cast<std::size_t>(full - columns.begin());
  for (std::size_t i = 0; i < result.rows.size(); ++i) {
    facts.collations.emplace(ascii_cell(result.rows, i, column), ascii_cell(result.rows, i, 1));
  }
}

// MariaDB's character_set_collations ("utf8mb4=utf8mb4_uca1400_ai_ci,…") overrides what the list of character sets says.
void read_default_collations(const Result& result, ServerFacts& facts) {
  for (std::size_t i = 0; i < result.rows.size(); ++i) {
    facts.default_collations.insert_or_assign(ascii_cell(result.rows, i, 0), ascii_cell(result.rows, i, 1));
  }
  const auto overrides = facts.variables.find("character_set_collations");
  if (overrides == facts.variables.end() || !overrides->second.global) return;
  for (const auto& pair : split(*overrides->second.global, ',')) {
    const auto sign = pair.find('=');
    if (sign != std::string::npos) facts.default_collations.insert_or_assign(std::string(trim(pair.substr(0, sign))), std::string(trim(pair.substr(sign + 1))));
  }
}

// Variables that only sessions have have no global value: the admin session's own, which it never sets, is taken for the default.
std::string variables_sql(Flavour flavour) {
  if (flavour == Flavour::mariadb) {
    return "SELECT VARIABLE_NAME, READ_ONLY, VARIABLE_TYPE, HEX(IF(VARIABLE_SCOPE = 'SESSION', GLOBAL_VALUE, SESSION_VALUE)) "
           "FROM information_schema.SYSTEM_VARIABLES WHERE VARIABLE_SCOPE LIKE 'SESSION%'";
  }
  return "SELECT m.VARIABLE_NAME, 'NO', m.DATA_TYPE, HEX(COALESCE(g.VARIABLE_VALUE, s.VARIABLE_VALUE)) FROM performance_schema.variables_metadata m "
         "LEFT JOIN performance_schema.global_variables g ON g.VARIABLE_NAME = m.VARIABLE_NAME "
         "LEFT JOIN performance_schema.session_variables s ON s.VARIABLE_NAME = m.VARIABLE_NAME WHERE m.VARIABLE_SCOPE LIKE 'SESSION%'";
}

// MySQL before 9.0 has no variables_metadata: what a thread has a value of is a variable of sessions.
std::string variables_without_metadata_sql(Flavour flavour) {
  if (flavour == Flavour::mariadb) return "DO 0";
  return "SELECT t.VARIABLE_NAME, 'NO', '', HEX(COALESCE(g.VARIABLE_VALUE, t.VARIABLE_VALUE)) FROM performance_schema.variables_by_thread t "
         "LEFT JOIN performance_schema.global_variables g ON g.VARIABLE_NAME = t.VARIABLE_NAME WHERE t.THREAD_ID = "
         "(SELECT THREAD_ID FROM performance_schema.threads WHERE PROCESSLIST_ID = CONNECTION_ID())";
}

}  // namespace

std::vector<std::string> facts_statements(Flavour flavour) {
  const bool is_mariadb = flavour == Flavour::mariadb;
  std::vector<std::string> all(slots);
  all[variables] = variables_sql(flavour).append(kNoLimit);
  all[variables_without_metadata] = variables_without_metadata_sql(flavour);
  all[collations] = std::string("SELECT * FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY").append(kNoLimit);
  all[charsets] = std::string("SELECT CHARACTER_SET_NAME, DEFAULT_COLLATE_NAME FROM information_schema.CHARACTER_SETS").append(kNoLimit);
  all[clock] = "SELECT TIMESTAMPDIFF(SECOND, UTC_TIMESTAMP(), CONVERT_TZ(UTC_TIMESTAMP(), '+00:00', 'SYSTEM'))";
  all[lock_plugin] = is_mariadb ? "SELECT COUNT(*) FROM information_schema.PLUGINS WHERE PLUGIN_NAME = 'METADATA_LOCK_INFO' AND PLUGIN_STATUS = 'ACTIVE'" : "DO 0";
  all[lock_instrument] = "SELECT ENABLED FROM performance_schema.setup_instruments WHERE NAME = 'wait/lock/metadata/sql/mdl'";
  all[lock_routines] =
      "SELECT (SELECT COUNT(*) FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA <> 'sys' AND ROUTINE_DEFINITION LIKE '%GET_LOCK%') + "
      "(SELECT COUNT(*) FROM information_schema.TRIGGERS WHERE ACTION_STATEMENT LIKE '%GET_LOCK%')";
  return all;
}

ServerFacts read_facts(Flavour flavour, db::Version version, std::span<const Result> results) {
  ServerFacts facts{.flavour = flavour, .version = version};
  read_variables(slot(results, variables), facts);
  if (facts.variables.empty()) read_variables(slot(results, variables_without_metadata), facts);
  read_collations(slot(results, collations), facts);
  read_default_collations(slot(results, charsets), facts);
  if (facts.variables.empty() || facts.collations.empty() || facts.default_collations.empty()) {
    const auto refused = std::find_if(results.begin(), results.end(), [](const Result& result) { return result.is_error(); });
    throw Error(Code::privilege_missing, {.object = "session variables",
                                          .cause = refused == results.end() ? "the server lists none" : refused->error,
                                          .remedy = "GRANT SELECT ON performance_schema.* TO godwit's account"});
  }
  const std::string offset = ascii_cell(slot(results, clock).rows, 0, 0);
  facts.system_utc_offset_seconds = parse_i64(offset).value_or(0);
  facts.has_metadata_lock_info = number_cell(slot(results, lock_plugin).rows, 0, 0) > 0;
  facts.has_metadata_locks = ascii_cell(slot(results, lock_instrument).rows, 0, 0) == "YES";
  facts.has_performance_schema = !slot(results, lock_instrument).rows.empty();
  facts.routines_with_user_locks = number_cell(slot(results, lock_routines).rows, 0, 0);
  facts.digest_statement = digest_statement(facts);
  return facts;
}

}  // namespace godwit::routing
