// Triggers and events of one side of a migration, in that side's sidecar: how they are made again when it serves (docs/sidecar.md, live_object). One
// thread per connection.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "godwit/db/connection.h"

namespace godwit::state {

struct LiveObjectRow {
  std::uint64_t id = 0;
  std::string kind;  // "trigger", "event"
  std::string schema_name;
  std::string object_name;
  std::string table_name;    // of a trigger
  std::uint64_t number = 0;  // of a trigger among those of its table: they fire in this order
  std::string sql;           // as SHOW CREATE gives it, names unqualified
  std::string sql_mode;
  std::string collation;  // of the session that made it; "" where it is not known
  std::string time_zone;  // of an event; "" for the session's own
  std::string state;      // "copied" (this side has never served: it is the other's), "aside" (its own; not there, or about to be lost, or not known to stay), "there"
};

inline constexpr std::string_view kCopiedObject = "copied";

bool is_same(const LiveObjectRow& a, const LiveObjectRow& b);  // by kind and name
std::string to_string(const LiveObjectRow& row);               // trigger `shop`.`audit`

class LiveObjects {
 public:
  // stream: the one whose passive side this is, whether it runs or not.
  LiveObjects(db::Connection& connection, std::uint64_t stream) : db_(connection), stream_(stream) {}

  std::vector<LiveObjectRow> all();  // in the order in which they are made
  // Those that are there now: recorded as they are, in the state "aside", or "copied" where they are that; one that is recorded as there and is not there any
  // more is forgotten. One transaction, before the first of them is dropped.
  void record(const std::vector<LiveObjectRow>& present);
  // What the copy has kept for the first switch, in _godwit.post_copy: taken over, once.
  void take_over_kept();
  std::vector<LiveObjectRow> kept();  // what that would be
  // Rows in the state "copied", of those that `is_covered`, are these from now on.
  void replace_copied(const std::vector<LiveObjectRow>& rows, const std::function<bool(const LiveObjectRow&)>& is_covered);
  void set_there(std::uint64_t id);

 private:
  void put(const LiveObjectRow& row, bool is_replacing);
  db::Connection& db_;
  const std::uint64_t stream_;
};

}  // namespace godwit::state
