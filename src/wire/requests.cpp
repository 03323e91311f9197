#include "godwit/wire/requests.h"

#include <algorithm>

#include "godwit/wire/bytes.h"

namespace godwit::wire {

void Requests::begin(std::uint32_t length) {
  skip_ = kHeaderBytes + length;
  continues_ = length == kFrameMax;
}

void Requests::number(std::span<char> header) {
  if (is_renumbering_) header[3] = static_cast<char>(sequence_);
  ++sequence_;
}

Requests::Step Requests::next(std::span<char> data) {
  std::size_t at = 0;
  while (true) {
    const std::size_t passed = std::min<std::uint64_t>(skip_, data.size() - at);
    skip_ -= passed;
    at += passed;
    if (skip_ > 0) return {.pass = at};
    const std::span<char> rest = data.subspan(at);
    if (rest.size() < kHeaderBytes) return {.pass = at};
    const std::uint32_t length = frame_length(rest.data());
    if (continues_) {
      number(rest);
      begin(length);
      continue;
    }
    const std::size_t available = std::min<std::size_t>(rest.size(), kHeaderBytes + length);
    if (mode_ == Mode::file) {
      number(rest);
      // An empty packet ends the file; an empty frame behind a full one ends that packet alone.
      const bool is_end = length == 0 && !was_full_;
      was_full_ = length == kFrameMax;
      skip_ = kHeaderBytes + length;
      if (!is_end) continue;
      skip_ = 0;
      mode_ = Mode::commands;
      return {.pass = at + kHeaderBytes, .event = Event::file_ended};
    }
    if (length == 0 || (rest[3] != 0 && !is_renumbering_)) return {.pass = at, .event = Event::broken};
    if (available < kHeaderBytes + 1) return {.pass = at};
    sequence_ = 0;
    number(rest);
    return {.pass = at, .length = length, .available = available, .event = Event::command};
  }
}

}  // namespace godwit::wire
