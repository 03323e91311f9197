// The order of a replay. The role first: it may be what allows the rest. Then variables in one SET, sql_mode first and autocommit last;
// user variables; the schema; the character sets, since they change how what follows is read; what the next statement uses up (insert_id,
// a one-shot SET TRANSACTION) at the very end. Nothing here opens a table, so autocommit=0 starts no transaction.
#include "godwit/routing/replay.h"

#include <fmt/format.h>

#include <algorithm>

#include "godwit/sql/quote.h"
#include "godwit/util/text.h"
#include "literals.h"
#include "settings.h"

namespace godwit::routing {
namespace {

std::string assignment(const Setting& setting) { return fmt::format("@@SESSION.{} = {}", setting.name, setting.literal); }

Step set_step(const std::vector<Setting>& settings) {
  std::vector<std::string> assignments;
  std::vector<std::string> names;
  for (const auto& setting : settings) {
    assignments.push_back(assignment(setting));
    names.push_back(setting.name);
  }
  Step step{.statement = "SET " + join(assignments, ", "), .object = join(names, ", ")};
  if (settings.size() == 1) {
    step.is_optional = settings.front().is_optional;
    return step;
  }
  for (const auto& setting : settings) {
    step.instead.push_back({.statement = "SET " + assignment(setting), .object = setting.name, .is_optional = setting.is_optional});
  }
  return step;
}

Step names_step(const ServerFacts& to) {
  return {.statement = fmt::format("SET NAMES {}", to.default_collations.contains("utf8mb4") ? "utf8mb4" : "utf8"), .object = "character_set_client"};
}

// `ro`@`%`,`rp`@`%` on MySQL; one plain name on MariaDB.
std::vector<std::string> roles_of(const ServerFacts& server, const std::string& role) {
  if (server.is_mariadb()) return {role};
  std::vector<std::string> roles;
  for (const auto& each : split(role, ',')) roles.push_back(each);
  return roles;
}

struct Builder {
  const SessionState& wanted;
  const SessionState& fresh;
  const Sides& sides;
  Replay replay{};
  bool has_set_names = false;

  void add(std::string statement, std::string object) { replay.steps.push_back({.statement = std::move(statement), .object = std::move(object)}); }

  // Names that are not ASCII are written as utf8mb4; the session's own character sets are restored afterwards.
  void use_utf8() {
    if (has_set_names) return;
    replay.steps.push_back(names_step(sides.to));
    has_set_names = true;
  }

  void add_role() {
    if (wanted.role == fresh.role) return;
    if (!wanted.role) return add("SET ROLE NONE", "role");
    if (!is_ascii(*wanted.role)) use_utf8();
    if (!sides.from.is_mariadb() && !sides.to.is_mariadb()) return add("SET ROLE " + *wanted.role, "role");
    const auto roles = roles_of(sides.from, *wanted.role);
    if (sides.from.is_mariadb()) {
      const std::string quoted = sql::quote_identifier(*wanted.role);
      if (!sides.to.is_mariadb() && fresh.role == quoted + "@`%`") return;
      return add("SET ROLE " + quoted, "role");
    }
    if (roles.size() != 1 || !roles[0].ends_with("@`%`")) {
      replay.refusals.push_back({"role", *wanted.role, "MariaDB has one role at a time, without a host"});
      return;
    }
    const std::string quoted = roles[0].substr(0, roles[0].size() - 4);
    if (fresh.role && sql::quote_identifier(*fresh.role) == quoted) return;
    add("SET ROLE " + quoted, "role");
  }

  void add_user_variables();

  void add_schema() {
    if (!wanted.schema) {
      if (fresh.schema) replay.refusals.push_back({"schema", *fresh.schema, "the new session has a schema, and the old one has none"});
      return;
    }
    const std::string name = sides.options.names.schema(*wanted.schema);
    if (fresh.schema == name) return;
    if (!is_ascii(name)) use_utf8();
    add("USE " + sql::quote_identifier(name), "schema " + name);
  }

  void add_charsets(const Settings& settings) {
    if (!settings.charsets.empty()) replay.steps.push_back(set_step(settings.charsets));
    if (!settings.charsets.empty() || !has_set_names) return;
    // They were the same, until SET NAMES: what the new session had is what it gets back.
    Settings again = settings_between(wanted, SessionState{}, sides);
    if (!again.charsets.empty()) replay.steps.push_back(set_step(again.charsets));
  }

