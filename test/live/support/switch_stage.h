// All that a switch needs, for tests: two servers, or a source, shards and a Spider head over them, a copied trade, `replicate` at work, proxies, a SwitchLedger that keeps them busy.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "ledger_judge.h"
#include "process.h"
#include "proxy.h"
#include "switch_ledger.h"

namespace godwit::test {

struct StageOptions {
  std::string source = "a";
  std::string target = "b";           // of shards, the head over them
  std::vector<std::string> shards{};  // servers, in the order of their ranges; one named twice has a database of each, with a name of its own
  unsigned clients = 8;
  unsigned proxies = 1;
  std::chrono::microseconds think_max = std::chrono::milliseconds(200);
  bool reconnects = false;
  bool has_trigger = false;                     // and an event
  std::vector<std::string> source_sql{};        // run once the trade is there, before the copy
  std::vector<std::string> copy_options{};
  std::vector<std::string> proxy_options{"--delegate-auth"};  // MySQL has no secret of a client of MariaDB that says no password in the clear
  std::uint64_t seed = 1;
};

class SwitchStage {
 public:
  explicit SwitchStage(StageOptions options);
  ~SwitchStage();
  SwitchStage(const SwitchStage&) = delete;
  SwitchStage& operator=(const SwitchStage&) = delete;

  // `switch`, `reverse`, `complete`, `cancel`, with every proxy named.
  std::vector<std::string> named_proxies(const std::vector<std::string>& more = {}) const;
  Outcome run(const std::string& command, const std::vector<std::string>& more = {}, const std::string& failpoints = "") const;
  Process start(const std::string& command, const std::vector<std::string>& more = {}, const std::string& failpoints = "") const;
  std::map<std::string, std::string> environment(const std::string& failpoints = "") const;

  void start_replicate(const std::vector<std::string>& more = {}, const std::string& failpoints = "");
  void end_replicate();
  std::string proxy_logs() const;
  std::string replicate_log() const { return replicate_ ? replicate_->log() : ""; }
  bool replicates() { return replicate_ && replicate_->is_running(); }
  // On the port of the one that was there.
  void start_proxy(unsigned number);
  void kill_proxy(unsigned number);
  Proxy& proxy(unsigned number = 0) { return *proxies_.at(number); }
  unsigned proxies() const { return options_.proxies; }
  const std::string& proxy_state(unsigned number = 0) const { return states_.at(number)->path(); }
  int port(unsigned number) const { return ports_.at(number); }

  // From now on the books are judged as after a server's death.
  void server_died() { has_server_died_ = true; }

  SwitchLedger& ledger() { return *ledger_; }
  // Ends the ledger's clients, for a test without traffic.
  void end_ledger() { ledger_.reset(); }

  bool has_event() const { return options_.has_trigger; }
  const Server& shard(std::size_t number) const { return *shards_.at(number); }
  std::size_t shards() const { return shards_.size(); }
  std::string shard_schema(std::size_t number) const;
  const Server& side(const std::string& name) const { return name == "source" ? source : target; }
  static std::string other(const std::string& name) { return name == "source" ? "target" : "source"; }
  // Each once, sorted, of all proxies: "source", "target", "source target".
  std::string serving();
  // The sides on which an ordinary account can write, in the same words. A write that is accepted stays, as a Bypass's.
  std::string writable();
  // Waits until nobody is held, exactly one side is written to, and every proxy sends there: "" then, else what is seen.
  std::string await_one_side(std::chrono::seconds limit);
  // Clients get on, within the limit.
  bool works(std::chrono::seconds limit = std::chrono::seconds(30));
  // As often as an operator would: "" once it has succeeded, else what was tried.
  std::string run_until_done(const std::string& command, const std::vector<std::string>& more = {});
  // With the clients at rest: the sides become equal, and the serving side has what the books say. "" then.
  std::string fault(Evidence evidence = {});
  // What a server was (traces.h) before the copy began.
  const std::string& before(const Server& server) const { return pictures_.at(server.port()); }
  // Waits until they are equal.
  std::string difference_of_sides(int limit_s);

  const Server source;
  const Server target;
  Migration migration;

 private:
  void prepare();
  void name_shards();
  std::vector<const Server*> servers() const;
  std::string difference_from_shards(Client& from);
  std::string probe_fault(Client& server);

  const StageOptions options_;
  std::vector<std::unique_ptr<Server>> shards_;
  std::vector<int> ports_;
  std::vector<std::unique_ptr<ProxyState>> states_;  // a proxy that comes again has the file of the one that was there
  std::vector<std::unique_ptr<Proxy>> proxies_;
  std::unique_ptr<Process> replicate_;
  std::unique_ptr<SwitchLedger> ledger_;
  std::map<int, std::string> pictures_;  // by port
  bool has_server_died_ = false;
  std::uint64_t probes_sent_ = 0;
  std::set<std::uint64_t> probes_accepted_;
};

// As if godwit had never been here: writable, no sidecar, no trade.
void reset_server(const Server& server);

}  // namespace godwit::test
