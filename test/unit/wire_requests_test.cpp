#include "catch.h"
#include "godwit/wire/reframing.h"
#include "wire_replay.h"

using namespace godwit;
using namespace godwit::test;
using namespace std::string_literals;
using Event = wire::Requests::Event;

namespace {

std::string packet(std::string_view payload, std::uint8_t sequence = 0) {
  std::string out;
  wire::put_packet(out, sequence, payload);
  return out;
}

void check_cuts(const std::string& bytes, const std::vector<Request>& expected, std::size_t file_after = 0) {
  CHECK(replay_requests(bytes, whole(), file_after).found == expected);
  CHECK(replay_requests(bytes, bytewise(), file_after).found == expected);
  for (std::size_t at = 1; at < bytes.size(); ++at) {
    INFO("cut at " << at);
    CHECK(replay_requests(bytes, cut_at(at), file_after).found == expected);
  }
}

}  // namespace

TEST_CASE("wire: requests that lie one behind another are told apart", "[wire]") {
  const std::string bytes = packet("\x0E") + packet("\x03SELECT 1") + packet("\x01");
  check_cuts(bytes, {{Event::command, 0, 1}, {Event::command, 5, 9}, {Event::command, 18, 1}});
}

TEST_CASE("wire: an empty request, and one with a number that is none, are broken", "[wire]") {
  check_cuts(packet("\x0E") + packet(""), {{Event::command, 0, 1}, {Event::broken, 5, 0}});
  check_cuts(packet("\x0E") + packet("\x0E", 1), {{Event::command, 0, 1}, {Event::broken, 5, 0}});
}

TEST_CASE("wire: a local file's packets are no requests; an empty one ends it", "[wire]") {
  const std::string bytes = packet("\x03LOAD") + packet("1,2\n", 2) + packet("\x01\x02", 3) + packet("", 4) + packet("\x0E");
  check_cuts(bytes, {{Event::command, 0, 5}, {Event::file_ended, 27, 0}, {Event::command, 27, 1}}, 1);
}

TEST_CASE("wire: a request over 16 MiB is one, and what follows it is seen", "[wire]") {
  for (const std::size_t size : {wire::kFrameMax - 1, wire::kFrameMax, wire::kFrameMax + 1, 2 * wire::kFrameMax}) {
    const std::string large = packet("\x03" + std::string(size - 1, 'x'));
    const std::string bytes = large + packet("\x0E");
    const auto length = static_cast<std::uint32_t>(std::min(size, wire::kFrameMax));
    const std::vector<Request> expected{{Event::command, 0, length}, {Event::command, large.size(), 1}};
    CHECK(replay_requests(bytes, whole()).found == expected);
    for (std::size_t frame = 0; frame <= large.size(); frame += wire::kFrameMax + wire::kHeaderBytes) {
      for (std::size_t at = frame; at < frame + 8; ++at) CHECK(replay_requests(bytes, cut_at(at)).found == expected);
    }
    for (std::size_t at = large.size() - 8; at < bytes.size(); ++at) CHECK(replay_requests(bytes, cut_at(at)).found == expected);
  }
}

TEST_CASE("wire: the empty frame behind a full one of a local file does not end the file", "[wire]") {
  const std::string full = packet(std::string(wire::kFrameMax, 'x'), 2);
  const std::string head = packet("\x03LOAD");
  const std::string bytes = head + full + packet("y", 4) + packet("", 5) + packet("\x0E");
  const std::size_t end = head.size() + full.size() + 5 + 4;
  const std::vector<Request> expected{{Event::command, 0, 5}, {Event::file_ended, end, 0}, {Event::command, end, 1}};
  CHECK(replay_requests(bytes, whole(), 1).found == expected);
  for (std::size_t at = bytes.size() - 22; at < bytes.size(); ++at) CHECK(replay_requests(bytes, cut_at(at), 1).found == expected);
}

TEST_CASE("wire: inside compression the packets of a request are numbered anew, however they come", "[wire]") {
  const std::string sent = packet("\x03LOAD", 7) + packet("1,2\n", 9) + packet("", 200) + packet("\x0E", 3);
  const std::string wanted = packet("\x03LOAD", 0) + packet("1,2\n", 2) + packet("", 3) + packet("\x0E", 0);
  const auto once = replay_requests(sent, whole(), 1, true);
  CHECK(once.bytes == wanted);
  CHECK(once.found.size() == 3);
  for (std::size_t at = 1; at < sent.size(); ++at) CHECK(replay_requests(sent, cut_at(at), 1, true) == once);
  CHECK(replay_requests(sent, bytewise(), 1, true) == once);
  const std::string large = packet("\x03" + std::string(wire::kFrameMax, 'x'), 5);
  CHECK(replay_requests(large, whole(), 0, true).bytes == packet("\x03" + std::string(wire::kFrameMax, 'x'), 0));
}

TEST_CASE("wire: a request that has grown in front is cut anew, of any size, however it comes", "[wire]") {
  for (const std::size_t size : {std::size_t{20}, wire::kFrameMax - 10, wire::kFrameMax - 4, wire::kFrameMax - 1, wire::kFrameMax, wire::kFrameMax + 20, 2 * wire::kFrameMax - 3, 2 * wire::kFrameMax}) {
    std::string payload(size, 'v');
    for (std::size_t i = 0; i < size; i += 97) payload[i] = static_cast<char>('a' + i % 26);
    const std::string bytes = packet(payload);
    constexpr std::size_t kReplaced = 12;
    const std::string head = "another head of more bytes";
    const std::string wanted = packet(head + payload.substr(kReplaced));
    const auto length = static_cast<std::uint32_t>(std::min(size, wire::kFrameMax));
    for (const std::size_t piece : {std::size_t{1} << 30, std::size_t{1} << 16, wire::kFrameMax, size < 100 ? std::size_t{1} : std::size_t{1} << 20}) {
      std::string out;
      wire::Reframing reframing(head, kReplaced, length, out);
      std::size_t gone = wire::kHeaderBytes + kReplaced;
      bool has_ended = reframing.has_ended();
      for (std::size_t there = gone; !has_ended && there < bytes.size();) {
        there = std::min(bytes.size(), there + piece);
        std::string_view data = std::string_view(bytes).substr(gone, there - gone);
        const std::size_t before = data.size();
        has_ended = reframing.feed(data, out);
        gone += before - data.size();
      }
      CHECK(has_ended);
      CHECK(gone == bytes.size());
      CHECK(out == wanted);
    }
  }
}
