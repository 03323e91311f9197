// Private to cli.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

namespace godwit::cli {

// A table of text: columns as wide as their widest cell; figures to the right.
class Grid {
 public:
  explicit Grid(std::vector<std::string> head, std::size_t text_columns = 1)
      : text_columns_(text_columns), rows_{std::move(head)} {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  void print() const {
    std::vector<std::size_t> widths(rows_[0].size());
    for (const auto& row : rows_) {
      for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    }
    for (const auto& row : rows_) {
      std::string line;
      for (std::size_t i = 0; i < row.size(); ++i) {
        if (i > 0) line += "  ";
        line += i < text_columns_ ? fmt::format("{:<{}}", row[i], widths[i]) : fmt::format("{:>{}}", row[i], widths[i]);
      }
      fmt::print("{}\n", std::string(line.substr(0, line.find_last_not_of(' ') + 1)));
    }
  }

 private:
  std::size_t text_columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace godwit::cli
