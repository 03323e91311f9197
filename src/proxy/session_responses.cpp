// Answers to the client: whole runs of bytes are sent on as they came; a number in a packet is changed in place, and a packet that becomes another is sent
// between two runs. Nothing here allocates for a packet once buffers have their size.
#include <asio/post.hpp>

#include "coordinator.h"
#include "godwit/wire/bytes.h"
#include "seizure.h"
#include "session.h"
#include "worker.h"

namespace godwit::proxy {
namespace {

constexpr std::size_t kHeldBytesMax = 65536;  // of requests that are not relayed yet
constexpr std::size_t kStatementAt = wire::kHeaderBytes + 1;

// A side that takes no writes may be one that serves no more. 1290: --read-only; 1836: read-only mode; 1644: what a guard trigger signals, and others.
bool is_refused_write(std::string_view error) {
  const auto number = wire::Input(error.substr(1)).u16();
  return number == 1290 || number == 1836 || number == 1644;
}

}  // namespace

void Session::on_server_input() {
  if (is_served_ && !is_exclusive_ && !has_ended_) relay_responses();
}

void Session::flush_responses() {
  auto& run = response_run_;
  const auto bytes = server_->channel().input().view();
  if (run.at > run.from) client_->write(bytes.substr(run.from, run.at - run.from));
  run.from = run.at;
}

void Session::relay_responses() {
  auto& run = response_run_;
  run = {};
  const auto server = server_;  // what an answer leads to may end the session
  while (!has_ended_) {
    const auto step = responses_.next(server->channel().input().view().substr(run.at));
    run.at += step.pass;
    if (step.event == wire::Responses::Event::none) {
      server->channel().want(step.wanted);
      break;
    }
    if (step.event == wire::Responses::Event::broken) {
      flush_responses();
      end("the server's answer cannot be followed");
      return;
    }
    see_response(step);
    if (step.is_last) on_answered(step.event == wire::Responses::Event::error);
  }
  if (has_ended_) return;
  flush_responses();
  server->channel().input().consume(run.at);
  settle_flow();
  if (responses_.is_empty()) on_idle();
}

std::string_view Session::payload_of(const Response& step) { return server_->channel().input().view().substr(response_run_.at + wire::kHeaderBytes, step.packet - wire::kHeaderBytes); }

// Looks at the packet at the run's end, and goes behind it.
void Session::see_response(const Response& step) {
  switch (step.event) {
    case wire::Responses::Event::ok:
      see_ok(step);
      break;
    case wire::Responses::Event::error:
      is_status_known_ = false;
      wire_.row_count = -1;
      if (is_refused_write(payload_of(step))) worker_.proxy().doubt();
      diagnostics_.reset();
      break;
    case wire::Responses::Event::prepared:
      see_prepared(step);
      break;
    case wire::Responses::Event::file_request:
      requests_.begin_file(static_cast<std::uint8_t>(server_->channel().input().view()[response_run_.at + 3] + 1));
      break;
    case wire::Responses::Event::metadata:
      see_metadata(step);
      break;
    case wire::Responses::Event::unexpected:  // a server that ends the session says why
    case wire::Responses::Event::none:
    case wire::Responses::Event::auth:
    case wire::Responses::Event::text:
    case wire::Responses::Event::ended:
    case wire::Responses::Event::broken:
      break;
  }
  response_run_.at += step.packet;
  if (replaced_) response_run_.from = response_run_.at;
  replaced_ = false;
}

// Sends another payload in the place of the packet, with its sequence number.
void Session::replace_packet(const Response& step, std::string_view payload) {
  flush_responses();
  edited_.clear();
  const auto sequence = static_cast<std::uint8_t>(server_->channel().input().view()[response_run_.at + 3]);
  wire::put_packet(edited_, sequence, payload);
  client_->write(edited_);
  replaced_ = true;
  static_cast<void>(step);
}

void Session::see_status(std::uint16_t status) {
  const bool has_ended = (status_ & wire::status::in_transaction) != 0 && (status & wire::status::in_transaction) == 0;
  if (has_ended && !tells_of_transactions_) is_one_shot_unknown_ = false;  // what was set for one transaction is over with it
  status_ = status;
  is_status_known_ = true;
  if ((status & wire::status::in_transaction) != 0) has_savepoint_ = false;  // from here on the flag tells
}

// With some of its own, those from before a move are not all.
void Session::see_warnings(unsigned warnings) {
  wire_.warnings = warnings;
  if (warnings > 0) diagnostics_.reset();
}

void Session::see_ok(const Response& step) {
  const std::string_view payload = payload_of(step);
  if (step.is_eof) {
    const auto eof = wire::read_eof(payload);
    if (!eof) return;
    see_status(eof->status);
    see_warnings(eof->warnings);
    wire_.row_count = -1;
    // MariaDB loses what it would have told with it: another context, or that a one-shot SET TRANSACTION is used up now.
    const bool is_changed = (eof->status & wire::status::session_state_changed) != 0;
    if (is_changed) is_context_known_ = false;
    // MySQL's has not even the flag: what a function has set is found only by looking.
    if (is_changed || !server_->facts().is_mariadb()) has_changed_variables_ = true;
    if (!wire_.transaction_characteristics.empty() && (eof->status & wire::status::in_transaction) == 0) is_one_shot_unknown_ = true;
    return;
  }
  auto ok = wire::read_ok(payload, (server_->capabilities() & wire::cap::session_track) != 0);
  if (!ok) return;
  see_status(ok->status);
  see_warnings(ok->warnings);
  wire_.row_count = ok->header == 0xFE ? -1 : static_cast<std::int64_t>(ok->affected_rows);
  const bool is_tracking_client = (client_capabilities_ & wire::cap::session_track) != 0;
  kept_.clear();
  const bool is_changed = !ok->trackers.empty() && see_trackers(ok->trackers, kept_);
  const bool is_other_form = !is_tracking_client && (server_->capabilities() & wire::cap::session_track) != 0 && (!ok->trackers.empty() || (ok->status & wire::status::session_state_changed) != 0);
  if (!is_changed && !is_other_form) return;
  if (is_changed) ok->trackers = kept_;
  changed_.clear();
  wire::append_ok(changed_, *ok, is_tracking_client);
  replace_packet(step, changed_);
}

bool Session::see_trackers(std::string_view trackers, std::string& kept) {
  bool is_changed = false;
  const auto keep = [&](std::uint8_t kind, std::string_view data) {
    wire::put(kept, kind, 1);
    wire::put_lenenc_string(kept, data);
  };
  wire::for_each_tracker(trackers, [&](std::uint8_t kind, std::string_view data) {
    bool is_ours = false;
    switch (static_cast<wire::Tracker>(kind)) {
      case wire::Tracker::system_variables:
        is_context_known_ = false;
        // A server that sends its clients elsewhere would send them past the proxy.
        wire::for_each_variable(data, [&](std::string_view name, std::string_view) { is_ours = is_ours || name == "redirect_url"; });
        break;
      case wire::Tracker::schema:
        is_context_known_ = false;
        break;
      case wire::Tracker::state_change:
        is_context_known_ = false;
        has_changed_variables_ = true;
        is_ours = !owns_state_change_;
        break;
      case wire::Tracker::transaction_characteristics: {
        wire::Input in(data);
        wire_.transaction_characteristics = in.lenenc_string();
        is_one_shot_unknown_ = false;
        is_ours = !owns_transaction_info_;
        break;
      }
      case wire::Tracker::transaction_state: {
        wire::Input in(data);
        const auto text = in.lenenc_string();
        wire_.has_table_locks = text.size() == 8 && text[7] == 'L';
        is_ours = !owns_transaction_info_;
        break;
      }
      case wire::Tracker::gtids:
        break;
    }
    if (!is_ours) return keep(kind, data);
    is_changed = true;
  });
  return is_changed;
}

void Session::see_prepared(const Response& step) {
  const std::string_view payload = payload_of(step);
  wire::Input in(payload.substr(1));
  const std::uint32_t server_id = in.u32();
  in.u16();
  const std::uint16_t parameters = in.u16();
  const std::uint32_t id = statements_.add(server_id, parameters);
  Statement& statement = *statements_.find(id);
  statement.temporary_table = routing::temporary_table_of(statement.sql).value_or("");
  wire::overwrite(server_->channel().input().bytes().data() + response_run_.at + kStatementAt, id, 4);
  static_cast<void>(step);
}

// A client that keeps definitions expects to be told whether they follow; a server that was not asked to keep them does not say: they always do.
void Session::see_metadata(const Response& step) {
  if (!adds_metadata_flag_) return;
  changed_ = payload_of(step);
  changed_.push_back('\x01');
  replace_packet(step, changed_);
}

void Session::on_answered(bool is_error) {
  const auto& answered = responses_.answered();
  const auto command = answered.command;
  if (seizure_) end_kill(is_error);
  if (command == wire::Command::stmt_prepare) {
    if (is_error) return statements_.fail();
    if (Statement* statement = statements_.find(statements_.last())) statement->definitions = responses_.definitions();
  } else if (command == wire::Command::stmt_execute || command == wire::Command::stmt_fetch) {
    Statement* statement = statements_.find(answered.statement == wire::kLastPrepared ? statements_.last() : answered.statement);
    const bool is_open = !is_error && (status_ & wire::status::cursor_exists) != 0 && (status_ & wire::status::last_row_sent) == 0;
    if (statement != nullptr) statements_.set_cursor(*statement, is_open);
    if (statement != nullptr && !is_error && !statement->temporary_table.empty()) note_temporary_table(statement->temporary_table, statement->context);
  } else if (command == wire::Command::query && temporary_table_) {
    if (!is_error) note_temporary_table(*temporary_table_, context_id_);
    temporary_table_.reset();
  } else if (command == wire::Command::query && text_prepare_) {
    const bool is_known = context_id_ < contexts_.size();
    if (!is_error) text_statements_.ran(*text_prepare_, is_known ? std::string_view(text_prepare_sql_) : std::string_view(), is_known ? contexts_[context_id_] : routing::PrepareContext{});
    text_prepare_.reset();
  } else if (command == wire::Command::reset_connection && !is_error) {
    begin_reset();
  }
}

void Session::on_idle() {
  if (has_ended_ || is_exclusive_) return;
  if (seizures_ > 0) return;  // let_loose() comes here
  if (give_at_safe_point()) return;
  if (context_.gate.is_closed()) {
    hold();
  } else if (context_.options.moves_always && !must_go_on() && was_changed_) {
    begin_shuttle();
  }
  if (!is_exclusive_ && !client_->input().is_empty()) relay_requests();
}

// Neither side is read from while the other has too much unsent.
void Session::settle_flow() {
  const auto pace = [](Channel& reader, const Channel& writer) {
    const bool is_too_much = writer.unsent_bytes() > kUnsentBytesMax;
    if (is_too_much) reader.pause_reading();
    if (!is_too_much) reader.resume_reading();
  };
  pace(server_->channel(), *client_);
  // What the client has sent and is not relayed yet is held back at the network, once the buffer is full.
  const bool is_holding = client_->input().size() >= kHeldBytesMax && client_->is_satisfied();
  if (is_holding) client_->pause_reading();
  if (!is_holding) pace(*client_, server_->channel());
}

void Session::on_client_end() {
  if (!client_->input().is_empty() && is_served_ && !is_exclusive_) relay_requests();
  end(client_->end_reason());
}

// A connection that a held session was moved to and that nobody's statement has gone to yet is made again when it is needed.
void Session::on_server_end() {
  if (hold_ == Hold::held && previous_) {
    asio::post(client_->executor(), [self = shared_from_this()] {
      if (!self->has_ended_ && self->server_->channel().has_ended()) self->move_back();
    });
    return;
  }
  if (is_served_ && !is_exclusive_) relay_responses();
  end(server_->channel().end_reason());
}

}  // namespace godwit::proxy
