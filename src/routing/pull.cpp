// The order of a pull. SHOW WARNINGS keeps FOUND_ROWS and the warnings, so it is first; FOUND_ROWS() destroys both, and on MySQL adds a
// warning of its own, so it is second. Whatever reads a table in information_schema or performance_schema comes after.
// Every SELECT has a LIMIT: without one it would be cut by the session's own sql_select_limit. Those of lists must not fail because of its
// time limits, nor (MySQL) because of its max_join_size.
#include <fmt/format.h>

#include <algorithm>

#include "cells.h"
#include "godwit/sql/quote.h"
#include "godwit/util/text.h"
#include "literals.h"
#include "pull.h"
#include "variables.h"

namespace godwit::routing {
namespace {

// What the statements with untimed_select() set for themselves, so that they do not show the session's own value.
std::string_view shadowed(const ServerFacts& facts) { return facts.is_mariadb() ? "max_statement_time" : "sql_big_selects"; }

std::string scalars_sql(const ServerFacts& facts) {
  return fmt::format(
      "{} FOUND_ROWS(), LAST_INSERT_ID(), @@SESSION.insert_id, @@SESSION.timestamp, @@SESSION.character_set_results IS NULL, "
      "HEX(CONVERT(DATABASE() USING utf8mb4)), HEX(CONVERT(CURRENT_ROLE() USING utf8mb4)), @@SESSION.warning_count, @@SESSION.error_count",
      untimed_select(facts));
}

// Two statements read the same @@timestamp only when it is fixed: it has microseconds, and is the start of the statement otherwise.
std::string second_look_sql(const ServerFacts& facts) {
  if (facts.is_mariadb()) return "SELECT @@SESSION.timestamp, @@SESSION.max_statement_time";
  return "SELECT /*+ MAX_EXECUTION_TIME(60000) */ @@SESSION.timestamp, IF(@@SESSION.sql_big_selects, 'ON', 'OFF')";
}

std::string_view schema_of_lists(const ServerFacts& facts) { return facts.is_mariadb() ? "information_schema" : "performance_schema"; }

// MySQL keeps Com_… out of performance_schema; its SHOW may fail for a small max_join_size.
std::string counters_sql(const ServerFacts& facts) {
  if (!facts.is_mariadb()) return "SHOW SESSION STATUS LIKE 'Com_create_table'";
  return fmt::format(
      "{} VARIABLE_NAME, VARIABLE_VALUE FROM information_schema.session_status WHERE VARIABLE_NAME IN ('Com_create_temporary_table', 'Com_create_table', "
      "'Com_create_sequence', 'Com_alter_table', 'Com_rename_table', 'Com_ha_open', 'Com_ha_close', 'Com_prepare_sql', 'Com_dealloc_sql'){}",
      untimed_select(facts), kNoLimit);
}

std::string variables_sql(const ServerFacts& facts) {
  return fmt::format("{} VARIABLE_NAME, HEX(VARIABLE_VALUE) FROM {}.session_variables{}", untimed_select(facts), schema_of_lists(facts), kNoLimit);
}

std::string user_variable_names_sql(const ServerFacts& facts) {
  return fmt::format("{} HEX(VARIABLE_NAME), VARIABLE_TYPE, VARIABLE_VALUE IS NULL, HEX(VARIABLE_VALUE), CHARACTER_SET_NAME FROM information_schema.USER_VARIABLES{}",
                     untimed_select(facts), kNoLimit);
}

// Name, type as JSON has it, bytes, character set, collation: a row each. The path is $[0], which not every character_set_client can spell.
std::string typed_variable_sql(const std::string& name) {
  const std::string variable = "@" + sql::quote_identifier(name);
  return fmt::format("SELECT '{0}', JSON_TYPE(JSON_EXTRACT(JSON_ARRAY({1}), _utf8mb4 X'245B305D')), HEX(CAST({1} AS BINARY)), CHARSET({1}), COLLATION({1})", hex(name), variable);
}

// Where each answer of a pull is.
struct Slots {
  std::size_t warnings = 0;
  std::size_t scalars = 1;
  std::size_t second_look = 2;
  std::optional<std::size_t> counters;
  std::optional<std::size_t> variables;
  std::optional<std::size_t> digest;
  std::size_t user_variables = 3;  // the rest
};

// HANDLER changes nothing that STATE_CHANGE tells: its counter is read anyway where nothing else shows it.
Slots slots_of(const ServerFacts& facts, const PullOptions& options) {
  Slots slots;
  if (!options.is_light || options.has_digest || !facts.sees_locks()) slots.counters = slots.user_variables++;
  if (!options.is_light) slots.variables = slots.user_variables++;
  if (options.has_digest) slots.digest = slots.user_variables++;
  return slots;
}

void read_warnings(const Result& result, SessionState& state) {
  for (std::size_t i = 0; i < result.rows.size(); ++i) {
    state.diagnostics.warnings.push_back(
        {raw_cell(result.rows, i, 0).value_or(""), raw_cell(result.rows, i, 1).value_or(""), raw_cell(result.rows, i, 2).value_or("")});
  }
}

void read_scalars(const ServerFacts& facts, const Result& first, const Result& again, SessionState& state) {
  const db::Rows& rows = first.rows;
  state.diagnostics.found_rows = number_cell(rows, 0, 0);
  state.diagnostics.row_count = state.wire.row_count;
  state.last_insert_id = number_cell(rows, 0, 1);
  state.insert_id = number_cell(rows, 0, 2);
  const std::string timestamp = ascii_cell(rows, 0, 3);
  if (timestamp == ascii_cell(again.rows, 0, 0)) state.timestamp = timestamp;
  state.has_no_results_charset = ascii_cell(rows, 0, 4) == "1";
  state.schema = hex_cell(rows, 0, 5);
  state.role = hex_cell(rows, 0, 6);
  if (state.role == "NONE" && !facts.is_mariadb()) state.role.reset();
}

// MySQL's own FOUND_ROWS() warning is in its @@warning_count, and no errors are left in @@error_count: the rows and the wire are asked there.
void count_warnings(const ServerFacts& facts, const Result& scalars, SessionState& state) {
  auto& diagnostics = state.diagnostics;
  const auto errors = std::count_if(diagnostics.warnings.begin(), diagnostics.warnings.end(), [](const Warning& warning) {
    std::string level = warning.level;
    std::erase(level, '\0');
    return level == "Error";
  });
  if (facts.is_mariadb()) {
    diagnostics.warning_count = number_cell(scalars.rows, 0, 7);
    diagnostics.error_count = number_cell(scalars.rows, 0, 8);
    return;
  }
  diagnostics.warning_count = std::max<std::uint64_t>(diagnostics.warnings.size(), diagnostics.warnings.empty() ? 0 : state.wire.warnings);
  diagnostics.error_count = static_cast<std::uint64_t>(errors);
}

void read_variables(const ServerFacts& facts, const Result& result, const Result& second_look, SessionState& state) {
  Variables::Map values;
  for (std::size_t i = 0; i < result.rows.size(); ++i) {
    std::string name = lower(ascii_cell(result.rows, i, 0));
    // Of what is never carried, the trackers alone are looked at; ids and clocks would make each session's values its own.
    if (is_left_alone(name) && !name.starts_with("session_track_")) continue;
    values.insert_or_assign(std::move(name), hex_cell(result.rows, i, 1).value_or(""));
  }
  values.insert_or_assign(std::string(shadowed(facts)), ascii_cell(second_look.rows, 0, 1));
  state.variables = Variables(std::move(values));
}

void read_counters(const Result& result, SessionState& state) {
  for (std::size_t i = 0; i < result.rows.size(); ++i) state.counters.emplace(lower(ascii_cell(result.rows, i, 0)), number_cell(result.rows, i, 1));
}

UserVariable::Type type_of(std::string_view type, bool is_null) {
  if (is_null || type == "NULL") return UserVariable::Type::null;
  if (type == "INT" || type == "INTEGER") return UserVariable::Type::integer;
  if (type == "INT UNSIGNED" || type == "UNSIGNED INTEGER") return UserVariable::Type::unsigned_integer;
  if (type == "DECIMAL") return UserVariable::Type::decimal;
  if (type == "DOUBLE") return UserVariable::Type::real;
  return UserVariable::Type::string;
}

// MariaDB: what is not a string is whole here already; strings come with the follow-up.
void read_variable_names(const Result& result, SessionState& state) {
  for (std::size_t i = 0; i < result.rows.size(); ++i) {
    UserVariable variable{.name = hex_cell(result.rows, i, 0).value_or("")};
    const std::string type = ascii_cell(result.rows, i, 1);
    variable.type = type_of(type, ascii_cell(result.rows, i, 2) == "1");
    if (variable.type != UserVariable::Type::string) variable.value = hex_cell(result.rows, i, 3).value_or("");
    if (type == "VARCHAR") variable.charset = ascii_cell(result.rows, i, 4);
    state.user_variables.push_back(std::move(variable));
  }
}

void read_typed_variables(const Result& result, SessionState& state) {
  for (std::size_t i = 0; i < result.rows.size(); ++i) {
    UserVariable variable{.name = hex_cell(result.rows, i, 0).value_or("")};
    variable.type = type_of(ascii_cell(result.rows, i, 1), false);
    variable.value = hex_cell(result.rows, i, 2).value_or("");
    const bool has_charset = variable.type == UserVariable::Type::string || variable.type == UserVariable::Type::null;
    if (has_charset) variable.charset = ascii_cell(result.rows, i, 3);
    if (has_charset) variable.collation = ascii_cell(result.rows, i, 4);
    state.user_variables.push_back(std::move(variable));
  }
}

void sort_user_variables(SessionState& state) {
  std::sort(state.user_variables.begin(), state.user_variables.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
}

// A name that the session's character_set_client cannot spell was asked for in vain: what came back is not the variable.
void note_unnameable(SessionState& state) {
  if (state.variables.is_empty()) return;
  for (auto& variable : state.user_variables) {
    if (can_be_named(variable.name, state)) continue;
    state.unread.push_back({"user_variable", "@" + variable.name, "its name cannot be written in the session's character_set_client"});
  }
}

}  // namespace

// One value of all of them: a select of a hundred columns costs more than they do. Of each its CRC, since their character sets differ.
std::string digest_statement(const ServerFacts& facts) {
  std::string sums;
  for (const auto& [name, fact] : facts.variables) {
    if (!is_left_alone(name)) sums += ",CRC32(@@SESSION." + name + ")";
  }
  return fmt::format("{} SHA2(CONCAT_WS(','{}), 256) LIMIT 1", untimed_select(facts), sums);
}

std::vector<std::string> pull_statements(const ServerFacts& facts, const PullOptions& options) {
  const Slots slots = slots_of(facts, options);
  std::vector<std::string> statements{"SHOW WARNINGS", scalars_sql(facts), second_look_sql(facts)};
  if (slots.counters) statements.push_back(counters_sql(facts));
  if (slots.variables) statements.push_back(variables_sql(facts));
  if (slots.digest) statements.push_back(facts.digest_statement);
  if (facts.is_mariadb()) {
    statements.push_back(user_variable_names_sql(facts));
  } else {
    for (auto& statement : in_unions(options.user_variables, typed_variable_sql)) statements.push_back(std::move(statement));
  }
  return statements;
}

SessionState read_state(const ServerFacts& facts, const PullOptions& options, const WireState& wire, std::span<const Result> results) {
  SessionState state{.wire = wire};
  const Slots slots = slots_of(facts, options);
  for (std::size_t i = 0; i < results.size(); ++i) {
    const bool may_fail = i == slots.digest || (!facts.is_mariadb() && i == slots.counters);
    if (!may_fail) note_errors(results.subspan(i, 1), state);
  }
  if (results.size() < slots.user_variables) state.unread.push_back({"state_unreadable", "session", "answers are missing"});
  if (!state.unread.empty()) return state;
  const Result& scalars = results[slots.scalars];
  read_warnings(results[slots.warnings], state);
  read_scalars(facts, scalars, results[slots.second_look], state);
  count_warnings(facts, scalars, state);
  if (slots.counters) read_counters(results[*slots.counters], state);
  if (slots.variables) read_variables(facts, results[*slots.variables], results[slots.second_look], state);
  // What the pull sets for itself is no part of the digest.
  if (slots.digest && !results[*slots.digest].is_error()) state.variables_digest = ascii_cell(results[*slots.digest].rows, 0, 0) + " " + ascii_cell(results[slots.second_look].rows, 0, 1);
  for (const Result& result : results.subspan(slots.user_variables)) {
    facts.is_mariadb() ? read_variable_names(result, state) : read_typed_variables(result, state);
  }
  sort_user_variables(state);
  note_unnameable(state);
  state.are_temporary_tables_known = facts.is_mariadb() && !may_have_temporary_tables(state);
  return state;
}

bool can_be_named(const std::string& name, const SessionState& state) {
  if (is_ascii(name)) return true;
  const auto client = state.variables.find("character_set_client");
  return client != state.variables.end() && client->second.starts_with("utf8");
}

void note_errors(std::span<const Result> results, SessionState& state) {
  const auto failed = std::find_if(results.begin(), results.end(), [](const Result& result) { return result.is_error(); });
  if (failed != results.end()) state.unread.push_back({"state_unreadable", "session", failed->error});
}

std::vector<std::string> in_unions(const std::vector<std::string>& names, MakeSelect make) {
  std::vector<std::string> statements;
  for (std::size_t i = 0; i < names.size(); i += kVariablesPerStatement) {
    std::vector<std::string> selects;
    for (std::size_t j = i; j < std::min(names.size(), i + kVariablesPerStatement); ++j) selects.push_back(make(names[j]));
    statements.push_back(join(selects, " UNION ALL ").append(kNoLimit));
  }
  return statements;
}

// MySQL takes a limit of 0 in a hint for none given, and uses the session's.
std::string_view untimed_select(const ServerFacts& facts) {
  return facts.is_mariadb() ? "SET STATEMENT max_statement_time = 0 FOR SELECT" : "SELECT /*+ SET_VAR(sql_big_selects = ON) MAX_EXECUTION_TIME(60000) */";
}

std::uint64_t counter(const SessionState& state, const std::string& name) {
  const auto found = state.counters.find(name);
  return found == state.counters.end() ? 0 : found->second;
}

PrepareContext context_of(const SessionState& state) {
  const auto value = [&](const std::string& name) {
    const auto found = state.variables.find(name);
    return found == state.variables.end() ? std::string() : found->second;
  };
  return {.schema = state.schema,
          .sql_mode = value("sql_mode"),
          .character_set_client = value("character_set_client"),
          .character_set_connection = value("character_set_connection"),
          .collation_connection = value("collation_connection")};
}

bool has_same_variables(const SessionState& full, const SessionState& light) { return !light.variables_digest.empty() && full.variables_digest == light.variables_digest; }

SessionState merge(const ServerFacts& facts, const SessionState& full, SessionState light) {
  light.variables = full.variables;
  light.variables_digest = full.variables_digest;
  light.counters.insert(full.counters.begin(), full.counters.end());
  note_unnameable(light);
  light.are_temporary_tables_known = facts.is_mariadb() && !may_have_temporary_tables(light);
  return light;
}

}  // namespace godwit::routing
