#include "admin.h"

#include <fmt/format.h>

#include <algorithm>
#include <asio/co_spawn.hpp>
#include <asio/use_awaitable.hpp>
#include <cctype>

#include "client_error.h"
#include "coordinator.h"
#include "godwit/util/error.h"
#include "godwit/util/text.h"
#include "godwit/wire/bytes.h"
#include "godwit/wire/ok.h"
#include "text_result.h"

namespace godwit::proxy {
namespace {

constexpr std::size_t kCommandBytesMax = 65536;
constexpr Deadline kForever = Deadline::max();

using Words = std::vector<std::string>;

// In upper case, without the semicolon at the end.
Words words_of(std::string_view sql) {
  Words words;
  std::string word;
  for (const char c : sql) {
    if (std::isspace(static_cast<unsigned char>(c)) != 0 || c == ';') {
      if (!word.empty()) words.push_back(std::move(word));
      word.clear();
    } else {
      word += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    }
  }
  if (!word.empty()) words.push_back(std::move(word));
  return words;
}

Error unknown(const std::string& sql) {
  return Error(Code::bad_usage, {.object = sql.empty() ? "an empty command" : sql,
                                 .cause = "the proxy knows no such command",
                                 .remedy = "SHOW SESSIONS | ROUTE | STATS | ACCOUNTS; WARM TO side; PAUSE [HOLD epoch] [WITH LEASE seconds] [DRAIN seconds] [KILL|ABORT]; MOVE TO source|target; RESUME [HOLD epoch | FORCE source|target]; KILL session"});
}

struct Answer {
  db::Rows rows;
  std::vector<bool> is_number;
};

std::string ms(std::chrono::microseconds us) { return fmt::format("{:.3f}", static_cast<double>(us.count()) / 1000); }

class Desk {
 public:
  Desk(Proxy& proxy, std::string sql) : proxy_(proxy), context_(proxy.context()), sql_(std::move(sql)) {}

  // In the coordinator's thread. No columns: OK alone.
  asio::awaitable<Answer> answer() {
    const Words words = words_of(sql_);
    const auto is = [&](std::initializer_list<const char*> wanted) { return std::equal(wanted.begin(), wanted.end(), words.begin(), words.end(), [](const char* a, const std::string& b) { return b == a; }); };
    if (is({"SHOW", "SESSIONS"}) || is({"SHOW", "PROCESSLIST"})) co_return co_await show_sessions();
    if (is({"SHOW", "ROUTE"})) co_return show_route();
    if (is({"SHOW", "STATS"})) co_return co_await show_stats();
    if (is({"SHOW", "ACCOUNTS"})) co_return show_accounts();
    if (is({"SHOW", "WARNINGS"})) co_return Answer{{{"Level", "Code", "Message"}, {}}, {}};
    if (is({"RESUME"})) co_return resumed(co_await proxy_.resume());
    if (words.size() == 3 && words[0] == "RESUME" && words[1] == "HOLD") co_return resumed(co_await proxy_.resume_hold(epoch_of(words[2])));
    if (words.size() == 3 && words[0] == "RESUME" && words[1] == "FORCE") co_return resumed(co_await proxy_.resume_force(side_of(words[2])));
    if (words.size() == 3 && words[0] == "MOVE" && words[1] == "TO") co_return moved(co_await proxy_.move(side_of(words[2])), "moved");
    if (words.size() == 3 && words[0] == "WARM" && words[1] == "TO") co_return moved(co_await proxy_.warm(side_of(words[2])), "warm");
    if (!words.empty() && words[0] == "PAUSE") co_return co_await pause(words);
    if (words.size() >= 2 && words[0] == "KILL") co_return co_await kill(words.back());
    // What clients say of themselves at the start.
    if (!words.empty() && (words[0] == "SET" || words[0] == "USE" || words[0] == "ROLLBACK" || words[0] == "COMMIT")) co_return Answer{};
    if (words.size() >= 2 && words[0] == "SELECT" && words[1].rfind("@@", 0) == 0) co_return Answer{{{sql_.substr(7)}, {{"godwit proxy"}}}, {}};
    if (words.size() == 2 && words[0] == "SELECT" && words[1] == "1") co_return Answer{{{"1"}, {{"1"}}}, {true}};
    throw unknown(sql_);
  }

 private:
  db::Side side_of(const std::string& word) const {
    if (word == "SOURCE") return db::Side::source;
    if (word == "TARGET") return db::Side::target;
    throw unknown(sql_);
  }

