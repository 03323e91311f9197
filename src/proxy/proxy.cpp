#include "godwit/proxy/proxy.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <asio/co_spawn.hpp>
#include <asio/post.hpp>
#include <asio/use_future.hpp>
#include <thread>

#include "coordinator.h"
#include "godwit/metrics/server.h"
#include "godwit/util/error.h"
#include "godwit/util/log.h"
#include "godwit/util/text.h"
#include "kept_memory.h"

namespace godwit::proxy {
namespace {

constexpr std::chrono::milliseconds kLook{20};

// "127.0.0.1:6033", "[::1]:6033"
asio::ip::tcp::endpoint endpoint_of(const std::string& text) {
  const auto colon = text.rfind(':');
  const auto port = parse_u64(colon == std::string::npos ? "" : text.substr(colon + 1)).value_or(0);
  std::string host = text.substr(0, colon == std::string::npos ? 0 : colon);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  std::error_code error;
  const auto address = asio::ip::make_address(host.empty() || host == "*" ? "0.0.0.0" : host == "localhost" ? "127.0.0.1" : host, error);
  if (port == 0 || port > 65535 || error) throw Error(Code::bad_usage, {.object = "--listen " + text, .cause = "it is no address and port", .remedy = "--listen 127.0.0.1:6033, or [::1]:6033"});
  return {address, static_cast<std::uint16_t>(port)};
}

layer::TlsVerify verify_of(db::SslMode mode) {
  switch (mode) {
    case db::SslMode::verify_ca:
      return layer::TlsVerify::authority;
    case db::SslMode::verify_identity:
      return layer::TlsVerify::identity;
    case db::SslMode::disabled:
    case db::SslMode::preferred:
    case db::SslMode::required:
      return layer::TlsVerify::none;
  }
  return layer::TlsVerify::none;
}

void set_upstream(Upstream& upstream, db::Side side, const db::Dsn& dsn, bool sends_header) {
  upstream.side = side;
  upstream.dsn = dsn;
  upstream.sends_proxy_header = sends_header;
  if (dsn.ssl_mode == db::SslMode::disabled) return;
  upstream.tls = std::make_shared<const layer::TlsContext>(layer::TlsContext::client(verify_of(dsn.ssl_mode), {.cert = dsn.ssl_cert, .key = dsn.ssl_key, .ca = dsn.ssl_ca}));
}

// A descriptor for each of a session's connections, one of them twice while it moves.
void raise_descriptor_limit(std::uint64_t clients) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const rlim_t wanted = 4 * clients + 1000;  // the client, its server, one that is made ready on the other side, one that was left there a moment ago
  if (limit.rlim_cur >= wanted) return;
  limit.rlim_cur = std::min<rlim_t>(wanted, limit.rlim_max);
  ::setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < wanted) log::warning("the limit of open files, {}, is enough for {} clients, not for {}: ulimit -n {}", limit.rlim_cur, limit.rlim_cur / 4, clients, wanted);
}

void unregister(AuthorityDesk& desk, const std::string& instance) {
  try {
    desk.forget(instance);
  } catch (const Error& error) {  // it goes out of date by itself
    log::debug("this proxy's row in the registry stays: {}", error.cause());
  }
}

}  // namespace

ProxyReport run_proxy(const ProxyOptions& options, const Stop& stop) {
  limit_kept_memory();
  raise_descriptor_limit(options.limits.clients);
  Context context(options);
  set_upstream(context.upstream(db::Side::source), db::Side::source, options.source, options.sends_proxy_protocol);
  set_upstream(context.upstream(db::Side::target), db::Side::target, options.target, options.sends_proxy_protocol);
  context.rsa = std::make_unique<const auth::RsaKey>(auth::RsaKey::generate());
  if (!options.accounts_file.empty()) context.passwords = accounts::Passwords::load(options.accounts_file);
  // What is mistyped is said before a server is asked.
  std::vector<asio::ip::tcp::endpoint> endpoints;
  for (const auto& address : options.listen) endpoints.push_back(endpoint_of(address));
  if (!options.metrics_address.empty()) metrics::parse_address(options.metrics_address);
  Steward steward(context);
  AuthorityDesk desk(context);
  const StartView found = look_at_start(desk, options);
  if (found.view.route) context.gate.serve(found.view.route->serving);
  for (const auto side : {db::Side::source, db::Side::target}) context.learn(side, steward);
  context.settle_tls();
  context.settle_capabilities();

  const std::size_t threads = options.threads > 0 ? options.threads : std::max(1U, std::thread::hardware_concurrency());
  Proxy proxy(context, steward, desk, threads);
  proxy.begin(found);
  for (const auto& endpoint : endpoints) {
    for (const auto& worker : proxy.workers()) worker->listen(endpoint);
  }
  std::optional<metrics::Server> metrics;
  if (!options.metrics_address.empty()) metrics.emplace(options.metrics_address, [&proxy] { return proxy.prometheus(); });
  if (metrics) log::info("metrics at http://{}/metrics", metrics->address());
  for (const auto& worker : proxy.workers()) worker->start();
  asio::post(proxy.loop(), [&proxy] { proxy.start_watching(); });
  for (const auto& address : options.listen) log::info("listening on {}, serving {}", address, context.upstream(context.gate.serving()).name());

  while (!stop.is_requested()) stop.sleep_for(std::chrono::seconds(3600));

  log::info("stopping: no new clients; sessions end at their next safe point, within {} s", std::chrono::duration_cast<std::chrono::seconds>(options.limits.shutdown).count());
  for (const auto& worker : proxy.workers()) asio::post(worker->loop(), [it = worker.get()] { it->stop_listening(); });
  const auto deadline = std::chrono::steady_clock::now() + options.limits.shutdown;
  while (true) {
    const bool is_forced = std::chrono::steady_clock::now() >= deadline;
    const auto left = asio::co_spawn(proxy.loop(), proxy.end_sessions(is_forced), asio::use_future).get();
    if (left == 0 || is_forced) break;
    std::this_thread::sleep_for(kLook);
  }
  asio::co_spawn(proxy.loop(), proxy.stop_watching(), asio::use_future).get();
  for (const auto& worker : proxy.workers()) asio::post(worker->loop(), [it = worker.get()] { it->stop(); });
  for (const auto& worker : proxy.workers()) worker->join();
  unregister(desk, proxy.instance());
  return {.sessions = context.stats.sessions_total, .statements = context.stats.statements, .moves = context.stats.moves};
}

}  // namespace godwit::proxy
