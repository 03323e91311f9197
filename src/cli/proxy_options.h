// `godwit proxy` on the command line. Private to cli.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "godwit/proxy/proxy.h"
#include "options.h"

namespace godwit::cli {

struct ProxyArguments {
  std::vector<std::string> listen;
  std::string admin_user;
  std::size_t threads = 0;
  bool no_tls = false;
  std::string tls_cert;
  std::string tls_key;
  std::string tls_ca;
  std::string accounts;
  bool delegate_auth = false;
  std::vector<std::string> proxy_protocol_from;
  bool send_proxy_protocol = false;
  std::string serving;
  std::string on_straggler = "abort";
  std::string drain_timeout = "10s";
  std::string lease = "5s";
  std::string handshake_timeout = "10s";
  std::string stalled_timeout = "1m";
  std::string shutdown_timeout = "30s";
  std::uint64_t clients_max = 10'000;
  std::uint64_t clients_per_account_max = 0;
  std::uint64_t login_failures_max = 60;
  std::string metrics;
  std::string access_log;
  std::string slow_hold;
  bool move_always = false;
};

void add_proxy(CLI::App& app, ProxyArguments& arguments);
// The admin's password comes from $GODWIT_ADMIN_PASSWORD.
proxy::ProxyOptions proxy_options_of(const workflow::Definition& definition, const ProxyArguments& arguments);

}  // namespace godwit::cli
