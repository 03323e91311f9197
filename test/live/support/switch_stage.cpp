#include "switch_stage.h"

#include <signal.h>

#include <algorithm>
#include <cstdio>
#include <set>
#include <stdexcept>
#include <thread>

#include "compare.h"
#include "traces.h"
#include "waiting.h"

namespace godwit::test {
namespace {

void must(const Outcome& outcome, const std::string& what) {
  if (outcome.status != 0) throw std::runtime_error(what + ": exit status " + std::to_string(outcome.status) + "\n" + outcome.out + outcome.err);
}

// Where rows live: what is summed exactly is on one shard, lines are with their order.
const std::vector<std::pair<std::string, std::string>> kShardKeys{{"clocks", "client"}, {"orders", "id"}, {"order_lines", "order_id"}, {"transfers", "id"}, {"notes", "id"}, {"bypass", "id"}, {"probes", "id"}};
const std::vector<std::string> kUnsharded{"accounts"};

// Of so many, by equal parts of the first byte.
std::string range_of(std::size_t number, std::size_t count) {
  const auto bound = [&](std::size_t at) {
    char text[3] = "";
    if (at > 0 && at < count) std::snprintf(text, sizeof text, "%02zx", at * 256 / count);
    return std::string(text);
  };
  return bound(number) + "-" + bound(number + 1);
}

// Fires once for each order, on the side that serves; the event, once a second.
void create_objects(Client& client) {
  client.script(R"(
CREATE TABLE trade.audit (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, order_id BIGINT NOT NULL, at_port INT NOT NULL, KEY by_order (order_id)) ENGINE=InnoDB;
CREATE TABLE trade.ticks (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, at_port INT NOT NULL, at DATETIME(6) NOT NULL) ENGINE=InnoDB;
CREATE TRIGGER trade.order_audit AFTER INSERT ON trade.orders FOR EACH ROW INSERT INTO trade.audit (order_id, at_port) VALUES (NEW.id, @@port);
CREATE EVENT trade.tick ON SCHEDULE EVERY 1 SECOND DO INSERT INTO trade.ticks (at_port, at) VALUES (@@port, NOW(6));
)");
}

// As whom the head writes on the shards: no account that read_only lets pass.
const std::string kHeadUser = "head";
void create_head_account(const Server& shard) {
  Client client = shard.client();
  client.execute("DROP USER IF EXISTS head@'%'");
  client.execute("CREATE USER head@'%' IDENTIFIED BY 'head'");
  client.execute("GRANT ALL ON `trade%`.* TO head@'%'");
}

}  // namespace

void reset_server(const Server& server) {
  Client client = server.client();
  if (server.is_mariadb()) {
    client.execute("SET GLOBAL read_only = OFF");
  } else {
    client.execute("SET GLOBAL super_read_only = OFF, GLOBAL read_only = OFF");
    for (const char* name : {"super_read_only", "read_only"}) client.execute(std::string("RESET PERSIST IF EXISTS ") + name);
  }
  client.execute("SET GLOBAL event_scheduler = ON");
  for (const auto& row : client.query("SELECT Server_name FROM mysql.servers WHERE Server_name LIKE 'godwit\\_%'")) client.execute("DROP SERVER " + quoted(row[0].value()));
  for (const char* schema : {"trade", "trade_0", "trade_1", "_godwit", "_godwit_head", "_godwit_proxy"}) client.execute(std::string("DROP DATABASE IF EXISTS ") + schema);
  create_teller(server);
}

SwitchStage::SwitchStage(StageOptions options) : source(options.source), target(options.target), migration(source, target, kTrade), options_(std::move(options)) {
  for (const auto& name : options_.shards) shards_.push_back(std::make_unique<Server>(name));
  name_shards();
  prepare();
  for (unsigned i = 0; i < options_.proxies; ++i) {
    ports_.push_back(free_port());
    states_.push_back(std::make_unique<ProxyState>());
    proxies_.emplace_back();
    start_proxy(i);
  }
  auto copy_options = options_.copy_options;
  if (shards() > 0) copy_options.insert(copy_options.end(), {"--create-head", "--head-user", kHeadUser});
  must(migration.run("copy", copy_options, {{"GODWIT_HEAD_PASSWORD", kHeadUser}}), "copy");
  start_replicate();
  const auto is_running = [&] {
    const auto runs_to = [](const Server* server) { return server->client().scalar("SELECT state FROM _godwit.stream WHERE direction = 'forward'") == "running"; };
    if (shards_.empty()) return runs_to(&target);
    return std::all_of(shards_.begin(), shards_.end(), [&](const auto& shard) { return runs_to(shard.get()); });
  };
  if (!holds_within(std::chrono::seconds(60), is_running)) throw std::runtime_error("replicate does not begin: " + replicate_->log());
  if (const auto text = difference_of_sides(60); !text.empty()) throw std::runtime_error("replicate does not catch up: " + text);
  ledger_ = std::make_unique<SwitchLedger>(
      SwitchLedger::Options{.ports = ports_, .clients = options_.clients, .think_max = options_.think_max, .reconnects = options_.reconnects, .seed = options_.seed});
  ledger_->await_busy();
}

SwitchStage::~SwitchStage() {
  ledger_.reset();
  replicate_.reset();
  proxies_.clear();
  for (const Server* server : servers()) {
    try {
      reset_server(*server);
    } catch (const std::exception&) {
      // It may have been killed by a test that failed; the next one says so.
    }
  }
}

// The head first: what it has leads to the shards.
std::vector<const Server*> SwitchStage::servers() const {
  std::vector<const Server*> all{&target, &source};
  for (const auto& shard : shards_) all.push_back(shard.get());
  return all;
}

std::string SwitchStage::shard_schema(std::size_t number) const {
  const auto& names = options_.shards;
  const bool is_shared = std::count(names.begin(), names.end(), names.at(number)) > 1;
  return is_shared ? std::string(kTrade) + "_" + std::to_string(number) : kTrade;
}

void SwitchStage::name_shards() {
  if (shards_.empty()) return;
  auto& options = migration.target_options;
  for (std::size_t i = 0; i < shards(); ++i) options.insert(options.end(), {"--shard", range_of(i, shards()) + "=" + shard(i).dsn(shard_schema(i))});
  for (const auto& [table, column] : kShardKeys) options.insert(options.end(), {"--partition", table + "=HASH(" + column + ")"});
  for (const auto& table : kUnsharded) options.insert(options.end(), {"--unsharded", table});
  options.insert(options.end(), {"--serve", target.dsn(kTrade)});
}

void SwitchStage::prepare() {
  for (const Server* server : servers()) reset_server(*server);
  for (const auto& shard : shards_) create_head_account(*shard);
  Client client = source.client();
  create_trade(client, options_.clients);
  client.execute("CREATE TABLE trade.probes (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, side VARCHAR(10) NOT NULL, turn BIGINT NOT NULL) ENGINE=InnoDB");
  if (options_.has_trigger) create_objects(client);
  for (const auto& sql : options_.source_sql) client.execute(sql);
  for (const Server* server : servers()) pictures_[server->port()] = picture(*server);
}

std::map<std::string, std::string> SwitchStage::environment(const std::string& failpoints) const {
  auto all = armed(failpoints);
  all["GODWIT_ADMIN_PASSWORD"] = proxies_.empty() ? "none" : proxies_[0]->admin_login().password;
  return all;
}

std::vector<std::string> SwitchStage::named_proxies(const std::vector<std::string>& more) const {
  std::vector<std::string> all;
  for (const int port : ports_) all.insert(all.end(), {"--proxy", "127.0.0.1:" + std::to_string(port)});
  all.insert(all.end(), {"--admin-user", proxies_[0]->admin_login().user});
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

Process SwitchStage::start(const std::string& command, const std::vector<std::string>& more, const std::string& failpoints) const {
  std::vector<std::string> all{"--yes", "--json"};
  all.insert(all.end(), more.begin(), more.end());
  return migration.start(command, named_proxies(all), environment(failpoints));
}

Outcome SwitchStage::run(const std::string& command, const std::vector<std::string>& more, const std::string& failpoints) const { return start(command, more, failpoints).wait(); }

void SwitchStage::start_replicate(const std::vector<std::string>& more, const std::string& failpoints) {
  replicate_.reset();
  replicate_ = std::make_unique<Process>(migration.start("replicate", more, armed(failpoints)));
}

void SwitchStage::end_replicate() { replicate_.reset(); }

void SwitchStage::start_proxy(unsigned number) {
  proxies_[number].reset();
  proxies_[number] = std::make_unique<Proxy>(source, target, Proxy::Setup{.options = options_.proxy_options, .schema = kTrade, .port = ports_[number], .state = states_[number]->path(), .target_options = migration.target_options});
}

void SwitchStage::kill_proxy(unsigned number) {
  proxies_[number]->process().signal(SIGKILL);
  proxies_[number]->process().wait();
}

bool SwitchStage::works(std::chrono::seconds limit) {
  const auto before = ledger().acknowledged();
  return holds_within(limit, [&] { return ledger().acknowledged() > before + 10; });
}

std::string SwitchStage::run_until_done(const std::string& command, const std::vector<std::string>& more) {
  std::string story;
  for (int attempt = 1; attempt <= 6; ++attempt) {
    const Outcome outcome = run(command, more);
    story += command + ", attempt " + std::to_string(attempt) + ": " + std::to_string(outcome.status) + "\n" + outcome.out + outcome.err;
    if (outcome.status == 0) return "";
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
  return story + replicate_log() + proxy_logs();
}

// Of each its newest lines.
std::string SwitchStage::proxy_logs() const {
  constexpr std::size_t kShown = 12000;
  std::string text;
  for (std::size_t i = 0; i < proxies_.size(); ++i) {
    const std::string log = proxies_[i]->log();
    text += "proxy at port " + std::to_string(ports_[i]) + ":\n" + log.substr(log.size() - std::min(log.size(), kShown)) + "\n";
  }
  return text;
}

std::string SwitchStage::serving() {
  std::set<std::string> sides;
  for (const auto& proxy : proxies_) sides.insert(proxy->serving());
  std::string text;
  for (const auto& name : sides) text += (text.empty() ? "" : " ") + name;
  return text;
}

std::string SwitchStage::writable() {
  std::string text;
  for (const std::string name : {"source", "target"}) {
    try {
      AppClient client({.port = side(name).port(), .user = kTeller, .password = kTeller, .schema = kTrade, .has_tls = true, .seconds_max = 5});
      const auto turn = ++probes_sent_;
      if (!client.ask("INSERT INTO probes (side, turn) VALUES ('" + name + "', " + std::to_string(turn) + ")").is_ok()) continue;
      probes_accepted_.insert(turn);
      text += (text.empty() ? "" : " ") + name;
    } catch (const std::exception&) {
      // No server, or no account there: nobody writes.
    }
  }
  return text;
}

std::string SwitchStage::await_one_side(std::chrono::seconds limit) {
  std::string seen;
  const auto is_one = [&] {
    try {
      const std::string served = serving();
      const std::string written = writable();
      seen = "proxies send to " + served + "; writable: " + (written.empty() ? "none" : written);
      const bool is_held = std::any_of(proxies_.begin(), proxies_.end(), [](const auto& proxy) { return proxy->is_closed(); });
      if (is_held) seen += "; clients are held";
      return !is_held && served == written && (served == "source" || served == "target");
    } catch (const std::exception& error) {
      seen = error.what();
      return false;
    }
  };
  return holds_within(limit, is_one) ? "" : seen;
}

std::string SwitchStage::difference_of_sides(int limit_s) {
  std::string text;
  const auto are_equal = [&] {
    try {
      Client from = source.client();
      if (shards() > 0) {
        text = difference_from_shards(from);
      } else {
        Client to = target.client();
        text = difference(from, kTrade, to, kTrade);
      }
    } catch (const std::exception& error) {
      text = error.what();
    }
    return text.empty();
  };
  holds_within(std::chrono::seconds(limit_s), are_equal);
  return text;
}

// By the shards themselves, not by way of the head: the source's rows, each on its shard and nowhere else.
std::string SwitchStage::difference_from_shards(Client& from) {
  const std::string count = std::to_string(shards());
  std::vector<Client> clients;
  for (const auto& shard : shards_) clients.push_back(shard->client());
  for (const auto& [table, column] : kShardKeys) {
    std::vector<std::string> rows;
    for (std::size_t i = 0; i < clients.size(); ++i) {
      for (auto& row : rendered(clients[i], shard_schema(i), table)) rows.push_back(std::move(row));
      const std::string strangers = clients[i].scalar("SELECT COUNT(*) FROM " + shard_schema(i) + "." + table + " WHERE ABS(" + column + ") % " + count + " <> " + std::to_string(i));
      if (strangers != "0") return table + ": " + strangers + " rows of other shards are on shard " + std::to_string(i);
    }
    std::sort(rows.begin(), rows.end());
    const auto there = rendered(from, kTrade, table);
    if (rows == there) continue;
    const auto [x, y] = std::mismatch(there.begin(), there.end(), rows.begin(), rows.end());
    return table + ": " + std::to_string(there.size()) + " rows against " + std::to_string(rows.size()) + " on all shards; first difference\n  source " + (x == there.end() ? "(none)" : *x) + "\n  shards " + (y == rows.end() ? "(none)" : *y);
  }
  for (const auto& table : kUnsharded) {
    if (const auto text = table_difference(from, kTrade, clients.front(), shard_schema(0), table); !text.empty()) return text;
  }
  return "";
}

std::string SwitchStage::probe_fault(Client& server) {
  std::multiset<std::uint64_t> found;
  for (const auto& row : server.query("SELECT turn FROM trade.probes")) found.insert(std::stoull(row[0].value()));
  if (std::equal(found.begin(), found.end(), probes_accepted_.begin(), probes_accepted_.end())) return "";
  return std::to_string(probes_accepted_.size()) + " direct writes were accepted, and " + std::to_string(found.size()) + " are there\n";
}

std::string SwitchStage::fault(Evidence evidence) {
  ledger_->pause();
  std::string text;
  const std::string side_name = serving();
  if (side_name != "source" && side_name != "target") text += "proxies send to " + side_name + "\n";
  if (const auto difference = difference_of_sides(30); !difference.empty()) text += "the sides differ: " + difference + "\n";
  Client server = side(side_name).client();
  evidence.ledger = ledger_.get();
  evidence.has_server_died |= has_server_died_;
  evidence.has_trigger = options_.has_trigger;
  text += judge(evidence, server) + probe_fault(server);
  ledger_->go_on();
  return text;
}

}  // namespace godwit::test
