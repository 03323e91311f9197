#include "godwit/state/authority.h"

#include "godwit/state/sidecar.h"
#include "refused.h"

using namespace godwit;

namespace {

std::string refused_hold(const std::optional<state::Route>& route) {
  const Error error = refusal([&] { state::require_hold(route, "shop", 8, db::Side::source); });
  CHECK(error.code() == Code::switch_fenced);
  CHECK(error.object() == "workflow shop");
  CHECK(error.remedy() == "nothing is lost: run godwit switch again, if nobody else does");
  return error.cause();
}

}  // namespace

TEST_CASE("authority: a hold is over when its epoch, its switch or its side is another", "[authority]") {
  const state::Route held{.epoch = 8, .serving = db::Side::source, .is_switching = true};
  state::require_hold(held, "shop", 8, db::Side::source);
  state::Route other = held;
  other.epoch = 9;
  CHECK(refused_hold(other) == "hold 8 is over: epoch 9, switching, the source serves");
  other = held;
  other.is_switching = false;
  CHECK(refused_hold(other) == "hold 8 is over: epoch 8, not switching, the source serves");
  other = held;
  other.serving = db::Side::target;
  CHECK(refused_hold(other) == "hold 8 is over: epoch 8, switching, the target serves");
  CHECK(refused_hold(std::nullopt) == "hold 8 is over: no route");
}

TEST_CASE("sidecar: a stream that a newer process has says so", "[sidecar]") {
  const Error error = refusal([] { state::throw_fenced(7, 3); });
  CHECK(error.code() == Code::stream_fenced);
  CHECK(has(error.object(), "stream 7"));
  CHECK(error.cause() == "epoch 3 is over: a newer process has taken the stream over");
  CHECK(error.remedy() == "only one godwit works on a workflow: let the newer one go on");
}
