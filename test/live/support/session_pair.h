// Two servers with the same tables and accounts, and what a test says of a session that is moved from the one to the other.
#pragma once

#include <string>
#include <vector>

#include "live/support/session.h"

namespace godwit::test {

struct SessionPair {
  const Server& from;
  const Server& to;
  Session from_admin{from, "godwit", ""};
  Session to_admin{to, "godwit", ""};
  SessionPair(const Server& one, const Server& other);
  Move move(Session& old) { return move_session(old, from_admin, from, to_admin, to, "app", "shop"); }
  Move move_back(Move& moved) { return move_session(*moved.session, to_admin, to, from_admin, from, "app", "shop", {.collations_before = moved.collations_before}); }
};

struct SessionItem {
  const char* name;
  std::vector<std::string> made_by;
  std::string asked;
  std::string asked_there{};  // where the other server has other words for it
};

std::string describe(const std::vector<routing::Difference>& differences);
// What a session is asked in the end is asked of the old one after everything else was read from it.
void require_same(SessionPair& pair, const SessionItem& item);
void require_refused(SessionPair& pair, const std::vector<std::string>& made_by, const std::string& reason);

}  // namespace godwit::test
