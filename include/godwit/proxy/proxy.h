// `godwit proxy`: what applications connect to before a switch, and stay connected to through it. One session is one client and one server connection,
// relayed without looking into rows. Runs threads of its own, which have ended when run_proxy() returns. docs/proxy.md.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "godwit/catalog/catalog.h"
#include "godwit/db/connection.h"
#include "godwit/util/stop.h"

namespace godwit::proxy {

enum class Straggler { abort, kill };  // a session that does not come to a safe point in time

struct ProxyLimits {
  std::uint64_t clients = 10'000;
  std::uint64_t clients_per_account = 0;  // 0: no limit of its own
  std::uint64_t login_failures_per_minute = 60;  // of one client address
  std::chrono::milliseconds handshake{10'000};
  std::chrono::milliseconds stalled_client{60'000};  // it does not read, or does not finish a request
  std::chrono::milliseconds drain{10'000};           // until all sessions are at a safe point
  std::chrono::milliseconds lease{5'000};            // a hold without word
  std::chrono::milliseconds login_hold{30'000};      // a login that comes while the gate is closed
  std::chrono::milliseconds shutdown{30'000};        // SIGTERM: until the sessions have ended by themselves
};

// Where the target is shards.
struct Shards {
  std::vector<db::Dsn> servers;     // by their ranges: the first has the authority. None: the target is one server
  std::string first = "-";          // the first one's range
  bool has_fenced_head = false;     // what serves over them is fenced as they are
};

struct ProxyOptions {
  std::string name;  // of the workflow: its authority's row has it
  std::vector<std::string> listen;  // "127.0.0.1:6033", "[::1]:6033"
  db::Dsn source;  // with the account that looks into accounts and locks
  db::Dsn target;  // of shards, the SQL endpoint over them
  Shards shards{};
  std::optional<db::Side> serving;  // what the operator says, where no authority says it; neither: the source
  std::function<void(db::Side)> on_serving;  // the authority's word, once it is known and when it has changed, within a second; in the first event loop, and at once
  std::map<std::string, std::string> collation_map;  // as the copy was given it
  catalog::NameMap names;                            // --map
  std::string admin_user;
  std::string admin_password;
  std::size_t threads = 0;  // 0: one a core
  std::string tls_cert;     // of the proxy, for clients; empty: one made for this run, where the serving side offers TLS
  std::string tls_key;
  std::string tls_ca;       // a certificate that a client shows must be of this authority; it need not show any
  bool offers_tls = true;
  std::string accounts_file;
  bool delegates_auth = false;
  std::vector<std::string> proxy_protocol_from;  // networks whose connections begin with a PROXY header
  bool sends_proxy_protocol = false;
  Straggler on_straggler = Straggler::abort;
  std::string metrics_address;
  std::string access_log;  // a file; empty: none
  std::chrono::milliseconds slow_hold{0};  // a hold longer than this is logged; 0: none
  bool moves_always = false;  // each session moves at each safe point (tests)
  ProxyLimits limits;
};

struct ProxyReport {
  std::uint64_t sessions = 0;
  std::uint64_t statements = 0;
  std::uint64_t moves = 0;
};

// Throws Error(cannot_listen), and what connecting to the serving side throws. A stop request drains, and ends it.
ProxyReport run_proxy(const ProxyOptions& options, const Stop& stop);

}  // namespace godwit::proxy