  static Answer moved(const MoveReport& report, const char* what) {
    return {{{"side", what, "ms"}, {{std::string(db::to_string(report.side)), std::to_string(report.sessions), ms(report.took)}}}, {false, true, false}};
  }

  static Answer resumed(const ResumeReport& report) {
    const auto& figures = report.figures;
    return {{{"released", "hold", "serving", "epoch", "ended_by", "waited", "held_ms_p50", "held_ms_p99", "held_ms_max", "closed_ms"},
             {{std::to_string(figures.sessions), std::to_string(report.hold), std::string(db::to_string(report.serving)), report.epoch ? std::optional(std::to_string(*report.epoch)) : std::nullopt,
               report.ended_by, std::to_string(figures.waited), ms(figures.p50), ms(figures.p99), ms(figures.max), ms(report.closed)}}},
            {true, true, false, true, false, true, false, false, false, false}};
  }

  std::uint64_t epoch_of(const std::string& word) const {
    const auto epoch = parse_u64(word);
    if (!epoch || *epoch == 0) throw unknown(sql_);
    return *epoch;
  }

  std::chrono::milliseconds seconds(const std::string& word) const {
    char* end = nullptr;
    const double value = std::strtod(word.c_str(), &end);
    if (end == word.c_str() || *end != '\0' || value < 0 || value > 86400) throw unknown(sql_);
    return std::chrono::milliseconds(static_cast<std::int64_t>(value * 1000));
  }

  asio::awaitable<Answer> pause(const Words& words) {
    PauseRequest request{.lease = context_.options.limits.lease, .drain = context_.options.limits.drain, .on_straggler = context_.options.on_straggler};
    for (std::size_t i = 1; i < words.size();) {
      if (i == 1 && words.size() > 2 && words[1] == "HOLD") {
        request.epoch = epoch_of(words[2]);
        i += 2;
      } else if (i + 2 < words.size() && words[i] == "WITH" && words[i + 1] == "LEASE") {
        request.lease = seconds(words[i + 2]);
        i += 3;
      } else if (i + 1 < words.size() && words[i] == "DRAIN") {
        request.drain = seconds(words[i + 1]);
        i += 2;
      } else if (words[i] == "KILL" || words[i] == "ABORT") {
        request.on_straggler = words[i] == "KILL" ? Straggler::kill : Straggler::abort;
        i += 1;
      } else {
        throw unknown(sql_);
      }
    }
    if (request.epoch && request.lease.count() == 0) {
      throw Error(Code::bad_usage, {.object = "PAUSE HOLD", .cause = "the hold of a switch has a lease: without one nobody would end it", .remedy = "PAUSE HOLD epoch WITH LEASE seconds"});
    }
    const auto report = co_await proxy_.pause(request);
    co_return Answer{{{"hold", "held", "killed", "ms", "serving"},
                      {{std::to_string(report.hold), std::to_string(report.held), std::to_string(report.killed), ms(report.took), std::string(db::to_string(report.serving))}}},
                     {true, true, true, false, false}};
  }

  asio::awaitable<Answer> kill(const std::string& word) {
    const auto id = parse_u64(word);
    if (!id || *id > 0xFFFFFFFF) throw unknown(sql_);
    const bool was_there = co_await proxy_.end_session(static_cast<std::uint32_t>(*id));
    if (!was_there) {
      throw Error(Code::bad_usage, {.object = word, .cause = "no session has this id", .remedy = "SHOW SESSIONS"});
    }
    co_return Answer{};
  }

  asio::awaitable<Answer> show_sessions() {
    Answer answer{{{"id", "server_id", "account", "client", "side", "state", "in", "statements", "prepared", "moves", "immovable", "refused_by"}, {}}, {true, true, false, false, false, false, false, true, true, true, false, false}};
    for (const auto& row : co_await proxy_.sessions()) {
      answer.rows.rows.push_back({std::to_string(row.id), std::to_string(row.server_id), row.account, row.client, row.side, row.state, row.what_it_is_in, std::to_string(row.statements),
                                  std::to_string(row.prepared), std::to_string(row.moves), row.immovable, row.refused_by});
    }
    co_return answer;
  }

