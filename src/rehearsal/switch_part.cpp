// The switch part: a schema of the rehearsal's own on the source, with the migration's tables without their rows, is moved to the target and back while a synthetic client writes to it
// through a proxy. Only its own tables are fenced, by guard triggers; only its own sessions are held.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "godwit/util/error.h"
#include "godwit/util/log.h"
#include "godwit/util/text.h"
#include "run.h"

namespace godwit::rehearsal {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;
constexpr const char* kAdmin = "godwit_rehearsal_admin";
constexpr std::size_t kTablesMax = 1'000;  // each is one DDL on the source, and as many guards
constexpr milliseconds kLook{50};
constexpr milliseconds kStartMax{30'000};
constexpr milliseconds kBusy{1'500};  // of the client, before and between two moves

// A port of the loopback that nobody listens on now.
std::uint16_t free_port() {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* plain = reinterpret_cast<sockaddr*>(&address);
  const bool is_bound = listener >= 0 && ::bind(listener, plain, size) == 0 && ::getsockname(listener, plain, &size) == 0;
  if (listener >= 0) ::close(listener);
  if (!is_bound) throw Error(Code::cannot_listen, {.object = "127.0.0.1", .cause = "no port is free", .remedy = "run the same command again"});
  return ntohs(address.sin_port);
}

void write_secret(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  ::chmod(path.c_str(), 0600);
  file << text << "\n";
}

}  // namespace

std::string Run::prepare_switch() {
  account_ = options_.client_user.empty() ? random_account() : Account{.user = options_.client_user, .password = options_.client_password};
  throwaway_.create_schema(switch_schema_, options_.client_user.empty() ? account_.user : "");
  if (options_.client_user.empty()) throwaway_.create_account(account_, switch_schema_);
  std::vector<std::string> tables = tables_;
  if (tables.size() > kTablesMax) {
    report_.warnings.push_back({.code = "", .object = "the rehearsed switch", .cause = fmt::format("it is of {} tables, the migration of {}", kTablesMax, tables.size()), .remedy = "expect a longer pause"});
    tables.resize(kTablesMax);
  }
  for (const auto& left_out : throwaway_.create_empty(switch_schema_, tables)) {
    report_.warnings.push_back({.code = "", .object = "the rehearsed switch", .cause = "it is without a table: " + left_out, .remedy = "none: the data part has it"});
  }
  throwaway_.run_on_source(client_tables(switch_schema_, options_.clients));
  return fmt::format("{} tables without rows, 2 of the client", tables.size());
}

// From here on it is a migration like any other.
std::string Run::stage_switch() {
  Words words{"copy", switch_workflow_};
  const auto sides = endpoints(switch_schema_, switch_schema_);
  words.insert(words.end(), sides.begin(), sides.end());
  words.insert(words.end(), options_.switch_words.begin(), options_.switch_words.end());
  const Answer answer = commands_.run("switch-copy", words, stop_);
  switch_stream_ = commands_.start("switch-replicate", {"replicate", switch_workflow_});
  await_caught_up(switch_workflow_, kStartMax);
  return fmt::format("{} tables copied and followed", answer.document.value("tables", json::array()).size());
}

void Run::start_proxy() {
  proxy_port_ = free_port();
  const std::string accounts = commands_.folder() + "/accounts";
  write_secret(accounts, fmt::format("{}:{}", account_.user, account_.password));
  Words words{"proxy", switch_workflow_, "--listen", fmt::format("127.0.0.1:{}", proxy_port_), "--admin-user", kAdmin, "--accounts", accounts};
  proxy_ = commands_.start("proxy", words);
  const auto deadline = Clock::now() + kStartMax;
  while (proxy_->log().find("listening on") == std::string::npos) {
    require_streams();
    if (Clock::now() >= deadline) throw Error(Code::rehearsal_unready, {.object = "godwit proxy", .cause = "it does not listen", .remedy = "run it again with --keep, and look at its log"});
    if (!stop_.sleep_for(kLook)) stop_.throw_if_requested();
  }
}

db::Dsn Run::client_dsn() const {
  db::Dsn dsn;
  dsn.user = account_.user;
  dsn.password = account_.password;
  dsn.host = "127.0.0.1";
  dsn.port = proxy_port_;
  return dsn;
}

void Run::start_client() {
  constexpr std::chrono::seconds kAnswerMax{60};
  db::Endpoint endpoint{.side = db::Side::source, .dsn = client_dsn()};
  endpoint.read_timeout = kAnswerMax;
  client_ = std::make_unique<Client>(Client::Options{.proxy = endpoint, .schema = switch_schema_, .sessions = options_.clients});
}

void Run::require_client() {
  const auto errors = client_->errors();
  report_.errors = errors.size();
  if (errors.empty()) return;
  throw Error(Code::rehearsal_unready, {.object = "the synthetic client", .cause = "a session of it saw an error: " + errors.front(), .remedy = "run it again with --keep, and look at the proxy's log; applications would see the same"});
}

std::string Run::start_proxy_and_client() {
  start_proxy();
  start_client();
  const auto deadline = Clock::now() + kStartMax;
  const auto began = Clock::now();
  while (client_->acknowledged() < options_.clients || Clock::now() - began < kBusy) {
    require_client();
    if (Clock::now() >= deadline) throw Error(Code::rehearsal_unready, {.object = "the synthetic client", .cause = "it writes nothing", .remedy = "run it again with --keep, and look at the proxy's log"});
    if (!stop_.sleep_for(kLook)) stop_.throw_if_requested();
  }
  client_->take_waits_ms();
  return fmt::format("{} sessions write", options_.clients);
}

std::string Run::move(const std::string& command, unsigned round) {
  const std::string step = fmt::format("{}-{}", command, round);
  const Words words{command, switch_workflow_, "--proxy", fmt::format("127.0.0.1:{}", proxy_port_), "--admin-user", kAdmin, "--fence", "triggers", "--pause-max", fmt::format("{}ms", options_.pause_max.count()), "--yes"};
  const Answer answer = commands_.run(step, words, stop_);
  if (!stop_.sleep_for(kBusy)) stop_.throw_if_requested();
  require_client();
  require_streams();
  const auto waits = client_->take_waits_ms();
  const Move move{.command = command, .held_ms = answer.document.value("pause_ms", 0.0), .longest_ms = waits.back(), .p50_ms = waits[waits.size() / 2]};
  report_.moves.push_back(move);
  return fmt::format("waited {:.0f} ms (p50), {:.0f} ms (most); held {:.0f} ms", move.p50_ms, move.longest_ms, move.held_ms);
}

// What the client was told is committed must be on both sides: on the serving one at once, on the other when its stream has caught up.
std::string Run::settle_books() {
  client_->end();
  require_client();
  report_.acknowledged = client_->acknowledged();
  report_.usual_ms = client_->usual_ms();
  report_.lost = client_->lost_on(throwaway_.source());
  const Answer answer = commands_.run("switch-vdiff", {"vdiff", switch_workflow_}, stop_);
  report_.lost += client_->lost_on(throwaway_.target());
  const std::string verdict = answer.document.value("verdict", "");
  if (report_.lost != 0) report_.why.push_back(fmt::format("{} acknowledged transactions of the synthetic client are missing", report_.lost));
  if (verdict != "identical") report_.why.push_back(fmt::format("after the rehearsed switches the sides are {}, not identical", verdict));
  if (!report_.why.empty() && report_.status == 0) report_.status = exit_status(Reaction::diverged);
  return fmt::format("{} acknowledged, {} lost, {} errors; {}", format_count(report_.acknowledged), report_.lost, report_.errors, verdict);
}

}  // namespace godwit::rehearsal
