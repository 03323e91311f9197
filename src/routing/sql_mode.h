// A session's sql_mode in the words of another server. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "godwit/routing/session_state.h"

namespace godwit::routing {

struct SqlMode {
  std::string value;
  std::vector<std::string> refused;  // words without a counterpart that change what statements do, or that the client itself chose
};
// `old_global` is the old server's default: its words were nobody's choice.
SqlMode translated_sql_mode(std::string_view mode, std::string_view old_global, const ServerFacts& from, const ServerFacts& to);
bool are_same_modes(std::string_view a, std::string_view b);  // in any order

}  // namespace godwit::routing
