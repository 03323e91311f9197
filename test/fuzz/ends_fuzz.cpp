// [has trackers u8][payload]: OK, EOF and ERR, and the trackers of an OK. What is read and written again reads the same.
#include "godwit/wire/ok.h"
#include "input.h"

using namespace godwit;
using fuzz::demand;

namespace {

void ok(std::string_view payload, bool has_track) {
  const auto read = wire::read_ok(payload, has_track);
  if (!read) return;
  std::size_t seen = 0;
  wire::for_each_tracker(read->trackers, [&](std::uint8_t kind, std::string_view tracker) {
    seen += 2 + tracker.size();
    if (kind == 0) wire::for_each_variable(tracker, [&](std::string_view name, std::string_view value) { demand(name.size() + value.size() <= tracker.size()); });
  });
  demand(seen <= read->trackers.size());
  for (const bool has_track_then : {true, false}) {
    const std::string written = wire::write_ok(*read, has_track_then);
    const auto again = wire::read_ok(written, has_track_then);
    constexpr unsigned kChanged = wire::status::session_state_changed;
    demand(again && again->header == read->header && again->affected_rows == read->affected_rows && again->last_insert_id == read->last_insert_id && again->warnings == read->warnings &&
           again->info == read->info && (again->status & ~kChanged) == (read->status & ~kChanged));
    demand(again->trackers == (has_track_then ? read->trackers : std::string_view()));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input in(data, size);
  const bool has_track = in.u8() % 2 != 0;
  const auto payload = in.rest();
  ok(payload, has_track);
  wire::read_eof(payload);
  if (const auto error = wire::read_error(payload)) {
    const auto again = wire::read_error(wire::write_error(*error));
    demand(again && again->number == error->number && again->text == error->text);
    demand(error->state.empty() || again->state == error->state);
  }
  return 0;
}
