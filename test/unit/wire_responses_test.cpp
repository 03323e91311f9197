// A test is a conversation: what was asked, what the server says, and what must be seen of it. Each is replayed whole, byte by byte, and cut in two
// at every place.
#include "catch.h"
#include "wire_replay.h"

using namespace godwit;
using namespace godwit::test;
using namespace std::string_literals;
using Event = wire::Responses::Event;
using wire::Command;
using wire::Reply;

namespace {

constexpr wire::Capabilities kOld = wire::cap::protocol_41;
constexpr wire::Capabilities kNew = wire::cap::protocol_41 | wire::cap::deprecate_eof | wire::cap::session_track;

class Conversation {
 public:
  explicit Conversation(wire::Capabilities capabilities) : capabilities_(capabilities) {}

  Conversation& ask(Command command) {
    expected_.push_back({.reply = wire::reply_of(static_cast<std::uint8_t>(command)), .command = command});
    sequence_ = 1;
    return *this;
  }
  // A packet that goes on unseen.
  Conversation& passes(std::string_view payload) {
    sequence_ = wire::put_packet(bytes_, sequence_, payload);
    return *this;
  }
  Conversation& passes(int packets, std::string_view payload) {
    for (int i = 0; i < packets; ++i) passes(payload);
    return *this;
  }
  Conversation& shows(Event event, std::string_view payload) { return show(event, payload, false); }
  Conversation& ends(Event event, std::string_view payload) { return show(event, payload, true); }
  // The last response has ended where the bytes are now, without a packet of its own to look at.
  Conversation& ended() {
    found_.push_back({Event::ended, bytes_.size(), 0, true, false, expected_[answered_++].command});
    return *this;
  }
  Conversation& breaks(std::string_view payload) {
    found_.push_back({Event::broken, bytes_.size(), 0, false, false, Command::quit});
    return passes(payload);
  }

  // `margin`: only so near the ends of frames is it cut; 0: everywhere.
  void check(std::size_t margin = 0) const {
    const Replayed once = replay_responses(expected_, capabilities_, bytes_, whole());
    CHECK(once.found == found_);
    const bool is_broken = !found_.empty() && found_.back().event == Event::broken;
    CHECK(once.unanswered == expected_.size() - answered_);
    if (!is_broken) CHECK(once.gone == bytes_.size());
    if (margin == 0) CHECK(replay_responses(expected_, capabilities_, bytes_, bytewise()) == once);
    for (const std::size_t at : cuts(margin)) {
      INFO("cut at " << at);
      CHECK(replay_responses(expected_, capabilities_, bytes_, cut_at(at)) == once);
    }
  }
  Replayed replayed() const { return replay_responses(expected_, capabilities_, bytes_, whole()); }

 private:
  Conversation& show(Event event, std::string_view payload, bool is_last) {
    const std::size_t at = bytes_.size();
    passes(payload);
    const bool is_eof = event == Event::ok && payload.size() == 5 && payload[0] == '\xFE';
    found_.push_back({event, at, bytes_.size() - at, is_last, is_eof, is_last ? expected_[answered_].command : Command::quit});
    if (is_last) ++answered_;
    return *this;
  }
  std::vector<std::size_t> cuts(std::size_t margin) const {
    std::vector<std::size_t> places;
    for (std::size_t at = 1; margin == 0 && at < bytes_.size(); ++at) places.push_back(at);
    for (std::size_t frame = 0; margin > 0 && frame < bytes_.size(); frame += wire::kHeaderBytes + wire::frame_length(bytes_.data() + frame)) {
      for (std::size_t at = frame < margin ? 1 : frame - margin; at < std::min(bytes_.size(), frame + margin); ++at) places.push_back(at);
    }
    return places;
  }

  const wire::Capabilities capabilities_;
  std::vector<wire::Expected> expected_;
  std::vector<Found> found_;
  std::string bytes_;
  std::size_t answered_ = 0;
  std::uint8_t sequence_ = 0;
};

const std::string kOk("\0\1\0\2\0\0\0", 7);
const std::string kOkMore("\0\1\0\x0A\0\0\0", 7);
const std::string kRowsOk("\xFE\0\0\x22\0\0\0", 7);
const std::string kRowsOkMore("\xFE\0\0\x2A\0\0\0", 7);
const std::string kEof("\xFE\0\0\x22\0", 5);
const std::string kEofMore("\xFE\0\0\x2A\0", 5);
const std::string kEofCursor("\xFE\0\0\x42\0", 5);
const std::string kError = "\xFF\x28\x04#42000no"s;
const std::string kDefinition = "\3def\0\0\0\1a\0\x0C\x3F\0\x0B\0\0\0\3\x81\0\0\0\0"s;

}  // namespace

