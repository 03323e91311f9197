// Private to cli.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "godwit/util/text.h"
#include "terminal.h"
#include "text_lines.h"

namespace godwit::cli {

// A table of text: columns as wide as their widest cell; figures to the right. On a terminal that is too narrow, a last column of text goes on below itself.
class Grid {
 public:
  explicit Grid(std::vector<std::string> head, std::size_t text_columns = 1)
      : text_columns_(text_columns), rows_{std::move(head)} {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  void print() const {
    std::vector<std::size_t> widths(rows_[0].size());
    for (const auto& row : rows_) {
      for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
    }
    std::size_t last_begins = 0;
    for (std::size_t i = 0; i + 1 < widths.size(); ++i) last_begins += widths[i] + 2;
    for (const auto& row : rows_) print_row(row, widths, last_begins);
  }

 private:
  void print_row(const std::vector<std::string>& row, const std::vector<std::size_t>& widths, std::size_t last_begins) const {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (i > 0) line += "  ";
      const std::string padding(widths[i] - width_of(row[i]), ' ');
      line += i < text_columns_ ? row[i] + padding : padding + row[i];
    }
    line.resize(line.find_last_not_of(' ') + 1);
    const bool ends_in_text = row.size() <= text_columns_;
    const std::size_t columns = terminal_columns();
    if (columns == 0 || width_of(line) <= columns || !ends_in_text || last_begins + kTextMin > columns) return print_line(line);
    const std::string head = line.substr(0, line.size() - row.back().size());
    fmt::print("{}{}\n", head, join(wrapped(row.back(), columns - last_begins), "\n" + std::string(last_begins, ' ')));
  }

  static constexpr std::size_t kTextMin = 20;  // of columns, for a text to be worth reading
  std::size_t text_columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace godwit::cli
