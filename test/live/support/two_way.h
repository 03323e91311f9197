// A migration whose streams are switched by hand, as a switch would: begin, final position, catch up, freeze, the way back, commit. There are neither
// proxies nor fences: the test writes to one side only.
#pragma once

#include <memory>
#include <string>

#include "godwit/state/authority.h"
#include "godwit/workflow/copy.h"
#include "godwit/workflow/switching.h"
#include "process.h"

namespace godwit::test {

class TwoWay {
 public:
  TwoWay(const Server& source, const Server& target, const std::string& schema, const std::string& target_schema = "");
  ~TwoWay();

  // Both schemas and both sidecars are gone.
  void clean() const;
  void copy(const std::vector<std::string>& more = {}) const;
  Process replicate(const std::vector<std::string>& more = {}, const std::string& failpoints = "") const;

  db::Side serving();
  workflow::Direction running() { return workflow::direction_serving(serving()); }
  const Server& server(db::Side side) const { return side == db::Side::source ? source : target; }
  const Server& serving_server() { return server(serving()); }
  const Server& passive_server() { return server(workflow::other(serving())); }

  // The parts of a switch; each may be left out or repeated by a test.
  std::uint64_t begin();
  std::unique_ptr<workflow::StreamSwitch> streams() { return std::make_unique<workflow::StreamSwitch>(definition(), running()); }
  bool commit(std::uint64_t hold);
  bool abort(std::uint64_t hold);
  // All of them. Nobody may write meanwhile. Gives the name of what did not hold; "" when all went well.
  std::string switch_over();

  workflow::Definition definition() const;
  std::string stream_state(workflow::Direction direction) const;

  const Server& source;
  const Server& target;
  Migration migration;
  std::vector<std::string> map;  // as given to copy

 private:
  std::unique_ptr<db::Connection> session_;  // with the target, for the authority
  std::unique_ptr<state::Authority> authority_;
  state::Authority& authority();
};

}  // namespace godwit::test
