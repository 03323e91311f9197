// A client's session as a proxy sees it, for tests of what can be moved: Connector/C with session trackers, and the pull and replay of
// godwit::routing run on it by hand.
#pragma once

#include <mysql.h>

#include <memory>
#include <string>
#include <vector>

#include "godwit/routing/census.h"
#include "godwit/routing/hints.h"
#include "godwit/routing/replay.h"
#include "godwit/routing/session_state.h"
#include "godwit/routing/user_locks.h"
#include "live/support/servers.h"

namespace godwit::test {

class Session {
 public:
  Session(const Server& server, const std::string& user, const std::string& schema);
  // Never throws for what the server says.
  routing::Result run(const std::string& sql);
  // What must succeed; throws std::runtime_error with the server's words.
  void execute(const std::string& sql);
  // All rows as one text, columns by '|', NULL as itself; an error as its number and words.
  std::string ask(const std::string& sql);
  std::uint64_t id() const { return mysql_thread_id(handle_.get()); }
  const routing::WireState& wire() const { return wire_; }
  routing::TextStatements& text_statements() { return text_statements_; }
  void reset();  // COM_RESET_CONNECTION

  // A light pull when there was a full one.
  routing::SessionState pull(const routing::ServerFacts& facts, Session& admin, const routing::SessionState* full = nullptr);

 private:
  void track();
  void note_text(const std::string& sql);
  routing::Result failed() const;
  struct Close {
    void operator()(MYSQL* handle) const { mysql_close(handle); }
  };
  std::unique_ptr<MYSQL, Close> handle_;
  routing::WireState wire_;
  routing::TextStatements text_statements_;
  routing::UserLocks user_locks_;
};

routing::ServerFacts facts_of(Session& admin, const Server& server);

struct Move {
  std::vector<routing::Refusal> refusals;
  std::vector<routing::Difference> differences;
  routing::SessionState state;  // of the old session
  std::unique_ptr<Session> session;  // the new one, unless refused
  std::map<std::string, std::string> collations_before;  // for the way back
  std::string refused() const;       // "reason object", of all refusals
};
// Pulls, plans, opens a session on the other server, replays, verifies.
Move move_session(Session& old, Session& from_admin, const Server& from, Session& to_admin, const Server& to, const std::string& user, const std::string& schema, const routing::ReplayOptions& options = {});

}  // namespace godwit::test
