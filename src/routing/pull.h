// What the two rounds of a pull share. Pure.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "godwit/routing/session_state.h"

namespace godwit::routing {

inline constexpr std::string_view kNoLimit = " LIMIT 18446744073709551615";
inline constexpr std::size_t kVariablesPerStatement = 200;

// The SELECT of a list: neither the session's time limit nor, on MySQL, its max_join_size ends it.
std::string digest_statement(const ServerFacts& facts);
std::string_view untimed_select(const ServerFacts& facts);

using MakeSelect = std::string (*)(const std::string& name);
// One SELECT per name, several of them in a statement.
std::vector<std::string> in_unions(const std::vector<std::string>& names, MakeSelect make);
// Whether the session's character_set_client can spell the variable's name.
bool can_be_named(const std::string& name, const SessionState& state);
void note_errors(std::span<const Result> results, SessionState& state);
std::uint64_t counter(const SessionState& state, const std::string& name);
bool may_have_temporary_tables(const SessionState& state);

}  // namespace godwit::routing
