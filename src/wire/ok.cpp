#include "godwit/wire/ok.h"

namespace godwit::wire {

std::optional<Ok> read_ok(std::string_view payload, bool has_session_track) {
  Input in(payload);
  Ok it;
  it.header = in.u8();
  it.affected_rows = in.lenenc();
  it.last_insert_id = in.lenenc();
  it.status = in.u16();
  it.warnings = in.u16();
  if (!in.is_good()) return std::nullopt;
  // An empty text may be left out altogether.
  if (in.left() > 0) it.info = in.lenenc_string();
  if (has_session_track && (it.status & status::session_state_changed) != 0 && in.left() > 0) it.trackers = in.lenenc_string();
  if (!in.is_good()) return std::nullopt;
  return it;
}

void append_ok(std::string& out, const Ok& ok, bool has_session_track) {
  put(out, ok.header, 1);
  put_lenenc(out, ok.affected_rows);
  put_lenenc(out, ok.last_insert_id);
  const bool has_trackers = has_session_track && !ok.trackers.empty();
  constexpr unsigned kChanged = status::session_state_changed;
  put(out, has_trackers ? ok.status | kChanged : ok.status & ~kChanged, 2);
  put(out, ok.warnings, 2);
  if (!ok.info.empty() || has_trackers) put_lenenc_string(out, ok.info);
  if (has_trackers) put_lenenc_string(out, ok.trackers);
}

std::string write_ok(const Ok& ok, bool has_session_track) {
  std::string out;
  append_ok(out, ok, has_session_track);
  return out;
}

std::optional<Eof> read_eof(std::string_view payload) {
  Input in(payload);
  if (in.u8() != 0xFE) return std::nullopt;
  Eof it;
  it.warnings = in.u16();
  it.status = in.u16();
  if (!in.is_good()) return std::nullopt;
  return it;
}

std::optional<ServerError> read_error(std::string_view payload) {
  Input in(payload);
  if (in.u8() != 0xFF) return std::nullopt;
  ServerError it;
  it.number = in.u16();
  std::string_view text = in.rest();
  if (!in.is_good()) return std::nullopt;
  if (text.size() >= 6 && text.front() == '#') {
    it.state = text.substr(1, 5);
    text.remove_prefix(6);
  }
  it.text = text;
  return it;
}

std::string write_error(const ServerError& error) {
  std::string out("\xFF", 1);
  put(out, error.number, 2);
  out += '#';
  out += error.state.size() == 5 ? std::string_view(error.state) : std::string_view("HY000");
  out += error.text;
  return out;
}

}  // namespace godwit::wire
