// Reading answers by position. A session may receive its results as UTF-16 or UTF-32: what is read here is ASCII (numbers, names, HEX()),
// so that it is itself again without its zero bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "godwit/routing/session_state.h"

namespace godwit::routing {

std::optional<std::string> raw_cell(const db::Rows& rows, std::size_t row, std::size_t column);
std::string ascii_cell(const db::Rows& rows, std::size_t row, std::size_t column);  // "" for NULL
std::optional<std::string> hex_cell(const db::Rows& rows, std::size_t row, std::size_t column);
std::uint64_t number_cell(const db::Rows& rows, std::size_t row, std::size_t column);  // 0 for anything else

}  // namespace godwit::routing
