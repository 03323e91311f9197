// What a statement's text gives away of the session's state where no server tells of it: hints, noted before it is sent on.
#include <algorithm>
#include <cctype>

#include "godwit/sql/quote.h"
#include "godwit/util/text.h"
#include "session.h"
#include "text_result.h"
#include "worker.h"

namespace godwit::proxy {
namespace {

constexpr std::uint32_t kSniffBytes = 1024;  // of a text that are looked at

}  // namespace

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

}  // namespace godwit::proxy
