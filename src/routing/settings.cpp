#include "settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "godwit/catalog/ddl.h"
#include "godwit/util/error.h"
#include "godwit/util/text.h"
#include "literals.h"
#include "sql_mode.h"
#include "variables.h"

namespace godwit::routing {
namespace {

std::string value_of(const SessionState& state, const std::string& name) {
  const auto found = state.variables.find(name);
  return found == state.variables.end() ? std::string() : found->second;
}

double number_of(std::string_view text) {
  double value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

bool are_equal(std::string_view name, std::string_view a, std::string_view b) {
  if (a == b) return true;
  if (name == "sql_mode") return are_same_modes(a, b);
  return is_number(a) && is_number(b) && number_of(a) == number_of(b);
}

// One variable on its way.
struct Travel {
  const Sides& sides;
  const SessionState& fresh;
  Settings& settings;

  bool is_across() const { return sides.from.flavour != sides.to.flavour; }

  void refuse(const std::string& name, std::string detail) {
    record_said(name + ": " + detail + " => see SHOW SESSIONS: the session sets it otherwise, or ends");  // the remedy of what is made of it
    settings.refusals.push_back({"variable", name, std::move(detail)});
  }

  void set(const std::string& name, std::string value, bool is_optional) {
    const auto found = fresh.variables.find(name);
    const std::string current = found == fresh.variables.end() ? std::string() : found->second;
    if (found != fresh.variables.end() && are_equal(name, value, current)) return;
    const auto fact = sides.to.variables.find(name);
    const auto kind = fact == sides.to.variables.end() ? VariableFact::Kind::unknown : fact->second.kind;
    settings.variables.push_back({name, value, setting_literal(value, kind), current, is_optional});
  }
};

// Whether the client, not the server's configuration, gave the session its value.
bool is_clients_choice(const ServerFacts& from, const std::string& name, const std::string& value) {
  const auto fact = from.variables.find(name);
  if (fact == from.variables.end() || !fact->second.global) return true;
  return !are_equal(name, value, *fact->second.global);
}

// max_statement_time has seconds, max_execution_time milliseconds.
std::string time_limit_on(const ServerFacts& to, const std::string& value) {
  const double number = number_of(value);
  if (to.is_mariadb()) return fmt::format("{:.6f}", number / 1000);
  return fmt::format("{:.0f}", std::ceil(number * 1000));
}

// Flags of the old session, as far as they are to be set: those the client changed; between equal versions all that differ.
struct Flags {
  std::map<std::string, std::string> by_name;
  explicit Flags(std::string_view text) {
    for (const auto& pair : split(text, ',')) {
      const auto sign = pair.find('=');
      if (sign != std::string::npos) by_name.emplace(pair.substr(0, sign), pair.substr(sign + 1));
    }
  }
};

void travel_optimizer_switch(Travel& travel, const std::string& value) {
  const auto fact = travel.sides.from.variables.find("optimizer_switch");
  const Flags wanted(value);
  const Flags global(fact == travel.sides.from.variables.end() ? "" : fact->second.global.value_or(""));
  const Flags fresh(value_of(travel.fresh, "optimizer_switch"));
  const bool is_same_server = !travel.is_across() && travel.sides.from.version == travel.sides.to.version;
  std::vector<std::string> changes;
  for (const auto& [flag, state] : wanted.by_name) {
    const auto was = global.by_name.find(flag);
    const bool is_chosen = was == global.by_name.end() || was->second != state;
    if (!is_chosen && !is_same_server) continue;
    const auto is = fresh.by_name.find(flag);
    if (is == fresh.by_name.end()) {
      if (is_chosen) travel.refuse("optimizer_switch", fmt::format("the other server has no {}, which the session has set {}", flag, state));
    } else if (is->second != state) {
      changes.push_back(flag + "=" + state);
    }
  }
  if (!changes.empty()) travel.settings.variables.push_back({"optimizer_switch", join(changes, ","), text_literal(join(changes, ",")), value_of(travel.fresh, "optimizer_switch")});
}

void travel_sql_mode(Travel& travel, const std::string& value) {
  const auto fact = travel.sides.from.variables.find("sql_mode");
  const std::string global = fact == travel.sides.from.variables.end() ? std::string() : fact->second.global.value_or("");
  const SqlMode mode = translated_sql_mode(value, global, travel.sides.from, travel.sides.to);
  for (const auto& word : mode.refused) travel.settings.refusals.push_back({"sql_mode", word, "the other flavour has no such mode"});
  travel.set("sql_mode", mode.value, false);
}

// SYSTEM means the server's own clock: it may stay only where both show the same time now.
void travel_time_zone(Travel& travel, const std::string& value) {
  const bool is_system = equals_ignoring_case(value, "SYSTEM");
  if (is_system && travel.sides.from.system_utc_offset_seconds != travel.sides.to.system_utc_offset_seconds) {
    travel.settings.refusals.push_back({"time_zone", value, "the servers' system time zones differ"});
    return;
  }
  travel.set("time_zone", value, false);
}

// Collations and character sets of variables other than the four of the connection.
void travel_server_collation(Travel& travel, const std::string& name, const std::string& value) {
  const auto other = name == "collation_server" ? collation_on(travel.sides, value) : charset_on(travel.sides, value);
  if (!other) return travel.refuse(name, fmt::format("the other server has no {}", value));
  travel.set(name, *other, false);
}

void travel_one(Travel& travel, const std::string& name, const std::string& value) {
  const bool is_chosen = is_clients_choice(travel.sides.from, name, value);
  const bool is_needed = is_semantic(name);
  if (travel.is_across() && !is_chosen && !is_needed) return;
  if (name == "sql_mode") return travel_sql_mode(travel, value);
  if (name == "time_zone") return travel_time_zone(travel, value);
  if (name == "optimizer_switch") return travel_optimizer_switch(travel, value);
  if (name == "collation_server" || name == "character_set_server") return travel_server_collation(travel, name, value);
  const auto other = name_on(travel.sides.to, name);
  if (!other) {
    if (is_chosen) travel.refuse(name, fmt::format("the other server has no such variable; the session has set it to '{}'", value));
    return;
  }
  const bool is_time_limit = *other != name && (name == "max_statement_time" || name == "max_execution_time");
  travel.set(*other, is_time_limit ? time_limit_on(travel.sides.to, value) : value, !is_chosen && !(is_needed && travel.is_across()));
}

Setting charset_setting(const std::string& name, const std::optional<std::string>& value, const SessionState& fresh) {
  const std::string found = name == "character_set_results" && fresh.has_no_results_charset ? "NULL" : value_of(fresh, name);
  return {name, value.value_or("NULL"), value ? fmt::format("'{}'", *value) : "NULL", found};
}

void travel_charsets(const SessionState& wanted, const SessionState& fresh, const Sides& sides, Settings& settings) {
  std::vector<Setting> all;
  for (const std::string name : {"character_set_client", "character_set_connection", "collation_connection", "character_set_results"}) {
    const bool is_null = name == "character_set_results" && wanted.has_no_results_charset;
    const std::string value = value_of(wanted, name);
    if (value.empty() && !is_null) continue;
    const auto other = is_null ? std::nullopt : name == "collation_connection" ? collation_on(sides, value) : charset_on(sides, value);
    if (!other && !is_null) {
      settings.refusals.push_back({name == "collation_connection" ? "collation" : "character_set", value, fmt::format("{} has no counterpart on the other server", name)});
      continue;
    }
    all.push_back(charset_setting(name, other, fresh));
  }
  const bool is_same = std::all_of(all.begin(), all.end(), [](const Setting& setting) { return setting.value == setting.found; });
  if (!is_same) settings.charsets = std::move(all);
}

}  // namespace

std::optional<std::string> charset_on(const Sides& sides, const std::string& charset) {
  if (charset == "binary" || sides.to.default_collations.contains(charset)) return charset;
  if (charset == "utf8" && sides.to.default_collations.contains("utf8mb3")) return "utf8mb3";
  if (charset == "utf8mb3" && sides.to.default_collations.contains("utf8")) return "utf8";
  return std::nullopt;
}

std::optional<std::string> collation_on(const Sides& sides, const std::string& collation) {
  const auto before = sides.options.collations_before.find(collation);
  if (before != sides.options.collations_before.end() && sides.to.collations.contains(before->second)) return before->second;
  if (sides.to.collations.contains(collation) && !sides.options.collation_map.contains(collation)) return collation;
  catalog::DdlOptions options;
  options.collation_map = sides.options.collation_map;
  for (const auto& [name, charset] : sides.to.collations) options.target_collations.push_back(name);
  const auto charset = sides.from.collations.find(collation);
  const auto usual = charset == sides.from.collations.end() ? sides.from.default_collations.end() : sides.from.default_collations.find(charset->second);
  const bool is_usual = usual != sides.from.default_collations.end() && usual->second == collation;
  const auto other = catalog::target_collation_name(collation, options);
  const auto plain = [](std::string name) { return name.starts_with("utf8mb3_") ? "utf8_" + name.substr(8) : name; };
  const bool is_mapped = options.collation_map.contains(collation);
  if (other && (is_mapped || is_usual || plain(*other) == plain(collation))) return other;
  if (!is_usual) return std::nullopt;
  const auto target_charset = charset_on(sides, charset->second);
  return target_charset ? std::optional(sides.to.default_collations.at(*target_charset)) : std::nullopt;
}

Settings settings_between(const SessionState& wanted, const SessionState& fresh, const Sides& sides) {
  Settings settings;
  Travel travel{sides, fresh, settings};
  for (const auto& [name, value] : wanted.variables) {
    const auto fact = sides.from.variables.find(name);
    if (fact == sides.from.variables.end() || fact->second.is_read_only) continue;
    if (is_left_alone(name) || is_of_charsets(name) || is_second_name(sides.from, name)) continue;
    travel_one(travel, name, value);
  }
  std::stable_sort(settings.variables.begin(), settings.variables.end(), [](const Setting& a, const Setting& b) { return rank_of(a.name) < rank_of(b.name); });
  travel_charsets(wanted, fresh, sides, settings);
  return settings;
}

}  // namespace godwit::routing
