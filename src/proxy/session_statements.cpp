// Prepared statements of the binary protocol: numbers are changed in place; an execution that has no types of its own, after a move, is given those that it had.
#include <algorithm>

#include "godwit/util/error.h"
#include "godwit/wire/bytes.h"
#include "session.h"
#include "worker.h"

namespace godwit::proxy {
namespace {

constexpr std::size_t kHeadBytesMax = 1 << 18;  // of an execution whose types must be found
constexpr std::size_t kKeptTextMax = 1 << 20;   // of one statement that is prepared
constexpr std::size_t kStatementAt = wire::kHeaderBytes + 1;

std::uint32_t number_at(const char* at) { return wire::Input({at, 4}).u32(); }

}  // namespace

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

}  // namespace godwit::proxy