TEST_CASE("wire: OK and ERR, one behind another", "[wire]") {
  Conversation(kNew).ask(Command::ping).ends(Event::ok, kOk).ask(Command::query).ends(Event::error, kError).ask(Command::init_db).ends(Event::ok, kOk).check();
  Conversation(kOld).ask(Command::ping).ends(Event::ok, kOk).ask(Command::query).ends(Event::error, kError).ask(Command::set_option).ends(Event::ok, kEof).check();
}

TEST_CASE("wire: a result set passes; its count and its end are seen", "[wire]") {
  Conversation(kNew).ask(Command::query).shows(Event::metadata, "\2").passes(2, kDefinition).passes(3, "\1x\xFB").ends(Event::ok, kRowsOk).check();
  Conversation(kOld).ask(Command::query).shows(Event::metadata, "\2").passes(2, kDefinition).passes(kEof).passes(3, "\1x\xFB").ends(Event::ok, kEof).check();
  Conversation(kNew).ask(Command::stmt_execute).shows(Event::metadata, "\1").passes(kDefinition).passes(2, "\0\0\1\0\0\0"s).ends(Event::ok, kRowsOk).check();
}

TEST_CASE("wire: a result without rows, and one that fails among its rows", "[wire]") {
  Conversation(kNew).ask(Command::query).shows(Event::metadata, "\1").passes(kDefinition).ends(Event::ok, kRowsOk).check();
  Conversation(kOld).ask(Command::query).shows(Event::metadata, "\1").passes(kDefinition).passes(kEof).ends(Event::ok, kEof).check();
  Conversation(kNew).ask(Command::query).shows(Event::metadata, "\1").passes(kDefinition).passes("\1x").ends(Event::error, kError).ask(Command::ping).ends(Event::ok, kOk).check();
  Conversation(kOld).ask(Command::query).shows(Event::metadata, "\1").passes(kDefinition).ends(Event::error, kError).check();
}

TEST_CASE("wire: a row that begins like an end is none", "[wire]") {
  const std::string long_value = "\xFE"s + "\1\0\0\1\0\0\0\0"s;
  Conversation(kOld).ask(Command::query).shows(Event::metadata, "\1").passes(kDefinition).passes(kEof).passes(long_value).ends(Event::ok, kEof).check();
  Conversation(kOld).ask(Command::query).shows(Event::metadata, "\1").passes(kDefinition).passes(kEof).passes("\xFB").passes("\0"s).ends(Event::ok, kEof).check();
}

TEST_CASE("wire: rows over 16 MiB pass in frames, whatever their frames begin with", "[wire]") {
  for (const char first : {'\xFE', '\xFD', '\xFF'}) {
    std::string row(2 * wire::kFrameMax + 5, 'x');
    row[0] = first == '\xFF' ? 'x' : first;
    row[wire::kFrameMax] = row[2 * wire::kFrameMax] = first;
    for (const auto capabilities : {kNew, kOld}) {
      Conversation talk(capabilities);
      talk.ask(Command::query).shows(Event::metadata, "\1").passes(kDefinition);
      if (capabilities == kOld) talk.passes(kEof);
      talk.passes(row).passes("\1x").ends(Event::ok, capabilities == kOld ? kEof : kRowsOk).check(7);
    }
  }
  const std::string exact(wire::kFrameMax, 'x');
  Conversation(kNew).ask(Command::query).shows(Event::metadata, "\1").passes(kDefinition).passes(exact).ends(Event::ok, kRowsOk).check(7);
}

TEST_CASE("wire: several results are one response", "[wire]") {
  Conversation(kNew).ask(Command::query)
      .shows(Event::ok, kOkMore)
      .shows(Event::metadata, "\1").passes(kDefinition).passes("\1x").shows(Event::ok, kRowsOkMore)
      .shows(Event::metadata, "\2").passes(2, kDefinition).shows(Event::ok, kRowsOkMore)
      .ends(Event::ok, kOk)
      .ask(Command::ping).ends(Event::ok, kOk).check();
  Conversation(kOld).ask(Command::query)
      .shows(Event::metadata, "\1").passes(kDefinition).passes(kEofMore).passes("\1x").shows(Event::ok, kEofMore)
      .ends(Event::error, kError)
      .ask(Command::ping).ends(Event::ok, kOk).check();
}

