// Where a stream stands in its source's history: a GTID set (MySQL) or a GTID position per domain (MariaDB).
#pragma once

#include <string>

namespace godwit::gtid {

enum class Flavour { mysql, mariadb };

struct Position {
  Flavour flavour = Flavour::mysql;
  std::string
      text;  // as the server prints it, without white space; empty means the beginning of history

  bool operator==(const Position&) const = default;
};

std::string to_string(Flavour flavour);
// Removes the line breaks and blanks with which servers print long sets.
Position make_position(Flavour flavour, const std::string& printed);

}  // namespace godwit::gtid
