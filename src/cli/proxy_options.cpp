#include "proxy_options.h"

#include <cstdlib>

#include "godwit/util/error.h"
#include "godwit/util/text.h"
#include "godwit/workflow/shards.h"
#include "page.h"

namespace godwit::cli {
void add_proxy(CLI::App& app, ProxyArguments& a) {
  app.add_option("--listen", a.listen, "Where clients connect: ADDR:PORT, repeatable")->type_name("ADDR:PORT")->delimiter(',')->required();
  app.add_option("--serving", a.serving, "The side that serves now, where no authority says it: source, before a switch was prepared; target, once the migration was completed (default: target where this state file says completed, or that a proxy went over to it, else source)")->check(CLI::IsMember({"source", "target"}));
  app.add_option("--admin-user", a.admin_user, "The account that may say SHOW SESSIONS, PAUSE, MOVE …; its password is in $GODWIT_ADMIN_PASSWORD")->type_name("USER");
  app.add_option("--threads", a.threads, "Event loops; 0: one a core")->check(CLI::Range(0, 256))->capture_default_str();
  app.add_option("--tls-cert", a.tls_cert, "Certificate shown to clients (PEM); without one, where the servers offer TLS, a self-signed one is made")->type_name(kFile);
  app.add_flag("--no-tls", a.no_tls, "Offer clients no TLS");
  app.add_option("--tls-key", a.tls_key, "Its key (PEM)")->type_name(kFile);
  app.add_option("--tls-ca", a.tls_ca, "Authority of clients' certificates (PEM): one that is not of it is refused; a client need not show any")->type_name(kFile);
  app.add_option("--accounts", a.accounts, "File of user:password lines, mode 0600: secrets for the other side")->type_name(kFile);
  app.add_flag("--delegate-auth", a.delegate_auth, "Give accounts a second credential on the other side, where nothing else will do; complete and cancel take it away");
  app.add_option("--proxy-protocol-from", a.proxy_protocol_from, "Networks whose connections begin with a PROXY header")->type_name("NETWORK")->delimiter(',');
  app.add_flag("--send-proxy-protocol", a.send_proxy_protocol, "Begin connections to the servers with a PROXY header (v2)");
  app.add_option("--on-straggler", a.on_straggler, "A session that comes to no safe point in time: give up, or end it")->check(CLI::IsMember({"abort", "kill"}))->capture_default_str();
  app.add_option("--drain-timeout", a.drain_timeout, "How long PAUSE waits for sessions to come to a safe point")->type_name("DURATION")->capture_default_str();
  app.add_option("--lease", a.lease, "A hold without a word ends after this; 0s: never")->type_name("DURATION")->capture_default_str();
  app.add_option("--handshake-timeout", a.handshake_timeout, "From connecting to being logged in")->type_name("DURATION")->capture_default_str();
  app.add_option("--stalled-timeout", a.stalled_timeout, "A client that does not read, or does not finish a request, is dropped")->type_name("DURATION")->capture_default_str();
  app.add_option("--shutdown-timeout", a.shutdown_timeout, "On SIGTERM: how long sessions have to come to a safe point")->type_name("DURATION")->capture_default_str();
  app.add_option("--clients-max", a.clients_max, "Client connections at a time")->capture_default_str();
  app.add_option("--clients-per-account-max", a.clients_per_account_max, "The same of one user name; 0: no limit of its own")->capture_default_str();
  app.add_option("--login-failures-max", a.login_failures_max, "Failed logins a minute of one address, before it is turned away")->capture_default_str();
  app.add_option("--metrics", a.metrics, "Serve Prometheus text at this ADDR:PORT")->type_name("ADDR:PORT");
  app.add_option("--access-log", a.access_log, "A line for each session that ends, into this file")->type_name(kFile);
  app.add_option("--slow-hold", a.slow_hold, "Log sessions that were held for longer than this")->type_name("DURATION");
  app.add_flag("--move-always", a.move_always, "Move each session to the other side at each safe point: for tests, with both sides the same server");
}

namespace {

// Its clients go to what serves over them.
void take_shards(proxy::ProxyOptions& options, const workflow::Definition& definition) {
  if (!workflow::is_sharded(definition)) return;
  if (!definition.serve) throw Error(Code::bad_usage, {.object = "godwit proxy " + definition.name, .cause = "the target is shards, and no client can be served by them", .remedy = "--serve DSN of what serves over them: docs/sharding.md"});
  options.target = *definition.serve;
  const auto shards = workflow::shard_definitions(definition);
  for (const auto& shard : shards) options.shards.servers.push_back(shard.target);
  options.shards.first = shards.front().shard;
  options.shards.has_fenced_head = workflow::head_definition(definition).has_value();
}

}  // namespace

proxy::ProxyOptions proxy_options_of(const workflow::Definition& definition, const ProxyArguments& a) {
  proxy::ProxyOptions options;
  options.name = definition.name;
  options.source = definition.source;
  options.target = definition.target;
  take_shards(options, definition);
  options.names = workflow::names_of(definition);
  options.collation_map = workflow::collation_map_of(definition);
  options.listen = a.listen;
  if (!a.serving.empty()) options.serving = a.serving == "target" ? db::Side::target : db::Side::source;
  options.admin_user = a.admin_user;
  if (const char* password = std::getenv("GODWIT_ADMIN_PASSWORD")) options.admin_password = password;
  if (!a.admin_user.empty() && options.admin_password.empty()) {
    throw Error(Code::bad_usage, {.object = "--admin-user " + a.admin_user, .cause = "it has no password", .remedy = "set GODWIT_ADMIN_PASSWORD"});
  }
  if (a.tls_cert.empty() && !(a.tls_key.empty() && a.tls_ca.empty())) {
    throw Error(Code::bad_usage, {.object = a.tls_ca.empty() ? "--tls-key" : "--tls-ca", .cause = "no certificate of the proxy is named, so it would not be used", .remedy = "--tls-cert FILE --tls-key FILE"});
  }
  if (a.no_tls && !a.tls_cert.empty()) throw Error(Code::bad_usage, {.object = "--no-tls", .cause = "--tls-cert is given too", .remedy = "name one of them"});
  options.threads = a.threads;
  options.offers_tls = !a.no_tls;
  options.tls_cert = a.tls_cert;
  options.tls_key = a.tls_key;
  options.tls_ca = a.tls_ca;
  options.accounts_file = a.accounts;
  options.delegates_auth = a.delegate_auth;
  options.proxy_protocol_from = a.proxy_protocol_from;
  options.sends_proxy_protocol = a.send_proxy_protocol;
  options.on_straggler = a.on_straggler == "kill" ? proxy::Straggler::kill : proxy::Straggler::abort;
  options.limits.drain = duration_of(a.drain_timeout, "--drain-timeout");
  options.limits.lease = duration_of(a.lease, "--lease");
  options.limits.handshake = duration_of(a.handshake_timeout, "--handshake-timeout");
  options.limits.stalled_client = duration_of(a.stalled_timeout, "--stalled-timeout");
  options.limits.shutdown = duration_of(a.shutdown_timeout, "--shutdown-timeout");
  options.limits.clients = a.clients_max;
  options.limits.clients_per_account = a.clients_per_account_max;
  options.limits.login_failures_per_minute = a.login_failures_max;
  options.metrics_address = a.metrics;
  options.access_log = a.access_log;
  if (!a.slow_hold.empty()) options.slow_hold = duration_of(a.slow_hold, "--slow-hold");
  options.moves_always = a.move_always;
  return options;
}

}  // namespace godwit::cli
