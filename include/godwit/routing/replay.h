// How a session's state is made on another server, and whether it is there. Pure; any thread.
// All statements are ASCII (names of user variables and schemas apart, which follow a SET NAMES utf8mb4), and mean the same under
// ANSI_QUOTES and NO_BACKSLASH_ESCAPES.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "godwit/catalog/catalog.h"
#include "godwit/routing/session_state.h"
#include "godwit/routing/text_statements.h"

namespace godwit::routing {

struct Step {
  std::string statement;
  std::string object;             // what it sets, for messages
  bool is_optional = false;       // the server may refuse it: the session had it from the old server's globals, not from its client
  std::vector<Step> instead{};    // when the server refuses it: these, one by one
};

// Statements in order. A step that fails: its `instead`, when it has one; else, unless optional, the session is refused (target_refuses).
struct Replay {
  std::vector<Step> steps;
  std::vector<Refusal> refusals;  // when there are any the session stays
};

struct ReplayOptions {
  std::map<std::string, std::string> collation_map;  // --collation-map
  // Of a session that has been moved before: what a collation that it has here stands for, which it had there (collations_before()).
  std::map<std::string, std::string> collations_before{};
  catalog::NameMap names;                            // --map: schemas that have another name on the other side
  std::size_t statement_bytes_max = 1 << 20;         // below the target's max_allowed_packet
};

// `fresh` is the state of the new session before anything was done to it: only differences are replayed. The steps also restore
// whatever the text statements and contexts before them changed, since they compare with `fresh` alone: run them last.
Replay plan_replay(const SessionState& wanted, const SessionState& fresh, const ServerFacts& from, const ServerFacts& to,
                   const ReplayOptions& options);

// Puts a session into that context, whatever it is in.
Replay plan_context(const PrepareContext& context, const ServerFacts& from, const ServerFacts& to, const ReplayOptions& options);
// Prepares statements again that were prepared as text, each in its context. Refuses those whose text is not known (text_prepared_statement).
Replay plan_text_statements(const std::vector<TextStatement>& statements, const ServerFacts& from, const ServerFacts& to, const ReplayOptions& options);
// After a plan_context of another context than the session's own: as `fresh` for plan_replay, with what is not known any more left out.
SessionState after_context(SessionState fresh);

// Collations of the session that have another name on the other server, for the way back: by their names there, those they have here.
std::map<std::string, std::string> collations_before(const SessionState& state, const ServerFacts& from, const ServerFacts& to, const ReplayOptions& options);

struct Difference {
  std::string object;
  std::string wanted;
  std::string found;
};
// What the rebuilt session still lacks. Empty: it is the same, as far as the servers can tell.
std::vector<Difference> compare(const SessionState& wanted, const SessionState& rebuilt, const ServerFacts& from, const ServerFacts& to,
                                const ReplayOptions& options);

}  // namespace godwit::routing
