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
#include "seizure.h"
#include "session.h"
#include "text_result.h"
#include "worker.h"

namespace godwit::proxy {
namespace {

constexpr std::size_t kPipelineMax = 256;        // requests under way before the client is made to wait
constexpr std::size_t kLockSniffBytes = 16384;  // the same for GET_LOCK, where the server does not show who holds a lock
constexpr std::uint32_t kSniffBytes = 1024;        // of a text that are looked at
constexpr std::size_t kHeadBytesMax = 1 << 18;   // of an execution whose types must be found
constexpr std::size_t kKeptTextMax = 1 << 20;    // of one statement that is prepared
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
  return answer(request, wire::write_error({.number = number, .state = std::string(state), .text = std::string(text)}));
}

// The statement's text. Attributes of a query lie before it; where there are any, they are looked over with it.
std::string_view Session::text_of(std::string_view payload) const {
  wire::Input in(payload.substr(1));
  if ((client_capabilities_ & wire::cap::query_attributes) != 0 && static_cast<wire::Command>(payload[0]) == wire::Command::query) {
    in.lenenc();
    in.lenenc();
  }
  return in.rest();
}

routing::Hints Session::hints_of(std::string_view sql) const {
  return routing::hints_of(sql, {.has_backslash_escapes = (status_ & wire::status::no_backslash_escapes) == 0,
                                 .looks_for_user_locks = !server_->facts().sees_locks(),
                                 .takes_several_statements = has_multi_statements_,
                                 .bytes_max = kSniffBytes});
}

// What servers do not tell of. True where the statement's answer must be waited for before another begins.
void Session::note_hints(const routing::Hints& hints, std::string_view sql) {
  if (hints.bits == 0) return;
  if (hints.has(routing::Hint::mentions_session_track)) note_tracking(sql);
  if (hints.has(routing::Hint::may_take_user_lock)) note_user_locks(sql);
  if (hints.has(routing::Hint::flushes_with_read_lock)) wire_.holds_global_read_lock = true;
  if (hints.has(routing::Hint::unlocks_tables)) wire_.holds_global_read_lock = false;
  if (!tells_of_transactions_) {
    if (hints.has(routing::Hint::locks_tables)) wire_.has_table_locks = true;
    if (hints.has(routing::Hint::unlocks_tables)) wire_.has_table_locks = false;
    if (hints.has(routing::Hint::sets_transaction)) is_one_shot_unknown_ = true;
  }
  if (hints.has(routing::Hint::flushes_status)) wire_.has_flushed_status = true;
  if (hints.has(routing::Hint::xa)) note_xa(sql);
  // Such a transaction has begun, and no flag says so.
  constexpr std::uint16_t kSeen = wire::status::autocommit | wire::status::in_transaction;
  if (hints.has(routing::Hint::savepoint) && (status_ & kSeen) == 0) has_savepoint_ = true;
  if (hints.has(routing::Hint::ends_transaction)) has_savepoint_ = false;
}

void Session::note_user_locks(std::string_view sql) {
  user_locks_.saw(sql, (status_ & wire::status::no_backslash_escapes) == 0);
  wire_.user_lock_names = user_locks_.names();
  wire_.may_hold_user_lock = user_locks_.has_unknown();
}

void Session::note_xa(std::string_view sql) {
  const auto words = split(trim(sql.substr(0, kSniffBytes)), ' ');
  if (words.size() < 2) return;
  if (equals_ignoring_case(words[1], "PREPARE")) has_prepared_xa_ = true;
  if (equals_ignoring_case(words[1], "COMMIT") || equals_ignoring_case(words[1], "ROLLBACK")) has_prepared_xa_ = false;
}

// Once it is there, with its schema: the session may be in another one later. One that nobody has seen by name is counted by the server alone.
void Session::note_temporary_table(const std::string& name, ContextId context) {
  const bool has_schema = name.find("`.`") != std::string::npos;
  const auto schema = context < contexts_.size() ? contexts_[context].schema : std::nullopt;
  if (!has_schema && !schema) return;
  std::string whole = has_schema ? name : sql::quote_identifier(*schema) + "." + name;
  ++wire_.temporary_creates;
  auto& all = wire_.temporary_tables;
  if (std::find(all.begin(), all.end(), whole) == all.end()) all.push_back(std::move(whole));
}

// What the client asks to be told itself is not kept from it any more.
void Session::note_tracking(std::string_view sql) {
  std::string text(sql.substr(0, kSniffBytes));
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (text.find("state_change") != std::string::npos) owns_state_change_ = true;
  if (text.find("transaction_info") != std::string::npos) owns_transaction_info_ = true;
  owns_tracking_ = true;
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

// MariaDB's warnings outlive statements that use no table, and what is prepared.
void Session::note_diagnostics(wire::Command command, std::string_view sql) {
  if (!diagnostics_ || !server_->facts().is_mariadb()) return;
  const bool clears_warnings = routing::uses_tables(sql);
  if (command == wire::Command::stmt_prepare) {
    if (clears_warnings) *diagnostics_ = {.found_rows = diagnostics_->found_rows, .row_count = diagnostics_->row_count, .is_of_warnings_alone = diagnostics_->is_of_warnings_alone};
    keeps_diagnostics_ = true;
  } else if (!clears_warnings) {
    diagnostics_->is_of_warnings_alone = true;
    keeps_diagnostics_ = true;
  }
}

Session::Begin Session::answer_diagnostic(const Request& request, const routing::DiagnosticQuestion& question) {
  if (!responses_.is_empty()) return Begin::waits;
  const bool is_list = question.question == routing::Question::show_warnings || question.question == routing::Question::show_errors;
  const auto answer = routing::answer(question, server_->facts().flavour, *diagnostics_);
  ++requests_seen_;
  edited_.clear();
  append_text_result(edited_, answer.rows, {.capabilities = client_capabilities_, .status = status_, .warnings = answer.warnings, .is_number = {!is_list, true, false}});
  client_->write(edited_);
  static_cast<void>(request);
  return Begin::replaced;
}

// The text is kept, since the other side will have to prepare it too; one of megabytes streams by, and keeps its session where it is.
Session::Begin Session::begin_prepare(const Request& request) {
  if (!is_whole(request)) {
    if (request.length > kKeptTextMax) {
      if (!is_context_known_) return begin_context();
      statements_.begin({}, context_id_, Statements::Text::too_long);
      expect(wire::Command::stmt_prepare);
      return Begin::passes;
    }
    client_->want(wire::kHeaderBytes + request.length);
    return Begin::waits;
  }
  has_prepared_ = true;
  if (!is_context_known_) return begin_context();
  const std::string_view sql = seen(request).substr(1);
  note_hints(hints_of(sql), sql);
  if (context_id_ == kNoContext) {
    statements_.begin({}, context_id_, Statements::Text::too_long);
  } else {
    statements_.begin(std::string(sql), context_id_);
  }
  note_diagnostics(wire::Command::stmt_prepare, sql);
  expect(wire::Command::stmt_prepare);
  return Begin::passes;
}

Session::Begin Session::begin_statement(const Request& request) {
  const std::string_view payload = seen(request);
  if (payload.size() < 5) {
    if (request.length >= 5) {
      client_->want(wire::kHeaderBytes + 5);
      return Begin::waits;
    }
    expect(static_cast<wire::Command>(payload[0]));  // the server says what is wrong with it
    return Begin::passes;
  }
  char* id_at = client_->input().bytes().data() + request_run_.at + kStatementAt;
  const auto command = static_cast<wire::Command>(payload[0]);
  std::uint32_t id = number_at(id_at);
  if (id == wire::kLastPrepared && !statements_.is_preparing()) id = statements_.last();
  Statement* statement = statements_.find(id);
  if (id != wire::kLastPrepared) wire::overwrite(id_at, statement == nullptr ? 0 : statement->server_id, 4);
  if (statement != nullptr) {
    if (command == wire::Command::stmt_send_long_data) statements_.set_long_data(*statement, true);
    if (command == wire::Command::stmt_reset) {
      statements_.set_long_data(*statement, false);
      statements_.set_cursor(*statement, false);
    }
    if (command == wire::Command::stmt_close) statements_.close(id);
  }
  expect(command, id);
  return Begin::passes;
}

Session::Begin Session::begin_execute(const Request& request) {
  const std::string_view payload = seen(request);
  if (payload.size() < 5) return begin_statement(request);
  std::uint32_t id = number_at(payload.data() + 1);
  if (id == wire::kLastPrepared && !statements_.is_preparing()) id = statements_.last();
  Statement* statement = statements_.find(id);
  if (statement == nullptr) return begin_statement(request);
  const auto command = static_cast<wire::Command>(payload[0]);
  if (statement->is_kept) note_diagnostics(command, statement->sql);
  const bool is_bulk = command == wire::Command::stmt_bulk_execute;
  const auto read = is_bulk ? wire::read_bulk_execute(payload, statement->parameters) : wire::read_execute(payload, statement->parameters, client_capabilities_);
  if (read.state == wire::HeadState::needs_more && !is_whole(request) && payload.size() < kHeadBytesMax) {
    client_->want(std::min<std::size_t>(wire::kHeaderBytes + request.length, 2 * request.available));
    return Begin::waits;
  }
  const auto& head = read.head;
  if (read.state == wire::HeadState::complete) {
    const std::string_view types = payload.substr(head.types_at, head.types_bytes);
    if (head.types_bytes > 0) statements_.set_types(*statement, types);
    statements_.set_cursor(*statement, false);  // an execution closes it
    statements_.set_long_data(*statement, false);
    if (statement->lacks_types && head.flag_at > 0 && !head.has_types && !statement->types.empty()) {
      const auto inserted = insert_types(request, head, statement->types, statement->server_id);
      if (inserted == Begin::waits) return inserted;
      statement->lacks_types = false;
      expect(command, id);
      return inserted;
    }
    if (head.has_types) statement->lacks_types = false;
  }
  const bool is_by_number = number_at(payload.data() + 1) != wire::kLastPrepared || !statements_.is_preparing();
  if (is_by_number) wire::overwrite(client_->input().bytes().data() + request_run_.at + kStatementAt, statement->server_id, 4);
  expect(command, id);
  return Begin::passes;
}

// The first execution on a server that has never seen the types, by a client that has sent them to another one.
Session::Begin Session::insert_types(const Request& request, const wire::ExecuteHead& head, std::string_view types, std::uint32_t server_id) {
  const std::string_view payload = seen(request);
  std::string changed(payload.substr(0, head.types_at));
  wire::overwrite(changed.data() + 1, server_id, 4);
  const bool is_bulk = static_cast<wire::Command>(payload[0]) == wire::Command::stmt_bulk_execute;
  changed[head.flag_at] = static_cast<char>(is_bulk ? changed[head.flag_at] | static_cast<char>(0x80) : 1);
  changed += types;
  flush_requests();
  edited_.clear();
  reframing_.emplace(changed, head.types_at, request.length, edited_);
  server_->channel().write(edited_);
  request_run_.at += wire::kHeaderBytes + head.types_at;
  request_run_.from = request_run_.at;
  return Begin::reframed;
}

// True when the packet has ended.
bool Session::feed_reframing() {
  auto& run = request_run_;
  auto data = client_->input().view().substr(run.at);
  const std::size_t before = data.size();
  edited_.clear();
  const bool has_ended = reframing_->feed(data, edited_);
  server_->channel().write(edited_);
  run.at += before - data.size();
  run.from = run.at;
  if (has_ended) reframing_.reset();
  return has_ended;
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
