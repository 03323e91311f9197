// Replays what a server or a client sends, in pieces of any size. What is found in the bytes must not depend on how they were cut, and what is
// waited for must be more than there is: else nothing would ever go on. Breaking either is a std::logic_error, which ends a fuzz target too.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "godwit/wire/bytes.h"
#include "godwit/wire/requests.h"
#include "godwit/wire/responses.h"

namespace godwit::test {

inline void demand(bool is_so, const char* what) {
  if (!is_so) throw std::logic_error(what);
}

using NextPiece = std::function<std::size_t()>;  // how many bytes come next; at least 1

inline NextPiece whole() {
  return [] { return std::size_t{1} << 40; };
}
inline NextPiece bytewise() {
  return [] { return std::size_t{1}; };
}
inline NextPiece cut_at(std::size_t at) {
  return [at, is_first = true]() mutable { return std::exchange(is_first, false) && at > 0 ? at : std::size_t{1} << 40; };
}

struct Found {  // a packet of a server that somebody must look at
  wire::Responses::Event event = wire::Responses::Event::none;
  std::size_t at = 0;    // in all the bytes
  std::size_t size = 0;  // header included
  bool is_last = false;
  bool is_eof = false;
  wire::Command answered = wire::Command::quit;  // of is_last
  bool operator==(const Found&) const = default;
};

struct Replayed {
  std::vector<Found> found;
  std::size_t gone = 0;  // bytes that could be sent on
  std::size_t unanswered = 0;
  std::uint64_t definitions = 0;
  bool operator==(const Replayed&) const = default;
};

inline Replayed replay_responses(const std::vector<wire::Expected>& expected, wire::Capabilities capabilities, std::string_view bytes, const NextPiece& next) {
  wire::Responses responses;
  responses.set_capabilities(capabilities);
  for (const auto& it : expected) responses.expect(it);
  Replayed replayed;
  std::size_t there = 0;
  bool is_broken = false;
  while (there < bytes.size() && !is_broken) {
    there = std::min(bytes.size(), there + std::min(next(), bytes.size()));
    while (true) {
      const auto data = bytes.substr(replayed.gone, there - replayed.gone);
      const auto step = responses.next(data);
      demand(step.pass <= data.size() && step.packet <= data.size() - step.pass, "more is taken than there is");
      replayed.gone += step.pass;
      if (step.event == wire::Responses::Event::none) {
        demand(step.wanted == 0 ? step.pass == data.size() : step.wanted > data.size() - step.pass, "what is waited for is there");
        break;
      }
      replayed.found.push_back({step.event, replayed.gone, step.packet, step.is_last, step.is_eof, step.is_last ? responses.answered().command : wire::Command::quit});
      replayed.gone += step.packet;
      is_broken = step.event == wire::Responses::Event::broken;
      if (is_broken) break;
    }
  }
  replayed.unanswered = responses.size();
  replayed.definitions = responses.definitions();
  return replayed;
}

struct Request {
  wire::Requests::Event event = wire::Requests::Event::none;
  std::size_t at = 0;
  std::uint32_t length = 0;
  bool operator==(const Request&) const = default;
};

// `file_after`: the server asks for a local file when it has seen so many requests.
struct RequestsReplayed {
  std::vector<Request> found;
  std::string bytes;  // as they go on
  bool operator==(const RequestsReplayed&) const = default;
};

inline RequestsReplayed replay_requests(std::string_view sent, const NextPiece& next, std::size_t file_after = 0, bool is_renumbering = false) {
  wire::Requests requests;
  if (is_renumbering) requests.renumber();
  RequestsReplayed replayed{.found = {}, .bytes = std::string(sent)};
  auto& [found, bytes] = replayed;
  std::size_t gone = 0;
  std::size_t there = 0;
  while (there < bytes.size()) {
    there = std::min(bytes.size(), there + std::min(next(), bytes.size()));
    while (true) {
      const auto data = std::span(bytes).subspan(gone, there - gone);
      const auto step = requests.next(data);
      demand(step.pass <= data.size() && step.available <= data.size() - step.pass, "more is taken than there is");
      gone += step.pass;
      if (step.event == wire::Requests::Event::none) break;
      found.push_back({step.event, gone, step.length});
      if (step.event == wire::Requests::Event::broken) return replayed;
      if (step.event == wire::Requests::Event::file_ended) continue;
      demand(step.available > wire::kHeaderBytes, "a request is shown before its command is there");
      requests.begin(step.length);
      if (found.size() == file_after) requests.begin_file(2);
    }
  }
  return replayed;
}

}  // namespace godwit::test
