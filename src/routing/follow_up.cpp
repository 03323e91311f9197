// The second round of a pull, for what the first one could only name: the bytes of MariaDB's string variables, its temporary tables, and,
// where the server shows no locks, the user locks whose names are known.
#include <fmt/format.h>

#include <algorithm>

#include "cells.h"
#include "godwit/sql/quote.h"
#include "godwit/util/text.h"
#include "pull.h"

namespace godwit::routing {
namespace {

constexpr std::size_t kTemporaryTablesMax = 64;

std::string string_variable_sql(const std::string& name) {
  const std::string variable = "@" + sql::quote_identifier(name);
  return fmt::format("SELECT '{0}', NULL, HEX(CAST({1} AS BINARY)), CHARSET({1}), COLLATION({1})", godwit::hex(name), variable);
}

void read_strings(const Result& result, SessionState& state) {
  for (std::size_t i = 0; i < result.rows.size(); ++i) {
    const std::string name = hex_cell(result.rows, i, 0).value_or("");
    const auto variable = std::find_if(state.user_variables.begin(), state.user_variables.end(), [&](const auto& each) { return each.name == name; });
    if (variable == state.user_variables.end()) continue;
    variable->value = hex_cell(result.rows, i, 2).value_or("");
    variable->charset = ascii_cell(result.rows, i, 3);
    variable->collation = ascii_cell(result.rows, i, 4);
  }
}

bool needs_bytes(const UserVariable& variable) { return !variable.charset.empty(); }

std::vector<std::string> string_names(const SessionState& state) {
  std::vector<std::string> names;
  for (const auto& variable : state.user_variables) {
    if (needs_bytes(variable) && can_be_named(variable.name, state)) names.push_back(variable.name);
  }
  return names;
}

// Every temporary table that was made has a name that is known here: no procedure made one.
// One that was renamed is not found by its name, and a temporary sequence is counted with the permanent ones.
bool are_names_known(const SessionState& state) {
  return !state.wire.has_flushed_status && state.wire.temporary_tables.size() <= kTemporaryTablesMax && counter(state, "com_alter_table") == 0 &&
         counter(state, "com_rename_table") == 0 && counter(state, "com_create_sequence") == 0 &&
         counter(state, "com_create_temporary_table") <= state.wire.temporary_creates;
}

std::vector<std::string> temporary_table_statements(const ServerFacts& facts, const SessionState& state) {
  if (!facts.is_mariadb() || !may_have_temporary_tables(state)) return {};
  if (facts.lists_temporary_tables()) {
    return {fmt::format("{} HEX(TABLE_SCHEMA), HEX(TABLE_NAME) FROM information_schema.TABLES WHERE TABLE_TYPE = 'TEMPORARY'{}", untimed_select(facts), kNoLimit)};
  }
  if (!are_names_known(state)) return {};
  std::vector<std::string> statements;
  for (const auto& name : state.wire.temporary_tables) statements.push_back("SHOW CREATE TABLE " + name);
  return statements;
}

// Where the server shows no locks, those with known names are asked after.
std::vector<std::string> user_lock_statements(const ServerFacts& facts, const SessionState& state) {
  std::vector<std::string> statements;
  if (facts.sees_locks()) return statements;
  for (const auto& name : state.wire.user_lock_names) statements.push_back(fmt::format("SELECT IS_USED_LOCK({}) <=> CONNECTION_ID()", name));
  return statements;
}

void read_user_locks(std::span<const Result> results, SessionState& state) {
  for (std::size_t i = 0; i < state.wire.user_lock_names.size(); ++i) {
    const bool is_free = i < results.size() && ascii_cell(results[i].rows, 0, 0) == "0";
    if (!is_free) state.user_locks.push_back(state.wire.user_lock_names[i]);
  }
}

void read_listed_tables(const Result& result, SessionState& state) {
  state.are_temporary_tables_known = !result.is_error();
  for (std::size_t i = 0; i < result.rows.size(); ++i) {
    state.temporary_tables.push_back(sql::quote_table(hex_cell(result.rows, i, 0).value_or(""), hex_cell(result.rows, i, 1).value_or("")));
  }
}

// SHOW CREATE TABLE of a name says whether the session sees a temporary table there; an error says that it sees none.
void read_named_tables(std::span<const Result> results, SessionState& state) {
  state.are_temporary_tables_known = are_names_known(state);
  for (std::size_t i = 0; i < results.size() && i < state.wire.temporary_tables.size(); ++i) {
    const bool is_there = ascii_cell(results[i].rows, 0, 1).starts_with("CREATE TEMPORARY");
    if (is_there) state.temporary_tables.push_back(state.wire.temporary_tables[i]);
  }
}

}  // namespace

bool may_have_temporary_tables(const SessionState& state) {
  return state.wire.has_flushed_status || counter(state, "com_create_temporary_table") > 0 || counter(state, "com_create_sequence") > 0 || state.wire.temporary_creates > 0;
}

std::vector<std::string> follow_up_statements(const ServerFacts& facts, const SessionState& state) {
  if (!facts.is_mariadb()) return {};
  auto statements = in_unions(string_names(state), string_variable_sql);
  for (auto& statement : user_lock_statements(facts, state)) statements.push_back(std::move(statement));
  for (auto& statement : temporary_table_statements(facts, state)) statements.push_back(std::move(statement));
  return statements;
}

void read_follow_up(const ServerFacts& facts, std::span<const Result> results, SessionState& state) {
  if (!facts.is_mariadb()) return;
  const std::size_t strings = (string_names(state).size() + kVariablesPerStatement - 1) / kVariablesPerStatement;
  const auto of_strings = results.first(std::min(strings, results.size()));
  note_errors(of_strings, state);
  for (const Result& result : of_strings) read_strings(result, state);
  const auto of_locks = results.subspan(of_strings.size()).first(std::min(user_lock_statements(facts, state).size(), results.size() - of_strings.size()));
  if (!facts.sees_locks()) read_user_locks(of_locks, state);
  if (!may_have_temporary_tables(state)) return;
  const auto of_tables = results.subspan(of_strings.size() + of_locks.size());
  if (facts.lists_temporary_tables()) {
    read_listed_tables(of_tables.empty() ? Result{.server_errno = 1} : of_tables.front(), state);
  } else if (are_names_known(state)) {
    read_named_tables(of_tables, state);
  }
}

}  // namespace godwit::routing