  Answer show_route() {
    Answer answer{{{"side", "address", "serving", "gate", "hold", "version", "epoch", "authority", "authority_serves", "switching", "lease_ms_left", "instance"}, {}},
                  {false, false, false, false, true, false, true, false, false, false, true, false}};
    using Cell = db::Rows::Cell;
    const auto& view = proxy_.authority();
    const auto lease = proxy_.lease_left();
    for (const auto side : {db::Side::source, db::Side::target}) {
      const auto facts = context_.upstream(side).facts.get();
      const bool is_serving = context_.gate.serving() == side;
      answer.rows.rows.push_back({std::string(db::to_string(side)), db::address(context_.upstream(side).dsn), is_serving ? "yes" : "no", context_.gate.is_closed() ? "closed" : "open",
                                  std::to_string(context_.gate.hold()),
                                  facts ? fmt::format("{} {}.{}.{}", gtid::to_string(facts->flavour), facts->version.major, facts->version.minor, facts->version.patch) : "unknown",
                                  view.route ? Cell(std::to_string(view.route->epoch)) : Cell(), std::string(to_string(view.knowledge)),
                                  view.route ? Cell(view.route->serving == side ? "yes" : "no") : Cell(), view.route ? Cell(view.route->is_switching ? "yes" : "no") : Cell(),
                                  lease ? Cell(std::to_string(lease->count())) : Cell(), proxy_.instance()});
    }
    return answer;
  }

  asio::awaitable<Answer> show_stats() {
    co_await proxy_.count_statements();
    Answer answer{{{"name", "value"}, {}}, {false, true}};
    const auto& s = context_.stats;
    const auto add = [&](const char* name, const std::atomic<std::uint64_t>& value) { answer.rows.rows.push_back({name, std::to_string(value.load())}); };
    add("sessions", s.sessions);
    add("connections", s.connections);
    add("sessions_total", s.sessions_total);
    add("logins_failed", s.logins_failed);
    add("refused", s.refused);
    add("stalled", s.stalled);
    add("statements", s.statements);
    add("moves", s.moves);
    add("moves_failed", s.moves_failed);
    add("holds", s.holds);
    add("hold_us_last", s.hold_us_last);
    add("session_hold_us_max", s.hold_us_max);
    co_return answer;
  }

  Answer show_accounts() {
    Answer answer{{{"account", "secret", "proved_on", "sessions", "note"}, {}}, {false, false, false, true, false}};
    for (const auto& row : context_.vault.rows()) {
      answer.rows.rows.push_back({row.account, std::string(to_string(row.origin)), row.proved_on, std::to_string(row.sessions), row.note});
    }
    return answer;
  }

  Proxy& proxy_;
  Context& context_;
  const std::string sql_;
};

std::string text_of(std::string_view payload, wire::Capabilities capabilities) {
  wire::Input in(payload.substr(1));
  if ((capabilities & wire::cap::query_attributes) != 0) {
    in.lenenc();
    in.lenenc();
  }
  return std::string(in.rest());
}

}  // namespace

asio::awaitable<void> run_admin(Channel& client, wire::Capabilities capabilities, Proxy& proxy) {
  const bool has_track = (capabilities & wire::cap::session_track) != 0;
  const auto ok = wire::write_ok({.status = wire::status::autocommit}, has_track);
  while (true) {
    const std::string payload = co_await client.packet(kForever, kCommandBytesMax);
    if (payload.empty()) co_return;
    const auto command = static_cast<wire::Command>(payload[0]);
    if (command == wire::Command::quit) co_return;
    client.set_sequence(1);
    if (command == wire::Command::ping || command == wire::Command::init_db || command == wire::Command::reset_connection || command == wire::Command::set_option) {
      client.send_packet(ok);
      continue;
    }
    if (command != wire::Command::query) {
      client.send_packet(error_packet(1047, "08S01", "Unknown command"));
      continue;
    }
    std::string out;
    try {
      Desk desk(proxy, text_of(payload, capabilities));
      const auto ask = [&desk] { return desk.answer(); };
      const auto answer = co_await asio::co_spawn(proxy.loop(), ask, asio::use_awaitable);
      if (answer.rows.columns.empty()) {
        wire::put_packet(out, 1, ok);
      } else {
        append_text_result(out, answer.rows, {.capabilities = capabilities, .is_number = answer.is_number});
      }
    } catch (const Error& error) {
      out.clear();
      wire::put_packet(out, 1, error_packet(1105, "HY000", error.what()));
    }
    client.write(out);
  }
}

}  // namespace godwit::proxy
