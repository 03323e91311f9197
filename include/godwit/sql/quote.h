// Identifiers and literals as SQL text. Pure; any thread. Sessions run without ANSI_QUOTES and without
// NO_BACKSLASH_ESCAPES (db sets sql_mode), which these forms rely on.
#pragma once

#include <string>
#include <string_view>

namespace godwit::sql {

std::string quote_identifier(std::string_view name);                            // `a``b`
std::string quote_table(std::string_view schema, std::string_view table);       // `a`.`b`
std::string quote_string(std::string_view text);                                // 'it\'s', any bytes
std::string hex_literal(std::string_view bytes);                                // X'00FF', '' when empty

}  // namespace godwit::sql
