// Which transactions a stream has behind it, as a value to compute with. Position is its printed form.
// MySQL: intervals per UUID and tag. MariaDB: the newest transaction per domain, which stands for all before it there.
// One thread at a time; const members from any.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "godwit/gtid/gtid.h"
#include "godwit/gtid/position.h"

namespace godwit::gtid {

class Set {
 public:
  explicit Set(Flavour flavour = Flavour::mysql);
  // White space, order, repeated UUIDs and touching intervals are accepted as the servers accept them.
  // Throws Error(gtid_unreadable), naming what it could not take.
  static Set parse(Flavour flavour, std::string_view text);
  static Set parse(const Position& position) { return parse(position.flavour, position.text); }
  // The binary form of COM_BINLOG_DUMP_GTID and PREVIOUS_GTIDS, untagged or tagged (sql/rpl_gtid_set.cc). MySQL only.
  // Throws Error(event_corrupt).
  static Set decode(std::string_view bytes);
  // Tagged only when there is a tag: servers before 8.3 do not know that form.
  std::string encode() const;

  Flavour flavour() const;
  bool is_empty() const;
  // MySQL: as @@gtid_executed prints it, without line breaks. MariaDB: by domain.
  std::string to_string() const;
  void append_to(std::string& out) const;
  Position position() const { return {.flavour = flavour(), .text = to_string()}; }

  // What follows takes arguments of the set's own flavour only: mixing is a programmer's mistake.
  bool contains(const Gtid& gtid) const;
  bool contains(const Set& other) const;  // every transaction of `other`; the empty set always
  bool intersects(const Set& other) const;
  // O(log n). MariaDB: the domain's position moves forward, never back.
  void add(const Gtid& gtid);
  void add(const Set& other);
  // MySQL: set difference. MariaDB: drops the domains in which `other` is at least as far.
  void subtract(const Set& other);
  // MySQL: what is in both. MariaDB: in each domain the earlier of the two; a domain that one of them lacks is none.
  void intersect(const Set& other);

  bool operator==(const Set&) const = default;

 private:
  // First number → last number, disjoint and not touching.
  using Intervals = std::map<std::uint64_t, std::uint64_t>;
  using MysqlSet = std::map<std::pair<Uuid, std::string>, Intervals>;
  using MariadbSet = std::map<std::uint32_t, MariadbGtid>;

  static void add_interval(Intervals& intervals, std::uint64_t first, std::uint64_t last);
  static void remove_interval(Intervals& intervals, std::uint64_t first, std::uint64_t last);
  static bool contains_interval(const Intervals& intervals,
                                std::uint64_t first,
                                std::uint64_t last);
  static MysqlSet parse_mysql(std::string_view text);
  static MariadbSet parse_mariadb(std::string_view text);
  static void append_mysql(std::string& out, const MysqlSet& set);
  static void append_mariadb(std::string& out, const MariadbSet& set);

  const MysqlSet& mysql() const { return std::get<MysqlSet>(set_); }
  const MariadbSet& mariadb() const { return std::get<MariadbSet>(set_); }

  std::variant<MysqlSet, MariadbSet> set_;
};

}  // namespace godwit::gtid
