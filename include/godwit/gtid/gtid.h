// One transaction's name, in either flavour. Pure; any thread.
// Grammar: MySQL Reference Manual "GTID Format and Storage" (tags from 8.3 on); MariaDB "Global Transaction ID".
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "godwit/gtid/position.h"

namespace godwit::gtid {

// The origin of MySQL transactions: a server's UUID, bytes in the order in which they are printed.
struct Uuid {
  std::array<std::uint8_t, 16> bytes{};
  auto operator<=>(const Uuid&) const = default;
};
std::string to_string(const Uuid& uuid);

struct MysqlGtid {
  Uuid uuid;
  std::string tag;  // lower case; empty for most
  std::uint64_t number = 0;
  auto operator<=>(const MysqlGtid&) const = default;
};

struct MariadbGtid {
  std::uint32_t domain = 0;
  std::uint32_t server = 0;
  std::uint64_t sequence = 0;
  auto operator<=>(const MariadbGtid&) const = default;
};

using Gtid = std::variant<MysqlGtid, MariadbGtid>;

Flavour flavour_of(const Gtid& gtid);
// As the server prints it: "3e11fa47-71ca-11e1-9e33-c80aa9429562:tag:23", "0-1-10".
std::string to_string(const Gtid& gtid);
// Throws Error(gtid_unreadable) for anything else.
Gtid parse_gtid(Flavour flavour, std::string_view text);

}  // namespace godwit::gtid
