#include "context.h"

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/address.hpp>
#include <asio/ip/network_v4.hpp>
#include <asio/ip/network_v6.hpp>
#include <asio/use_future.hpp>

#include "godwit/layer/proxy_header.h"
#include "godwit/util/error.h"
#include "godwit/util/log.h"
#include "steward.h"

namespace godwit::proxy {
namespace {

constexpr std::chrono::seconds kGreetingMax{10};

// Of a server that cannot be asked: what all of both flavours have had for long.
constexpr wire::Capabilities kCommon = wire::cap::mysql | wire::cap::found_rows | wire::cap::long_flag | wire::cap::connect_with_db | wire::cap::local_files | wire::cap::protocol_41 |
                                       wire::cap::interactive | wire::cap::transactions | wire::cap::reserved | wire::cap::secure_connection | wire::cap::multi_statements |
                                       wire::cap::multi_results | wire::cap::ps_multi_results | wire::cap::plugin_auth | wire::cap::connect_attrs | wire::cap::plugin_auth_lenenc |
                                       wire::cap::session_track | wire::cap::deprecate_eof;

// A server counts a greeting that is not answered against its client's host; one that is answered wrongly it forgives with the next good login.
wire::Greeting greeting_of(const Upstream& upstream) {
  asio::io_context loop;
  auto greeting = asio::co_spawn(
      loop,
      [&]() -> asio::awaitable<wire::Greeting> {
        // A local of its own: gcc 12 destroys an aggregate twice that is made within a co_await.
        const ClientAddress nobody{.host = {}, .port = 0, .proxy_header = layer::make_proxy_header({}, {})};
        const auto backend = co_await Backend::connect(loop.get_executor(), upstream, nobody, std::chrono::steady_clock::now() + kGreetingMax);
        auto found = backend->greeting();
        backend->quit();
        co_return found;
      },
      asio::use_future);
  Poller::of(loop.get_executor()).run();
  return greeting.get();
}

bool is_in(const asio::ip::address& address, const std::string& network) {
  std::error_code error;
  if (const auto single = asio::ip::make_address(network, error); !error) return single == address;
  if (address.is_v4()) {
    const auto net = asio::ip::make_network_v4(network, error);
    return !error && (address.to_v4() == net.address() || asio::ip::make_network_v4(address.to_v4(), net.prefix_length()).network() == net.network());
  }
  const auto net = asio::ip::make_network_v6(network, error);
  return !error && asio::ip::make_network_v6(address.to_v6(), net.prefix_length()).network() == net.network();
}

}  // namespace

Context::Context(const ProxyOptions& given) : options(given), gate(given.serving.value_or(db::Side::source)) {
  replay_options.collation_map = given.collation_map;
  replay_options.names = given.names;
  for (const auto& network : given.proxy_protocol_from) {
    std::error_code v4;
    std::error_code v6;
    std::error_code single;
    asio::ip::make_address(network, single);
    asio::ip::make_network_v4(network, v4);
    asio::ip::make_network_v6(network, v6);
    if (single && v4 && v6) throw Error(Code::bad_usage, {.object = "--proxy-protocol-from " + network, .cause = "it is no address and no network", .remedy = "--proxy-protocol-from 10.0.0.0/8"});
  }
}

void Context::learn(db::Side side, Steward& steward) {
  try {
    steward.read_facts(side);
    greetings_[index(side)] = greeting_of(upstream(side));
  } catch (const Error& error) {
    if (side == gate.serving() || !error.is_retryable()) throw;
    log::warning("{} is out of reach: clients are offered what all servers have in common, until a restart of the proxy ({})", upstream(side).name(), error.cause());
    greetings_[index(side)].capabilities = kCommon;
  }
}

void Context::settle_tls() {
  if (!options.offers_tls) return;
  if (!options.tls_cert.empty()) {
    client_tls = std::make_unique<const layer::TlsContext>(layer::TlsContext::server({.cert = options.tls_cert, .key = options.tls_key, .ca = options.tls_ca}));
  } else if ((greetings_[index(gate.serving())].capabilities & wire::cap::ssl) != 0) {
    client_tls = std::make_unique<const layer::TlsContext>(layer::TlsContext::self_signed());
  }
}

void Context::settle_capabilities() {
  const wire::Capabilities source = greetings_[0].capabilities;
  const wire::Capabilities target = greetings_[1].capabilities;
  offered_ = source & target & wire::cap::relayed;
  // Said by leaving a bit out: where one of the two is a MySQL, so is the proxy.
  if (((source | target) & wire::cap::mysql) != 0) offered_ = (offered_ & 0xFFFFFFFF) | wire::cap::mysql;
  offered_ |= wire::cap::compress | wire::cap::zstd;  // the proxy's own, whatever the servers do
  if (client_tls) offered_ |= wire::cap::ssl;
}

bool Context::has_one_flavour() const {
  const auto source = upstreams[0].facts.get();
  const auto target = upstreams[1].facts.get();
  return source && target && source->flavour == target->flavour;
}

bool Context::trusts_header_of(const std::string& host) const {
  if (options.proxy_protocol_from.empty()) return false;
  std::error_code error;
  const auto address = asio::ip::make_address(host, error);
  if (error) return false;
  for (const auto& network : options.proxy_protocol_from) {
    if (is_in(address, network)) return true;
  }
  return false;
}

std::string Context::proxy_header_of(const layer::Peer& client, const layer::Peer& listener) const { return options.sends_proxy_protocol ? layer::make_proxy_header(client, listener) : ""; }

}  // namespace godwit::proxy