TEST_CASE("wire: requests sent ahead are answered in their order", "[wire]") {
  Conversation talk(kNew);
  for (int i = 0; i < 9; ++i) talk.ask(i % 2 == 0 ? Command::ping : Command::statistics);
  for (int i = 0; i < 9; ++i) talk.ends(i % 2 == 0 ? Event::ok : Event::text, i % 2 == 0 ? kOk : "Uptime: 5"s);
  talk.check();
}

TEST_CASE("wire: a prepared statement's definitions pass, and the response ends behind them", "[wire]") {
  const std::string prepared("\0\1\0\0\0\1\0\2\0\0\0\0", 12);
  Conversation(kNew).ask(Command::stmt_prepare).shows(Event::prepared, prepared).passes(3, kDefinition).ended().ask(Command::ping).ends(Event::ok, kOk).check();
  Conversation(kOld).ask(Command::stmt_prepare).shows(Event::prepared, prepared).passes(2, kDefinition).passes(kEof).passes(kDefinition).passes(kEof).ended().check();
  Conversation(kNew).ask(Command::stmt_prepare).ends(Event::prepared, std::string("\0\1\0\0\0\0\0\0\0\0\0\0", 12)).check();
  Conversation(kNew).ask(Command::stmt_prepare).ends(Event::error, kError).ask(Command::stmt_prepare).shows(Event::prepared, prepared).passes(3, kDefinition).ended().check();
}

TEST_CASE("wire: MySQL leaves the definitions of a prepared statement out, but not their EOFs", "[wire]") {
  const std::string none("\0\1\0\0\0\1\0\2\0\0\0\0\0", 13);
  Conversation(kNew | wire::cap::optional_metadata).ask(Command::stmt_prepare).ends(Event::prepared, none).ask(Command::ping).ends(Event::ok, kOk).check();
  Conversation(kOld | wire::cap::optional_metadata).ask(Command::stmt_prepare).shows(Event::prepared, none).passes(2, kEof).ended().check();
}

TEST_CASE("wire: definitions that MySQL or MariaDB leaves out", "[wire]") {
  for (const auto capability : {wire::cap::optional_metadata, wire::cap::cache_metadata}) {
    Conversation(kNew | capability).ask(Command::stmt_execute).shows(Event::metadata, "\2\0"s).passes("\0\0\1"s).ends(Event::ok, kRowsOk).check();
    Conversation(kOld | capability).ask(Command::stmt_execute).shows(Event::metadata, "\2\0"s).passes(kEof).passes("\0\0\1"s).ends(Event::ok, kEof).check();
    Conversation(kNew | capability).ask(Command::stmt_execute).shows(Event::metadata, "\2\1"s).passes(2, kDefinition).passes("\0\0\1"s).ends(Event::ok, kRowsOk).check();
    // The flag is part of every count, and without it there is no telling.
    Conversation(kNew | capability).ask(Command::query).breaks("\2").check();
  }
}

TEST_CASE("wire: equal definitions have one fingerprint, others another", "[wire]") {
  const auto fingerprint = [](std::string_view column) {
    std::string definition = kDefinition;
    definition[8] = column[0];
    const std::string prepared("\0\1\0\0\0\1\0\0\0\0\0\0", 12);
    return Conversation(kNew | wire::cap::cache_metadata).ask(Command::stmt_prepare).shows(Event::prepared, prepared).passes(definition).ended().replayed().definitions;
  };
  CHECK(fingerprint("a") == fingerprint("a"));
  CHECK(fingerprint("a") != fingerprint("b"));
}

TEST_CASE("wire: an execution that opens a cursor ends behind its definitions; rows come by fetching", "[wire]") {
  const std::string opened("\xFE\0\0\x42\0\0\0", 7);
  Conversation(kNew).ask(Command::stmt_execute).shows(Event::metadata, "\1").passes(kDefinition).ends(Event::ok, opened)
      .ask(Command::stmt_fetch).passes(3, "\0\0\1"s).ends(Event::ok, opened)
      .ask(Command::stmt_fetch).ends(Event::ok, "\xFE\0\0\x82\0\0\0"s)
      .ask(Command::stmt_fetch).ends(Event::error, kError)
      .ask(Command::ping).ends(Event::ok, kOk).check();
  Conversation(kOld).ask(Command::stmt_execute).shows(Event::metadata, "\1").passes(kDefinition).ends(Event::ok, kEofCursor)
      .ask(Command::stmt_fetch).passes(3, "\0\0\1"s).ends(Event::ok, kEofCursor)
      .ask(Command::ping).ends(Event::ok, kOk).check();
}

