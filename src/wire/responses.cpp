#include "godwit/wire/responses.h"

#include <algorithm>

#include "godwit/wire/bytes.h"
#include "godwit/wire/ok.h"

namespace godwit::wire {
namespace {

constexpr std::uint16_t kProgressReport = 0xFFFF;  // MariaDB's number for an ERR that is none
constexpr std::size_t kEofBytesMax = 8;            // an EOF is shorter than a row can be that begins with its byte
constexpr std::uint64_t kColumnsMax = 65535;

std::uint8_t byte_at(std::string_view data, std::size_t at) { return static_cast<std::uint8_t>(data[at]); }

// FNV-1a: it tells definitions apart, and guards against nobody.
std::uint64_t mixed(std::uint64_t hash, std::string_view bytes) {
  for (const char byte : bytes) hash = (hash ^ static_cast<std::uint8_t>(byte)) * 0x100000001B3;
  return hash;
}

}  // namespace

void Responses::expect(const Expected& expected) {
  if (size_ == ring_.size()) {
    std::vector<Expected> larger(std::max<std::size_t>(4, 2 * size_));
    for (std::size_t i = 0; i < size_; ++i) larger[i] = ring_[(first_ + i) % ring_.size()];
    ring_ = std::move(larger);
    first_ = 0;
  }
  ring_[(first_ + size_) % ring_.size()] = expected;
  if (size_++ == 0) phase_ = Phase::first;
}

void Responses::reset() {
  size_ = 0;
  phase_ = Phase::first;
  skip_ = 0;
  continues_ = ends_after_ = has_out_parameters_ = false;
}

void Responses::finish() {
  answered_ = ring_[first_];
  first_ = (first_ + 1) % ring_.size();
  --size_;
  phase_ = Phase::first;
  ends_after_ = has_out_parameters_ = false;
}

// Whether a packet can pass unseen, or is needed whole.
Responses::Kind Responses::kind_of(std::uint8_t first, std::uint32_t length) const {
  if (size_ == 0) return Kind::unexpected;
  switch (phase_) {
    case Phase::first:
    case Phase::definitions_end:
    case Phase::auth:
      if (front().reply == Reply::rows || front().reply == Reply::field_list) break;
      return Kind::whole;
    case Phase::definitions:
      return Kind::plain;
    case Phase::prepared_definitions:
      return has(cap::cache_metadata) ? Kind::whole : Kind::plain;
    case Phase::rows:
      break;
  }
  if (first == 0xFF && length < kFrameMax) return Kind::whole;
  const bool is_end = first == 0xFE && (has(cap::deprecate_eof) ? length < kFrameMax : length <= kEofBytesMax);
  return is_end ? Kind::whole : Kind::plain;
}

// The frame behind its header is left to pass.
void Responses::pass_plain(std::uint32_t length) {
  skip_ = length;
  continues_ = length == kFrameMax;
  switch (phase_) {
    case Phase::definitions:
      if (!continues_ && --definitions_left_ == 0) phase_ = has(cap::deprecate_eof) ? Phase::rows : Phase::definitions_end;
      break;
    case Phase::prepared_definitions:
      if (!continues_ && --definitions_left_ == 0) ends_after_ = true;
      break;
    case Phase::first:
    case Phase::definitions_end:
    case Phase::rows:
    case Phase::auth:
      ++rows_;
      break;
  }
}

Responses::Step Responses::next(std::string_view data) {
  std::size_t at = 0;
  while (true) {
    const std::size_t passed = std::min<std::uint64_t>(skip_, data.size() - at);
    skip_ -= passed;
    at += passed;
    if (skip_ > 0) return {.pass = at};
    if (ends_after_ && !continues_) {
      finish();
      return {.pass = at, .event = Event::ended, .is_last = true};
    }
    const std::string_view rest = data.substr(at);
    if (rest.size() < kHeaderBytes) return {.pass = at, .wanted = kHeaderBytes};
    const std::uint32_t length = frame_length(rest.data());
    if (continues_) {  // of a packet that passes
      continues_ = length == kFrameMax;
      skip_ = length;
      at += kHeaderBytes;
      if (!continues_ && phase_ == Phase::prepared_definitions && --definitions_left_ == 0) ends_after_ = true;
      if (!continues_ && phase_ == Phase::definitions && --definitions_left_ == 0) phase_ = has(cap::deprecate_eof) ? Phase::rows : Phase::definitions_end;
      continue;
    }
    if (length > 0 && rest.size() < kHeaderBytes + 1) return {.pass = at, .wanted = kHeaderBytes + 1};
    const Kind kind = kind_of(length == 0 ? 0 : byte_at(rest, kHeaderBytes), length);
    if (kind == Kind::plain) {
      at += kHeaderBytes;
      pass_plain(length);
      continue;
    }
    if (length == kFrameMax) return {.pass = at, .event = Event::broken};
    const std::size_t size = kHeaderBytes + length;
    if (rest.size() < size) return {.pass = at, .wanted = size};
    if (kind == Kind::unexpected) return {.pass = at, .packet = size, .event = Event::unexpected};
    const Step step = take(at, rest.substr(0, size));
    if (step.event != Event::none) return step;
    at += size;  // seen, and nobody else needs to
    if (ends_after_) {
      finish();
      return {.pass = at, .event = Event::ended, .is_last = true};
    }
  }
}

Responses::Step Responses::take(std::size_t pass, std::string_view packet) {
  const Step step{.pass = pass, .packet = packet.size()};
  const std::string_view payload = packet.substr(kHeaderBytes);
  switch (phase_) {
    case Phase::first:
    case Phase::auth:
      return take_first(step, payload);
    case Phase::prepared_definitions:
      definitions_ = mixed(definitions_, payload);
      if (--definitions_left_ == 0) ends_after_ = true;
      return step;
    case Phase::definitions_end:
    case Phase::rows:
      return take_end(step, payload);
    case Phase::definitions:
      break;
  }
  return {.pass = pass, .event = Event::broken};
}

// One result of perhaps several has ended; what was fetched, or a table's columns, is one alone whatever the status says.
void Responses::end_result(Step& step, std::uint16_t status) {
  phase_ = Phase::first;
  const bool is_alone = front().reply == Reply::rows || front().reply == Reply::field_list;
  step.is_last = is_alone || (status & status::more_results) == 0;
  if (step.is_last) finish();
}

Responses::Step Responses::take_first(Step step, std::string_view payload) {
  const Step broken{.pass = step.pass, .event = Event::broken};
  const Reply reply = front().reply;
  if (reply == Reply::text) {
    step.event = Event::text;
    step.is_last = true;
    finish();
    return step;
  }
  if (payload.empty()) return broken;
  const std::uint8_t first = byte_at(payload, 0);
  if (first == 0xFF) return take_end(step, payload);
  switch (reply) {
    case Reply::single:
      if (first != 0x00 && first != 0xFE) return broken;
      step.event = Event::ok;
      step.is_eof = first == 0xFE && payload.size() <= 5;
      step.is_last = true;
      finish();
      return step;
    case Reply::auth:
      step.event = first == 0x00 ? Event::ok : Event::auth;
      step.is_last = first == 0x00;
      if (step.is_last) finish();
      return step;
    case Reply::prepared:
      return first == 0x00 ? take_prepared(step, payload) : broken;
    case Reply::text_result:
    case Reply::binary_result:
      break;
    case Reply::rows:
    case Reply::field_list:
      return take_end(step, payload);
    case Reply::none:
    case Reply::text:
    case Reply::refused:
      return broken;
  }
  if (first == 0x00) return take_end(step, payload);
  if (first == 0xFB) {
    step.event = Event::file_request;
    return step;
  }
  return take_metadata(step, payload);
}

Responses::Step Responses::take_metadata(Step step, std::string_view payload) {
  Input in(payload);
  std::uint8_t follows = 1;
  const std::uint64_t columns = in.lenenc();
  if (has(cap::cache_metadata | cap::optional_metadata)) follows = in.u8();
  if (!in.is_good() || columns == 0 || columns > kColumnsMax) return {.pass = step.pass, .event = Event::broken};
  rows_ = 0;
  definitions_left_ = columns;
  phase_ = follows != 0 ? Phase::definitions : has(cap::deprecate_eof) ? Phase::rows : Phase::definitions_end;
  step.event = Event::metadata;
  return step;
}

Responses::Step Responses::take_prepared(Step step, std::string_view payload) {
  Input in(payload);
  in.u8();
  in.u32();
  const std::uint64_t columns = in.u16();
  const std::uint64_t parameters = in.u16();
  in.u8();
  in.u16();
  std::uint8_t follows = 1;
  if (has(cap::optional_metadata) && in.left() > 0) follows = in.u8();
  if (!in.is_good()) return {.pass = step.pass, .event = Event::broken};
  const std::uint64_t ends = has(cap::deprecate_eof) ? 0 : 1;
  // Definitions that are left out leave their EOF behind.
  const auto packets = [&](std::uint64_t definitions) { return definitions == 0 ? 0 : (follows == 0 ? 0 : definitions) + ends; };
  definitions_left_ = packets(parameters) + packets(columns);
  definitions_ = mixed(0xCBF29CE484222325, payload.substr(5));
  step.event = Event::prepared;
  step.is_last = definitions_left_ == 0;
  if (step.is_last) {
    finish();
  } else {
    phase_ = Phase::prepared_definitions;
  }
  return step;
}

// OK, EOF or ERR.
Responses::Step Responses::take_end(Step step, std::string_view payload) {
  const Step broken{.pass = step.pass, .event = Event::broken};
  if (payload.empty()) return broken;
  const std::uint8_t first = byte_at(payload, 0);
  if (first == 0xFF) {
    Input in(payload.substr(1));
    if (in.u16() == kProgressReport && has(cap::progress)) return {.pass = step.pass, .packet = step.packet, .event = Event::text};
    step.event = Event::error;
    step.is_last = true;
    finish();
    return step;
  }
  const bool is_eof = first == 0xFE && !has(cap::deprecate_eof);
  if (is_eof) {
    const auto eof = read_eof(payload);
    if (!eof) return broken;
    step.is_eof = true;
    // OUT parameters are a result set that an OK follows always: its own end does not say so where EOFs are sent.
    if (phase_ == Phase::definitions_end) has_out_parameters_ = (eof->status & status::out_parameters) != 0;
    // Behind the definitions it ends nothing, but where a cursor was opened: then rows come by fetching alone.
    if (phase_ == Phase::definitions_end && (eof->status & status::cursor_exists) == 0) {
      phase_ = Phase::rows;
      return step;
    }
    step.event = Event::ok;
    end_result(step, has_out_parameters_ ? static_cast<std::uint16_t>(eof->status | status::more_results) : eof->status);
    has_out_parameters_ = false;
    return step;
  }
  if (first != 0x00 && first != 0xFE) return broken;
  const auto ok = read_ok(payload, has(cap::session_track));
  if (!ok) return broken;
  if (phase_ == Phase::first && front().reply != Reply::rows) rows_ = 0;
  step.event = Event::ok;
  end_result(step, ok->status);
  return step;
}

}  // namespace godwit::wire
