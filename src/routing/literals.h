// Values as SQL text that means the same under every sql_mode, and, being ASCII, in every character_set_client. Pure.
#pragma once

#include <string>
#include <string_view>

#include "godwit/routing/session_state.h"

namespace godwit::routing {

bool is_ascii(std::string_view text);
bool is_number(std::string_view text);  // -12, 0.500000, 1e300
// 'PLAIN,WORDS' where that needs no escape under any sql_mode, else X'…' as utf8mb4.
std::string text_literal(std::string_view text);
// The value of a variable of the server.
std::string setting_literal(std::string_view value, VariableFact::Kind kind);
// The value of a user variable, of its own type; `collation` is the one that the target has for it.
std::string user_variable_literal(const UserVariable& variable, std::string_view charset, std::string_view collation);
// What HEX() gave; empty when it is none.
std::string unhex(std::string_view digits);

}  // namespace godwit::routing
