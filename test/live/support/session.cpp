#include "live/support/session.h"

#include <algorithm>
#include <cstdio>
#include <stdexcept>

namespace godwit::test {
namespace {

bool is_about_text_statements(const std::string& sql) {
  return routing::hints_of(sql).has(routing::Hint::prepares_text);
}

void append(std::vector<routing::Refusal>& all, const std::vector<routing::Refusal>& more) { all.insert(all.end(), more.begin(), more.end()); }

// As the proxy runs them: a refused step is tried in parts, an optional one may stay refused.
void run_steps(Session& session, const std::vector<routing::Step>& steps, std::vector<routing::Refusal>& refusals) {
  for (const auto& step : steps) {
    const auto result = session.run(step.statement);
    if (!result.is_error()) continue;
    if (!step.instead.empty()) {
      run_steps(session, step.instead, refusals);
    } else if (!step.is_optional) {
      refusals.push_back({"target_refuses", step.object, result.error});
    }
  }
}

// The census that MySQL needs: what plain accounts may not read.
void add_census(Session& admin, const routing::ServerFacts& facts, Session& old, const routing::SessionState& state, std::vector<routing::Refusal>& refusals) {
  std::vector<routing::HeldLock> locks;
  std::uint64_t temporary_tables = 0;
  if (const auto sql = routing::locks_statement(facts)) locks = routing::read_locks(facts, admin.run(*sql))[old.id()];
  if (const auto sql = routing::temporary_tables_statement(facts)) temporary_tables = routing::read_temporary_tables(admin.run(*sql))[old.id()];
  append(refusals, routing::census_refusals(state, locks, temporary_tables));
  if (const auto sql = routing::named_statements_statement(facts)) {
    old.text_statements().complete(routing::read_named_statements(admin.run(*sql))[old.id()]);
  }
}

}  // namespace

Session::Session(const Server& server, const std::string& user, const std::string& schema) : handle_(mysql_init(nullptr)) {
  mysql_options(handle_.get(), MYSQL_SET_CHARSET_NAME, "utf8mb4");
  const my_bool enforce = 1;
  const my_bool verify = 0;
  mysql_ssl_set(handle_.get(), nullptr, nullptr, nullptr, nullptr, nullptr);
  mysql_options(handle_.get(), MYSQL_OPT_SSL_ENFORCE, &enforce);
  mysql_options(handle_.get(), MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
  const auto port = static_cast<unsigned>(server.port());
  if (mysql_real_connect(handle_.get(), "127.0.0.1", user.c_str(), user.c_str(), schema.empty() ? nullptr : schema.c_str(), port, nullptr, 0) == nullptr) {
    throw std::runtime_error(mysql_error(handle_.get()));
  }
  execute("SET session_track_transaction_info = 'CHARACTERISTICS'");
}

routing::Result Session::failed() const {
  return {.server_errno = mysql_errno(handle_.get()), .sqlstate = mysql_sqlstate(handle_.get()), .error = mysql_error(handle_.get())};
}

// What the packets said: trackers keep their last word until another comes.
void Session::track() {
  const char* data = nullptr;
  std::size_t size = 0;
  if (mysql_session_track_get_first(handle_.get(), SESSION_TRACK_TRANSACTION_CHARACTERISTICS, &data, &size) == 0) wire_.transaction_characteristics.assign(data, size);
  if (mysql_session_track_get_first(handle_.get(), SESSION_TRACK_TRANSACTION_STATE, &data, &size) == 0) wire_.has_table_locks = size == 8 && data[7] == 'L';
  unsigned status = 0;
  mariadb_get_infov(handle_.get(), MARIADB_CONNECTION_SERVER_STATUS, &status);
  wire_.is_in_transaction = (status & SERVER_STATUS_IN_TRANS) != 0;
  wire_.warnings = mysql_warning_count(handle_.get());
}

void Session::note_text(const std::string& sql) {
  const auto hints = routing::hints_of(sql);
  if (hints.has(routing::Hint::may_take_user_lock)) user_locks_.saw(sql);
  wire_.may_hold_user_lock = user_locks_.has_unknown();
  wire_.user_lock_names = user_locks_.names();
  if (hints.has(routing::Hint::flushes_status)) wire_.has_flushed_status = true;
  if (hints.has(routing::Hint::flushes_with_read_lock)) wire_.holds_global_read_lock = true;
  if (hints.has(routing::Hint::unlocks_tables)) wire_.holds_global_read_lock = false;
  if (const auto table = routing::temporary_table_of(sql)) {
    wire_.temporary_tables.push_back(*table);
    ++wire_.temporary_creates;
  }
  if (!is_about_text_statements(sql)) return;
  const auto prepare = routing::text_prepare_of(sql);
  if (!prepare) return;
  const auto word = [&](const std::string& expression) {
    routing::Result result = run("SELECT " + expression);
    return result.rows.scalar();
  };
  const routing::PrepareContext context{.schema = word("DATABASE()"),
                                        .sql_mode = word("@@sql_mode"),
                                        .character_set_client = word("@@character_set_client"),
                                        .character_set_connection = word("@@character_set_connection"),
                                        .collation_connection = word("@@collation_connection")};
  text_statements_.ran(*prepare, sql, context);
  wire_.text_prepares = text_statements_.prepares();
  wire_.text_deallocates = text_statements_.deallocates();
}

routing::Result Session::run(const std::string& sql) {
  wire_.row_count = -1;
  if (mysql_real_query(handle_.get(), sql.data(), sql.size()) != 0) return failed();
  routing::Result first;
  for (bool is_first = true;; is_first = false) {
    MYSQL_RES* result = mysql_store_result(handle_.get());
    if (result == nullptr && mysql_field_count(handle_.get()) != 0) return failed();
    wire_.row_count = result == nullptr ? static_cast<std::int64_t>(mysql_affected_rows(handle_.get())) : -1;
    while (result != nullptr) {
      MYSQL_ROW row = mysql_fetch_row(result);
      if (row == nullptr) break;
      const unsigned long* lengths = mysql_fetch_lengths(result);
      std::vector<db::Rows::Cell> cells(mysql_num_fields(result));
      for (unsigned i = 0; i < cells.size(); ++i) {
        if (row[i] != nullptr) cells[i] = std::string(row[i], lengths[i]);
      }
      if (is_first) first.rows.rows.push_back(std::move(cells));
    }
    for (unsigned i = 0; result != nullptr && is_first && i < mysql_num_fields(result); ++i) first.rows.columns.emplace_back(mysql_fetch_field_direct(result, i)->name);
    if (result != nullptr) mysql_free_result(result);
    track();
    if (mysql_next_result(handle_.get()) != 0) return first;
  }
}

void Session::execute(const std::string& sql) {
  const auto result = run(sql);
  if (result.is_error()) throw std::runtime_error(result.error + " in: " + sql.substr(0, 300));
  const auto wire = wire_;
  note_text(sql);
  wire_.row_count = wire.row_count;
  wire_.warnings = wire.warnings;
}

std::string Session::ask(const std::string& sql) {
  const auto result = run(sql);
  if (result.is_error()) return std::to_string(result.server_errno) + " " + result.error;
  std::string text;
  for (const auto& row : result.rows.rows) {
    if (!text.empty()) text += "\n";
    for (std::size_t i = 0; i < row.size(); ++i) text += (i == 0 ? "" : "|") + row[i].value_or("NULL");
  }
  return text;
}

void Session::reset() {
  if (mysql_reset_connection(handle_.get()) != 0) throw std::runtime_error(mysql_error(handle_.get()));
  wire_ = {};
  text_statements_.clear();
  user_locks_.clear();
  execute("SET session_track_transaction_info = 'CHARACTERISTICS'");
}

routing::SessionState Session::pull(const routing::ServerFacts& facts, Session& admin, const routing::SessionState* full) {
  const routing::WireState wire = wire_;
  routing::PullOptions options{.is_light = full != nullptr};
  if (const auto sql = routing::user_variables_statement(facts)) options.user_variables = routing::read_user_variables(admin.run(*sql))[id()];
  std::vector<routing::Result> results;
  for (const auto& sql : routing::pull_statements(facts, options)) results.push_back(run(sql));
  auto state = routing::read_state(facts, options, wire, results);
  if (full != nullptr) state = routing::merge(facts, *full, std::move(state));
  results.clear();
  for (const auto& sql : routing::follow_up_statements(facts, state)) results.push_back(run(sql));
  routing::read_follow_up(facts, results, state);
  state.wire.transaction_characteristics = wire_.transaction_characteristics;
  return state;
}

routing::ServerFacts facts_of(Session& admin, const Server& server) {
  std::vector<routing::Result> results;
  const auto flavour = server.is_mariadb() ? routing::Flavour::mariadb : routing::Flavour::mysql;
  for (const auto& sql : routing::facts_statements(flavour)) results.push_back(admin.run(sql));
  db::Version version;
  const std::string text = admin.ask("SELECT VERSION()");
  if (std::sscanf(text.c_str(), "%u.%u.%u", &version.major, &version.minor, &version.patch) < 2) throw std::runtime_error("no version in " + text);
  return routing::read_facts(flavour, version, results);
}

std::string Move::refused() const {
  std::string text;
  for (const auto& refusal : refusals) text += (text.empty() ? "" : "; ") + refusal.reason + " " + refusal.object;
  return text;
}

Move move_session(Session& old, Session& from_admin, const Server& from, Session& to_admin, const Server& to, const std::string& user, const std::string& schema, const routing::ReplayOptions& options) {
  const auto from_facts = facts_of(from_admin, from);
  const auto to_facts = facts_of(to_admin, to);
  Move move;
  move.state = old.pull(from_facts, from_admin);
  move.refusals = routing::refusals(from_facts, move.state);
  add_census(from_admin, from_facts, old, move.state, move.refusals);
  if (!move.refusals.empty()) return move;
  auto fresh = std::make_unique<Session>(to, user, schema);
  auto found = fresh->pull(to_facts, to_admin);
  const auto texts = routing::plan_text_statements(old.text_statements().all(), from_facts, to_facts, options);
  if (!texts.steps.empty()) found = routing::after_context(found);
  const auto replay = routing::plan_replay(move.state, found, from_facts, to_facts, options);
  append(move.refusals, texts.refusals);
  append(move.refusals, replay.refusals);
  if (!move.refusals.empty()) return move;
  run_steps(*fresh, texts.steps, move.refusals);
  run_steps(*fresh, replay.steps, move.refusals);
  if (!move.refusals.empty()) return move;
  move.differences = routing::compare(move.state, fresh->pull(to_facts, to_admin), from_facts, to_facts, options);
  move.collations_before = routing::collations_before(move.state, from_facts, to_facts, options);
  move.session = std::move(fresh);
  return move;
}

}  // namespace godwit::test
