#include "cells.h"

#include "godwit/util/text.h"
#include "literals.h"

namespace godwit::routing {

std::optional<std::string> raw_cell(const db::Rows& rows, std::size_t row, std::size_t column) {
  if (row >= rows.rows.size() || column >= rows.rows[row].size()) return std::nullopt;
  return rows.rows[row][column];
}

std::string ascii_cell(const db::Rows& rows, std::size_t row, std::size_t column) {
  std::string text = raw_cell(rows, row, column).value_or("");
  std::erase(text, '\0');
  return text;
}

std::optional<std::string> hex_cell(const db::Rows& rows, std::size_t row, std::size_t column) {
  if (!raw_cell(rows, row, column)) return std::nullopt;
  return unhex(ascii_cell(rows, row, column));
}

std::uint64_t number_cell(const db::Rows& rows, std::size_t row, std::size_t column) {
  return parse_u64(ascii_cell(rows, row, column)).value_or(0);
}

}  // namespace godwit::routing
