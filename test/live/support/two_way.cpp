#include "two_way.h"

#include <stdexcept>

#include "godwit/state/sidecar.h"
#include "godwit/util/stop.h"

namespace godwit::test {

TwoWay::TwoWay(const Server& from, const Server& to, const std::string& schema, const std::string& target_schema) : source(from), target(to), migration(from, to, schema, target_schema) { clean(); }

TwoWay::~TwoWay() { clean(); }

void TwoWay::clean() const {
  migration.clean();
  for (const Server* server : {&source, &target}) server->client().execute("DROP DATABASE IF EXISTS _godwit");
}

void TwoWay::copy(const std::vector<std::string>& more) const {
  std::vector<std::string> all = more;
  for (const auto& rule : map) all.insert(all.end(), {"--map", rule});
  const Outcome outcome = migration.run("copy", all);
  if (outcome.status != 0) throw std::runtime_error("copy: " + outcome.out + outcome.err);
}

Process TwoWay::replicate(const std::vector<std::string>& more, const std::string& failpoints) const { return migration.start("replicate", more, armed(failpoints)); }

workflow::Definition TwoWay::definition() const {
  workflow::Definition definition;
  definition.name = migration.name;
  definition.source = db::parse_dsn(migration.source_dsn, "--source");
  definition.target = db::parse_dsn(migration.target_dsn, "--target");
  definition.source.password = definition.target.password = "godwit";
  definition.map = map;
  return definition;
}

state::Authority& TwoWay::authority() {
  if (!authority_) {
    session_ = std::make_unique<db::Connection>(db::Connection::open(workflow::endpoint_of(definition(), db::Side::target)));
    authority_ = std::make_unique<state::Authority>(*session_, migration.name);
  }
  return *authority_;
}

db::Side TwoWay::serving() {
  const auto route = authority().read();
  return route ? route->serving : db::Side::source;
}

std::uint64_t TwoWay::begin() {
  state::Authority& authority = this->authority();
  db::Connection there = db::Connection::open(workflow::endpoint_of(definition(), db::Side::source));
  state::Sidecar(there).create();
  state::Sidecar(*session_).create();
  const auto route = authority.create();
  const auto begun = authority.begin(route.epoch, "test");
  if (!begun) throw std::runtime_error("another switch is under way");
  return begun->epoch;
}

bool TwoWay::commit(std::uint64_t hold) { return authority().commit(hold); }
bool TwoWay::abort(std::uint64_t hold) { return authority().abort(hold); }

std::string TwoWay::switch_over() {
  const auto before = serving();
  const std::uint64_t hold = begin();
  const auto by = streams();
  const Stop stop;
  by->announce_return();
  if (!by->reaches(by->end_of_serving(), std::chrono::steady_clock::now() + std::chrono::seconds(90), stop)) return "the stream does not reach the end of the side that serves";
  by->freeze(hold);
  by->prepare_return(hold);
  if (!commit(hold)) return "the commit was refused";
  return serving() == before ? "the same side serves" : "";
}

std::string TwoWay::stream_state(workflow::Direction direction) const {
  Client client = server(workflow::passive_side(direction)).client();
  if (client.query("SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = '_godwit' AND TABLE_NAME = 'stream'").empty()) return "";
  const auto rows = client.query("SELECT state FROM _godwit.stream WHERE direction = '" + std::string(to_string(direction)) + "'");
  return rows.empty() ? "" : rows[0][0].value_or("");
}

}  // namespace godwit::test