TEST_CASE("wire: a fetch ends with its end, whatever else its status says", "[wire]") {
  Conversation(kNew).ask(Command::stmt_fetch).passes("\0\0\1"s).ends(Event::ok, kRowsOkMore).ask(Command::ping).ends(Event::ok, kOk).check();
  Conversation(kOld).ask(Command::field_list).passes(kDefinition).ends(Event::ok, kEofMore).ask(Command::ping).ends(Event::ok, kOk).check();
}

TEST_CASE("wire: the columns of a table, and the statistics' text", "[wire]") {
  Conversation(kNew).ask(Command::field_list).passes(2, kDefinition).ends(Event::ok, kRowsOk).check();
  Conversation(kOld).ask(Command::field_list).passes(2, kDefinition).ends(Event::ok, kEof).check();
  Conversation(kOld).ask(Command::statistics).ends(Event::text, "Uptime: 12  Threads: 1").ask(Command::statistics).ends(Event::text, "").check();
}

TEST_CASE("wire: a request for a local file is followed by what the file led to", "[wire]") {
  Conversation(kNew).ask(Command::query).shows(Event::file_request, "\xFB/tmp/a.csv").ends(Event::ok, kOk).ask(Command::ping).ends(Event::ok, kOk).check();
  Conversation(kNew).ask(Command::query).shows(Event::file_request, "\xFB/tmp/a.csv").shows(Event::ok, kOkMore).shows(Event::file_request, "\xFB/tmp/b.csv").ends(Event::error, kError).check();
}

TEST_CASE("wire: MariaDB's reports of progress are no errors", "[wire]") {
  const std::string progress = "\xFF\xFF\xFF\1\1\2\0\0\0\5stage"s;
  const auto capabilities = kNew | wire::cap::progress;
  Conversation(capabilities).ask(Command::query).shows(Event::text, progress).shows(Event::text, progress).ends(Event::ok, kOk).ask(Command::ping).ends(Event::ok, kOk).check();
  Conversation(capabilities).ask(Command::query).shows(Event::text, progress).shows(Event::metadata, "\1").passes(kDefinition).passes("\1x").ends(Event::ok, kRowsOk).check();
  // Who has not asked for any gets none: it is an error.
  Conversation(kNew).ask(Command::query).ends(Event::error, progress).check();
}

TEST_CASE("wire: a packet that nobody asked for is shown as such", "[wire]") {
  Conversation(kNew).ask(Command::ping).ends(Event::ok, kOk).shows(Event::unexpected, kError).check();
}

TEST_CASE("wire: what no server sends is not followed any further", "[wire]") {
  Conversation(kNew).ask(Command::ping).breaks("\1x").check();
  Conversation(kNew).ask(Command::query).breaks("").check();
  Conversation(kNew).ask(Command::query).breaks("\xFE\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF").check();   // so many columns
  Conversation(kNew).ask(Command::query).breaks(std::string("\0\xFE", 2)).check();                // an OK that is cut
  Conversation(kNew).ask(Command::stmt_prepare).breaks(std::string("\0\1\0\0\0\1\0", 7)).check();
  Conversation(kOld).ask(Command::query).shows(Event::metadata, "\1").passes(kDefinition).breaks("\1x").check();  // where an EOF must be
}

TEST_CASE("wire: trackers lie in the OK at the end of rows, and a broken block is no OK", "[wire]") {
  const std::string tracked = "\xFE\0\0\x22\x40\0\0\0\7\1\5\4shop"s;
  Conversation(kNew).ask(Command::query).shows(Event::metadata, "\1").passes(kDefinition).passes("\1x").ends(Event::ok, tracked).check();
  Conversation(kNew).ask(Command::query).shows(Event::metadata, "\1").passes(kDefinition).passes("\1x").breaks("\xFE\0\0\x22\x40\0\0\0\x30\1"s).check();
}
