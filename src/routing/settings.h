// What must be set on a session of one server so that it behaves as a session of another. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "godwit/routing/replay.h"

namespace godwit::routing {

struct Setting {
  std::string name;     // on the new server
  std::string value;
  std::string literal;  // as SQL
  std::string found;    // what the new session has
  bool is_optional = false;
};

struct Settings {
  std::vector<Setting> variables;  // in the order in which they are set; differences only
  std::vector<Setting> charsets;   // all four or none
  std::vector<Refusal> refusals;
};

struct Sides {
  const ServerFacts& from;
  const ServerFacts& to;
  const ReplayOptions& options;
};

Settings settings_between(const SessionState& wanted, const SessionState& fresh, const Sides& sides);

// The other server's name of a character set or collation; nothing when it has none.
std::optional<std::string> charset_on(const Sides& sides, const std::string& charset);
// A collation that is only its character set's default on the old server may become the new one's; a chosen one must be known, or mapped.
std::optional<std::string> collation_on(const Sides& sides, const std::string& collation);

}  // namespace godwit::routing