  void add_ids_and_clock() {
    if (wanted.timestamp) add("SET @@SESSION.timestamp = " + *wanted.timestamp, "timestamp");
    if (wanted.last_insert_id != fresh.last_insert_id) add(fmt::format("SET @@SESSION.last_insert_id = {}", wanted.last_insert_id), "last_insert_id");
    if (wanted.insert_id != fresh.insert_id) add(fmt::format("SET @@SESSION.insert_id = {}", wanted.insert_id), "insert_id");
  }

  // "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; SET TRANSACTION READ ONLY;", which the server itself has written.
  void add_one_shot_transaction() {
    for (const auto& statement : split(wanted.wire.transaction_characteristics, ';')) {
      const std::string_view text = trim(statement);
      if (text.starts_with("SET TRANSACTION ")) add(std::string(text), "SET TRANSACTION");
    }
  }
};

void Builder::add_user_variables() {
  std::string assignments;
  const auto flush = [&] {
    if (!assignments.empty()) add("SET " + assignments, "user variables");
    assignments.clear();
  };
  for (const auto& variable : wanted.user_variables) {
    const bool has_charset = !variable.charset.empty() && variable.charset != "binary";
    const auto charset = has_charset ? charset_on(sides, variable.charset) : std::optional<std::string>("");
    const auto collation = has_charset ? collation_on(sides, variable.collation) : std::optional<std::string>("");
    if (!charset || !collation) {
      replay.refusals.push_back({"user_variable", "@" + variable.name, fmt::format("the other server has no {}", variable.collation)});
      continue;
    }
    const std::string text = fmt::format("@{} = {}", sql::quote_identifier(variable.name), user_variable_literal(variable, *charset, *collation));
    if (text.size() > sides.options.statement_bytes_max) {
      replay.refusals.push_back({"user_variable", "@" + variable.name, fmt::format("its value of {} is too large", format_bytes(variable.value.size()))});
      continue;
    }
    if (!is_ascii(variable.name)) use_utf8();
    if (assignments.size() + text.size() > sides.options.statement_bytes_max) flush();
    assignments.append(assignments.empty() ? "" : ", ").append(text);
  }
  flush();
}

// As the new session would have it in its own words.
UserVariable expected_variable(const UserVariable& variable, const Sides& sides) {
  UserVariable expected = variable;
  if (variable.charset.empty() || variable.charset == "binary") return expected;
  expected.charset = charset_on(sides, variable.charset).value_or(variable.charset);
  expected.collation = collation_on(sides, variable.collation).value_or(variable.collation);
  return expected;
}

std::string text_of(const UserVariable& variable) {
  return variable.charset.empty() ? variable.value : fmt::format("{} ({}, {} bytes)", variable.collation, variable.charset, variable.value.size());
}

bool are_same_values(const UserVariable& a, const UserVariable& b) {
  const auto is_plain = [](const UserVariable& variable) { return variable.charset.empty() || variable.charset == "binary"; };
  if (is_plain(a) && is_plain(b)) return a.type == b.type && a.value == b.value;
  return a == b;
}

void compare_user_variables(const SessionState& wanted, const SessionState& rebuilt, const Sides& sides, std::vector<Difference>& all) {
  for (const auto& variable : wanted.user_variables) {
    const auto same = std::find_if(rebuilt.user_variables.begin(), rebuilt.user_variables.end(), [&](const auto& each) { return each.name == variable.name; });
    const UserVariable expected = expected_variable(variable, sides);
    if (same == rebuilt.user_variables.end()) {
      all.push_back({"@" + variable.name, text_of(expected), "nothing"});
    } else if (!are_same_values(expected, *same)) {
      all.push_back({"@" + variable.name, text_of(expected), text_of(*same)});
    }
  }
}

void compare_numbers(const std::string& name, std::uint64_t wanted, std::uint64_t found, std::vector<Difference>& all) {
  if (wanted != found) all.push_back({name, std::to_string(wanted), std::to_string(found)});
}

}  // namespace

Replay plan_replay(const SessionState& wanted, const SessionState& fresh, const ServerFacts& from, const ServerFacts& to, const ReplayOptions& options) {
  const Sides sides{from, to, options};
  Builder builder{wanted, fresh, sides};
  const Settings settings = settings_between(wanted, fresh, sides);
  builder.replay.refusals = settings.refusals;
  builder.add_role();
  if (!settings.variables.empty()) builder.replay.steps.push_back(set_step(settings.variables));
  builder.add_user_variables();
  builder.add_schema();
  builder.add_charsets(settings);
  builder.add_ids_and_clock();
  builder.add_one_shot_transaction();
  return std::move(builder.replay);
}

Replay plan_context(const PrepareContext& context, const ServerFacts& from, const ServerFacts& to, const ReplayOptions& options) {
  SessionState wanted;
  wanted.schema = context.schema;
  wanted.variables = {{"sql_mode", context.sql_mode},
                      {"character_set_client", context.character_set_client},
                      {"character_set_connection", context.character_set_connection},
                      {"collation_connection", context.collation_connection}};
  const Sides sides{from, to, options};
  Builder builder{wanted, SessionState{}, sides};
  const Settings settings = settings_between(wanted, SessionState{}, sides);
  builder.replay.refusals = settings.refusals;
  if (!settings.variables.empty()) builder.replay.steps.push_back(set_step(settings.variables));
  builder.add_schema();
  builder.add_charsets(settings);
  return std::move(builder.replay);
}

Replay plan_text_statements(const std::vector<TextStatement>& statements, const ServerFacts& from, const ServerFacts& to, const ReplayOptions& options) {
  Replay replay;
  const PrepareContext* current = nullptr;
  for (const auto& statement : statements) {
    if (statement.sql.empty()) {
      replay.refusals.push_back({"text_prepared_statement", statement.name, "its text came from a variable and is not known"});
      continue;
    }
    if (current == nullptr || *current != statement.context) {
      Replay context = plan_context(statement.context, from, to, options);
      std::move(context.steps.begin(), context.steps.end(), std::back_inserter(replay.steps));
      std::move(context.refusals.begin(), context.refusals.end(), std::back_inserter(replay.refusals));
      current = &statement.context;
    }
    replay.steps.push_back({.statement = statement.sql, .object = "prepared statement " + statement.name});
  }
  return replay;
}

SessionState after_context(SessionState fresh) {
  for (const char* name : {"sql_mode", "character_set_client", "character_set_connection", "collation_connection"}) fresh.variables.erase(name);
  fresh.schema.reset();
  return fresh;
}

std::map<std::string, std::string> collations_before(const SessionState& state, const ServerFacts& from, const ServerFacts& to, const ReplayOptions& options) {
  const Sides sides{from, to, options};
  std::map<std::string, std::string> before;
  const auto add = [&](const std::string& collation) {
    const auto other = collation_on(sides, collation);
    if (other && *other != collation) before.emplace(*other, collation);
  };
  for (const auto& [name, value] : state.variables) {
    if (name.starts_with("collation_")) add(value);
  }
  for (const auto& variable : state.user_variables) add(variable.collation);
  return before;
}

std::vector<Difference> compare(const SessionState& wanted, const SessionState& rebuilt, const ServerFacts& from, const ServerFacts& to, const ReplayOptions& options) {
  const Sides sides{from, to, options};
  std::vector<Difference> all;
  Settings settings = settings_between(wanted, rebuilt, sides);
  settings.variables.insert(settings.variables.end(), settings.charsets.begin(), settings.charsets.end());
  for (const auto& setting : settings.variables) {
    if (!setting.is_optional && setting.value != setting.found) all.push_back({setting.name, setting.value, setting.found});
  }
  compare_user_variables(wanted, rebuilt, sides, all);
  Builder names{wanted, rebuilt, sides};
  names.add_role();
  names.add_schema();
  for (const auto& step : names.replay.steps) all.push_back({step.object, step.statement, rebuilt.schema.value_or("")});
  if (wanted.timestamp != rebuilt.timestamp) all.push_back({"timestamp", wanted.timestamp.value_or("DEFAULT"), rebuilt.timestamp.value_or("DEFAULT")});
  compare_numbers("last_insert_id", wanted.last_insert_id, rebuilt.last_insert_id, all);
  compare_numbers("insert_id", wanted.insert_id, rebuilt.insert_id, all);
  if (wanted.wire.transaction_characteristics != rebuilt.wire.transaction_characteristics) {
    all.push_back({"SET TRANSACTION", wanted.wire.transaction_characteristics, rebuilt.wire.transaction_characteristics});
  }
  return all;
}

}  // namespace godwit::routing
