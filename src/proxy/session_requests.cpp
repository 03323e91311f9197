// Requests to the server: whole runs of bytes are sent on as they came; a number in a packet is changed in place, and a packet that becomes another is sent
// between two runs. Nothing here allocates for a packet once buffers have their size.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "godwit/sql/quote.h"
#include "godwit/util/error.h"
#include "godwit/util/text.h"
#include "godwit/util/log.h"
#include "godwit/wire/bytes.h"
#include "client_error.h"
#include "seizure.h"
#include "session.h"
#include "text_result.h"
#include "worker.h"

namespace godwit::proxy {
namespace {

constexpr std::size_t kPipelineMax = 256;        // requests under way before the client is made to wait
constexpr std::size_t kLockSniffBytes = 16384;  // the same for GET_LOCK, where the server does not show who holds a lock
constexpr std::uint32_t kSniffBytes = 1024;        // of a text that are looked at
constexpr std::size_t kAnsweredBytesMax = 65536;  // of a request that is not sent on as it is
constexpr std::size_t kStatementAt = wire::kHeaderBytes + 1;

constexpr std::uint64_t kProgressBytes = 16384;  // of an unfinished request within the time that a client may stall

// In what lies behind the part that is looked at for hints, as far as it has come.
bool calls_get_lock(std::string_view sql) {
  for (auto at = sql.find('_'); at != std::string_view::npos; at = sql.find('_', at + 1)) {
    if (at >= 3 && equals_ignoring_case(sql.substr(at - 3, 8), "GET_LOCK")) return true;
  }
  return false;
}

std::uint32_t number_at(const char* at) { return wire::Input({at, 4}).u32(); }

}  // namespace

void Session::attempt(void (Session::*deed)()) {
  const auto self = shared_from_this();
  try {
    (this->*deed)();
  } catch (const std::exception& error) {
    log::warning("session {} is ended: {}", client_id_, error.what());
    end(error.what());
  }
}

void Session::on_client_input() {
  if (!is_served_ || has_ended_) return;
  if (!is_exclusive_) return relay_requests();
  if (hold_ == Hold::held) answer_pings();
  note_waiting();
}

void Session::note_waiting() {
  if (hold_ != Hold::none && waiting_since_ == Deadline{} && !client_->input().is_empty()) waiting_since_ = std::chrono::steady_clock::now();
}

void Session::on_client_drained() {
  settle_flow();
  on_client_input();
}

// A pool that asks whether its connections live is not kept waiting by a hold; who does not read the answers is.
void Session::answer_pings() {
  constexpr std::string_view kPing("\x01\0\0\0\x0E", 5);
  while (client_->unsent_bytes() <= kUnsentBytesMax && client_->input().view().substr(0, kPing.size()) == kPing) {
    client_->input().consume(kPing.size());
    client_->set_sequence(1);
    client_->send_packet(wire::write_ok({.status = status_}, (client_capabilities_ & wire::cap::session_track) != 0));
  }
}

// Whether something is under way that must come to its end before the session is at a safe point.
bool Session::must_go_on() const {
  const bool is_in_transaction = is_status_known_ && (status_ & wire::status::in_transaction) != 0;
  return is_in_transaction || has_savepoint_ || wire_.has_table_locks || statements_.has_long_data() || statements_.has_open_cursor();
}

bool Session::may_begin() const {
  if (is_exclusive_ || responses_.size() >= kPipelineMax) return false;
  if (seizure_) return true;  // for a KILL that another session waits for
  return seizures_ == 0 && (!context_.gate.is_closed() || hold_ == Hold::refused || must_go_on());
}

void Session::flush_requests() {
  auto& run = request_run_;
  const auto bytes = client_->input().view();
  if (run.at > run.from) server_->channel().write(bytes.substr(run.from, run.at - run.from));
  run.from = run.at;
}

// A request, or a local file, that does not come to its end. Who sends on, if slowly, is not stalled; a byte a second is no sending.
void Session::note_partial(std::size_t bytes) {
  const bool is_partial = !client_->input().is_empty() || requests_.is_inside_request() || requests_.is_in_file() || reframing_;
  partial_bytes_ += bytes;
  if (is_partial && partial_since_ != Deadline{} && partial_bytes_ < kProgressBytes) return;
  partial_since_ = is_partial ? std::chrono::steady_clock::now() : Deadline{};
  partial_bytes_ = 0;
}

void Session::relay_requests() {
  if (is_relaying_) return;
  is_relaying_ = true;
  client_->want(0);
  auto& run = request_run_;
  run = {};
  for (bool is_waiting = false; !is_waiting && !has_ended_;) {
    if (reframing_ && !feed_reframing()) break;
    const auto step = requests_.next(client_->input().bytes().subspan(run.at));
    run.at += step.pass;
    if (step.event == wire::Requests::Event::file_ended) continue;
    if (step.event == wire::Requests::Event::broken) {
      flush_requests();
      refuse(1156, "08S01", "Got packets out of order");
      break;
    }
    if (step.event != wire::Requests::Event::command || !may_begin()) break;
    switch (begin_request(step)) {
      case Begin::passes:
        requests_.begin(step.length);
        break;
      case Begin::waits:
        is_waiting = true;
        break;
      case Begin::reframed:
        break;
      case Begin::replaced:  // all before it was sent, and what stands for it; of itself nothing is
        run.at += wire::kHeaderBytes + step.length;
        run.from = run.at;
        break;
    }
  }
  if (!has_ended_) {
    flush_requests();
    client_->input().consume(run.at);
    note_partial(run.at);
  }
  is_relaying_ = false;
  if (!has_ended_) settle_flow();
}

void Session::expect(wire::Command command, std::uint32_t statement) {
  ++requests_seen_;
  was_changed_ = true;
  if (command != wire::Command::stmt_close && !std::exchange(keeps_diagnostics_, false)) diagnostics_.reset();
  const auto reply = wire::reply_of(static_cast<std::uint8_t>(command));
  if (reply != wire::Reply::none) responses_.expect({.reply = reply, .command = command, .statement = statement});
}

std::string_view Session::seen(const Request& request) { return client_->input().view().substr(request_run_.at + wire::kHeaderBytes, request.available - wire::kHeaderBytes); }

Session::Begin Session::begin_request(const Request& request) {
  const auto byte = static_cast<std::uint8_t>(seen(request)[0]);
  const auto command = static_cast<wire::Command>(byte);
  if (is_interrupted_) {
    const bool is_statement = command == wire::Command::query || ((command == wire::Command::stmt_execute || command == wire::Command::stmt_bulk_execute) && !statements_.has_long_data());
    if (is_statement && request.length <= kAnsweredBytesMax) return answer_interrupted(request);
    if (command != wire::Command::stmt_close) is_interrupted_ = false;
  }
  switch (command) {
    case wire::Command::query:
      return begin_query(request);
    case wire::Command::stmt_prepare:
      return begin_prepare(request);
    case wire::Command::stmt_execute:
    case wire::Command::stmt_bulk_execute:
      return begin_execute(request);
    case wire::Command::stmt_send_long_data:
    case wire::Command::stmt_close:
    case wire::Command::stmt_reset:
    case wire::Command::stmt_fetch:
      return begin_statement(request);
    case wire::Command::process_kill:
      return begin_process_kill(request);
    case wire::Command::change_user:
    case wire::Command::reset_connection:
    case wire::Command::set_option:
      return begin_alone(request);
    case wire::Command::quit:
    case wire::Command::init_db:
    case wire::Command::field_list:
    case wire::Command::create_db:
    case wire::Command::drop_db:
    case wire::Command::refresh:
    case wire::Command::shutdown:
    case wire::Command::statistics:
    case wire::Command::process_info:
    case wire::Command::debug:
    case wire::Command::ping:
      expect(command);
      return Begin::passes;
    case wire::Command::binlog_dump:
    case wire::Command::table_dump:
    case wire::Command::register_replica:
    case wire::Command::binlog_dump_gtid:
    case wire::Command::clone:
    case wire::Command::subscribe_group_replication:
      return answer_error(request, 1227, "42000", fmt::format("{} does not go through the proxy: connect to the server itself", wire::name_of(byte)));
  }
  return answer_error(request, 1047, "08S01", "Unknown command");
}

// Instead of a request that is here as a whole.
Session::Begin Session::replace(const Request&, std::string_view payload) {
  flush_requests();
  edited_.clear();
  wire::put_packet(edited_, 0, payload);
  server_->channel().write(edited_);
  return Begin::replaced;
}

// An answer of the proxy's own keeps the order of answers: it waits until nothing else is under way.
Session::Begin Session::answer(const Request& request, std::string_view payload) {
  if (request.length > kAnsweredBytesMax) {
    refuse(1153, "08S01", "Got a packet bigger than the proxy takes of this command");
    return Begin::waits;
  }
  if (!responses_.is_empty() || !is_whole(request)) {
    client_->want(wire::kHeaderBytes + request.length);
    return Begin::waits;
  }
  ++requests_seen_;
  edited_.clear();
  wire::put_packet(edited_, 1, payload);
  client_->write(edited_);
  return Begin::replaced;
}

Session::Begin Session::answer_error(const Request& request, std::uint16_t number, std::string_view state, std::string_view text) {
  return answer(request, error_packet(number, state, text));
}

Session::Begin Session::begin_query(const Request& request) {
  const std::string_view payload = seen(request);
  const std::size_t needed = std::min<std::size_t>(request.length, server_->facts().sees_locks() ? kSniffBytes : kLockSniffBytes);
  if (payload.size() < needed) {
    client_->want(wire::kHeaderBytes + needed);
    return Begin::waits;
  }
  const std::string_view sql = text_of(payload);
  if (diagnostics_ && is_whole(request)) {
    const auto asked = routing::asks_for_diagnostics(sql);
    const bool is_of_rows = asked && (asked->question == routing::Question::found_rows || asked->question == routing::Question::row_count);
    if (asked && !(is_of_rows && diagnostics_->is_of_warnings_alone)) return answer_diagnostic(request, *asked);
  }
  // Asked when it comes to a PREPARE, it would cost the client its ROW_COUNT() and FOUND_ROWS(); this statement makes new ones anyhow.
  if (!is_context_known_ && has_prepared_ && !routing::may_read_diagnostics(sql)) return begin_context();
  const auto hints = hints_of(sql);
  if (hints.bits != 0) {
    if (hints.has(routing::Hint::is_cut) && !server_->facts().sees_locks() && calls_get_lock(sql)) note_user_locks(sql);
    if (hints.has(routing::Hint::kills) && is_whole(request) && hints.kill.id <= 0xFFFFFFFF) {
      const auto id = static_cast<std::uint32_t>(hints.kill.id);
      if (is_kill_alone(sql, hints.kill)) {
        if (const auto begun = begin_kill(request, id, hints.kill.is_query)) return *begun;
      }
      const auto server_id = context_.registry.server_id(id);
      if (server_id && *server_id != hints.kill.id) {
        const auto at = payload.size() - sql.size() + hints.kill.offset;
        const std::string changed = fmt::format("{}{}{}", payload.substr(0, at), *server_id, payload.substr(at + hints.kill.size));
        expect(wire::Command::query);
        return replace(request, changed);
      }
    }
    if (hints.has(routing::Hint::prepares_text)) {
      // Known by its answer, which must be the next.
      if (!responses_.is_empty()) return Begin::waits;
      text_prepare_ = routing::text_prepare_of(sql);
      if (text_prepare_) text_prepare_sql_ = sql;
      if (!is_context_known_) return begin_context();
    }
    if (hints.has(routing::Hint::creates_temporary_table)) {
      if (!responses_.is_empty()) return Begin::waits;
      if (!is_context_known_) return begin_context();
      temporary_table_ = routing::temporary_table_of(sql);
    }
    note_hints(hints, sql);
  }
  if (is_whole(request)) note_diagnostics(wire::Command::query, sql);
  expect(wire::Command::query);
  return Begin::passes;
}

Session::Begin Session::begin_process_kill(const Request& request) {
  const std::string_view payload = seen(request);
  if (payload.size() < 5 && request.length >= 5) return Begin::waits;
  if (payload.size() >= 5) {
    const auto id = number_at(payload.data() + 1);
    if (is_whole(request)) {
      if (const auto begun = begin_kill(request, id, false)) return *begun;
    }
    const auto server_id = context_.registry.server_id(id);
    if (server_id) wire::overwrite(client_->input().bytes().data() + request_run_.at + kStatementAt, *server_id, 4);
  }
  expect(wire::Command::process_kill);
  return Begin::passes;
}

// What makes another session of it, or is a conversation: when all before it is answered.
Session::Begin Session::begin_alone(const Request& request) {
  if (!is_whole(request)) {
    if (request.length > kAnsweredBytesMax) {
      refuse(1153, "08S01", "Got a packet bigger than the proxy takes of this command");
    } else {
      client_->want(wire::kHeaderBytes + request.length);
    }
    return Begin::waits;
  }
  if (!responses_.is_empty()) return Begin::waits;
  const std::string_view payload = seen(request);
  const auto command = static_cast<wire::Command>(payload[0]);
  if (command == wire::Command::set_option) {
    if (payload.size() >= 3) has_multi_statements_ = payload[1] == 0 && payload[2] == 0;
    expect(command);
    return Begin::passes;
  }
  if (command == wire::Command::reset_connection) {
    expect(command);
    return Begin::passes;
  }
  begin_change_user(std::string(payload));
  return Begin::replaced;
}

}  // namespace godwit::proxy
