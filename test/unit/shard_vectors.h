// The vectors under test/data: tab-separated lines, "#" before remarks, a line of titles.
#pragma once

#include <fstream>
#include <string>
#include <vector>

#include "catch.h"
#include "godwit/util/text.h"

namespace godwit::test {

inline std::vector<std::vector<std::string>> read_vectors(const std::string& name) {
  std::ifstream file(GODWIT_SOURCE_DIR "/test/data/" + name);
  REQUIRE(file.is_open());
  std::vector<std::vector<std::string>> rows;
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with('#')) rows.push_back(split(line, '\t'));
  }
  REQUIRE(!rows.empty());
  rows.erase(rows.begin());
  return rows;
}

}  // namespace godwit::test
