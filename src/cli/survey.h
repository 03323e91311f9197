// What the servers of a workflow say of it, for `status`: it must not wait for one that is away, needs SELECT on `_godwit`.* and no more, and changes nothing. Private to cli.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "godwit/db/connection.h"
#include "godwit/state/authority.h"
#include "godwit/state/proxy_registry.h"
#include "godwit/state/sidecar.h"
#include "godwit/state/vdiff_store.h"
#include "godwit/workflow/direction.h"

namespace godwit::cli {

struct Asked {  // whom
  std::string name;  // of the workflow
  std::optional<db::Dsn> source;
  std::vector<db::Dsn> targets;  // the shards, or the one; the first has the authority
};

struct CopiedTable {
  std::string source;
  std::string target;
  std::string state;
  std::uint64_t rows = 0;
  std::uint64_t bytes = 0;
  std::uint64_t chunks = 0;
  std::uint64_t chunks_done = 0;
};

struct StreamView {
  state::StreamRow row;
  std::chrono::milliseconds moved_ago{0};  // since its row was written
  std::chrono::seconds age{0};             // since it was created
  bool is_followed = false;                // a process has sessions for it: `copy` or `replicate`
  bool is_compared = false;                // a vdiff is at work
  std::uint64_t failed = 0;                // statements after the copy
  std::vector<CopiedTable> tables;
};

struct VdiffView {
  state::VdiffRow row;
  std::chrono::seconds age{0};  // since it ended, or began
};

// One server. It is asked once, and `connection` stays.
struct ServerView {
  std::string why_unknown;  // "the target is unreachable: …"; empty: it was asked
  std::optional<db::Connection> connection;
  std::vector<StreamView> streams;  // of the workflow, that write to this server
  std::optional<VdiffView> vdiff;
  std::string open_fence;  // its kind: recorded as set, and read_only is off
  bool is_known() const { return why_unknown.empty(); }
};

struct Survey {
  std::optional<db::Side> serving;    // nothing: not known
  std::optional<state::Route> route;  // nothing before a switch was prepared, and after `complete`
  std::string why_unknown;            // who serves
  std::chrono::milliseconds route_age{0};  // since it was changed
  bool is_coordinated = false;        // somebody is at work on a switch
  std::vector<state::ProxyRow> proxies;  // of the last day
  std::optional<ServerView> source;
  std::vector<ServerView> targets;
  std::string why_lag_unknown;
  std::optional<bool> is_near;  // the side that does not serve had, within cutover::kLagMax, what the other had at first

  // Those that lead away from the side that serves, one for each shard; those of servers that were not asked are missing.
  std::vector<const StreamView*> streams() const;
  const ServerView* passive() const;  // the first server that they write to; nothing: not asked
};

// Throws nothing that a server has said.
Survey survey(const Asked& asked, std::optional<db::Side> serving_without_authority);
// The workflows that a target knows; throws Error.
std::vector<std::string> workflows_on(const db::Dsn& target);

}  // namespace godwit::cli
