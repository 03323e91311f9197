// A connection to one of the two servers, on behalf of one client: opened, logged in by the client's own replies or by a secret, and asked statements
// of the proxy's own while the client is not served. Event loop's thread. Errors: connection_lost, access_denied, peer_misbehaved, tls_failed.
#pragma once

#include <asio/awaitable.hpp>
#include <asio/generic/stream_protocol.hpp>
#include <asio/io_context.hpp>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "channel.h"
#include "godwit/auth/prover.h"
#include "godwit/db/connection.h"
#include "godwit/layer/tls.h"
#include "godwit/routing/session_state.h"
#include "godwit/wire/handshake.h"
#include "godwit/wire/ok.h"
#include "godwit/wire/responses.h"

namespace godwit::proxy {

// What an admin has read of a server; renewed while sessions hold on to the older one. Any thread.
class SharedFacts {
 public:
  std::shared_ptr<const routing::ServerFacts> get() const {
    const std::lock_guard lock(mutex_);
    return facts_;
  }
  void set(routing::ServerFacts facts) {
    const std::lock_guard lock(mutex_);
    facts_ = std::make_shared<const routing::ServerFacts>(std::move(facts));
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const routing::ServerFacts> facts_;
};

// One side, as sessions reach it.
struct Upstream {
  db::Side side = db::Side::source;
  db::Dsn dsn;  // its address and TLS; not its user
  std::shared_ptr<const layer::TlsContext> tls;  // null: never
  bool sends_proxy_header = false;
  SharedFacts facts;
  std::string name() const { return std::string(db::to_string(side)) + " " + db::address(dsn); }
};

using Credential = auth::Credentials;
using Endpoint = asio::generic::stream_protocol::endpoint;

struct ClientAddress {
  std::string host;
  std::uint16_t port = 0;
  std::string proxy_header;  // for the servers, where they want one
};

class Backend {
 public:
  // Up to the server's greeting.
  static asio::awaitable<std::shared_ptr<Backend>> connect(asio::any_io_executor executor, const Upstream& upstream, const ClientAddress& client, Deadline deadline);

  Channel& channel() { return *channel_; }
  const wire::Greeting& greeting() const { return greeting_; }
  const Upstream& upstream() const { return *upstream_; }
  db::Side side() const { return upstream_->side; }
  std::uint32_t id() const { return greeting_.connection_id; }
  wire::Capabilities capabilities() const { return capabilities_; }
  bool is_secure() const { return channel_->is_tls() || channel_->is_local(); }

  // Sends the login, behind TLS where the side wants it. What the server answers is up to the caller.
  asio::awaitable<void> send_login(wire::Login login, Deadline deadline);
  // The whole login by a secret.
  asio::awaitable<wire::Ok> log_in(wire::Login login, const Credential& credential, Deadline deadline);
  // What follows upon a login, or a change of user, that was sent: until the server's OK or ERR, which it gives.
  asio::awaitable<std::string> prove(std::string user, const Credential& credential, Deadline deadline);
  // The password, as this connection may carry it (caching_sha2_password's full authentication).
  asio::awaitable<void> send_sha2_password(const auth::Secret& password, const std::string& nonce, Deadline deadline);
  const routing::ServerFacts& facts() const { return *facts_; }
  std::shared_ptr<const routing::ServerFacts> shared_facts() const { return facts_; }

  // From now on run() executes this statement by its number: for one that is long, and asked often. Where the server will not, it goes on as text.
  asio::awaitable<void> keep_prepared(const std::string& statement, Deadline deadline);
  void forget_prepared() { kept_.reset(); }
  // One answer for each statement, in order, sent at once. A server's refusal is in its Result.
  asio::awaitable<std::vector<routing::Result>> run(std::span<const std::string> statements, Deadline deadline);
  struct Prepared {
    std::uint32_t id = 0;
    std::uint64_t definitions = 0;
    std::vector<std::string> columns;  // their definitions, as packets' payloads
    std::optional<wire::ServerError> error;
  };
  asio::awaitable<std::vector<Prepared>> prepare(std::span<const std::string> statements, Deadline deadline);
  void close_statement(std::uint32_t id);
  // The session's status flags, as the last answer to run() or ping() had them.
  std::uint16_t status() const { return status_; }
  // What makes the server tell of changes to the session (docs/session-state.md).
  std::optional<std::string> trackers_statement() const;
  asio::awaitable<void> set_trackers(Deadline deadline);
  // False: of locked tables, and of what is set for the next transaction alone, only the client's statements tell.
  bool tells_of_transactions() const;
  asio::awaitable<std::uint16_t> ping(Deadline deadline);  // the session's status flags
  asio::awaitable<void> set_multi_statements(bool is_on, Deadline deadline);
  void quit();
  // Answers what the server is waiting for in a login that will not come. Throws what it says to that.
  asio::awaitable<void> take_leave(bool has_begun, Deadline deadline);

 private:
  Backend(std::shared_ptr<Channel> channel, const Upstream& upstream) : channel_(std::move(channel)), upstream_(&upstream), facts_(upstream.facts.get()) {}
  static asio::awaitable<std::shared_ptr<Backend>> connect_to(asio::any_io_executor executor, const Endpoint& endpoint, const Upstream& upstream, const ClientAddress& client, Deadline deadline);
  static asio::awaitable<std::string> first_packet(Channel& channel, const Upstream& upstream, Deadline deadline);
  asio::awaitable<std::string> packet(Deadline deadline);
  asio::awaitable<std::string> prove(std::string user, auth::Prover& prover, Deadline deadline);
  enum class Form { text, binary };
  asio::awaitable<routing::Result> read_result(Form form, Deadline deadline);
  struct ResultHead {
    std::uint64_t columns = 0;
    bool has_definitions = true;
    Form form = Form::text;
  };
  asio::awaitable<bool> read_rows(routing::Result& result, ResultHead head, Deadline deadline);
  bool is_kept(const std::string& statement) const { return kept_ && kept_->first == statement; }
  asio::awaitable<void> skip_eof(Deadline deadline);
  asio::awaitable<Prepared> read_prepared(Deadline deadline);
  bool has(wire::Capabilities capability) const { return (capabilities_ & capability) != 0; }

  std::shared_ptr<Channel> channel_;
  const Upstream* upstream_;
  std::shared_ptr<const routing::ServerFacts> facts_;
  wire::Greeting greeting_;
  wire::Capabilities capabilities_ = 0;
  std::uint16_t status_ = 0;
  std::optional<std::pair<std::string, std::uint32_t>> kept_;
};

}  // namespace godwit::proxy
