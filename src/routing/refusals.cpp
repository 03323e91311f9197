#include "pull.h"

namespace godwit::routing {
namespace {

void add_transaction(const SessionState& state, std::vector<Refusal>& all) {
  const std::string& text = state.wire.transaction_characteristics;
  if (text.starts_with("XA ")) {
    all.push_back({"xa", text, "a distributed transaction ends where it began"});
  } else if (state.wire.is_in_transaction) {
    all.push_back({"transaction", text, "a transaction is in progress"});
  } else if (!text.empty() && !text.starts_with("SET TRANSACTION ")) {
    all.push_back({"transaction", text, "a transaction is in progress"});
  }
}

// HANDLER and user locks are counted or hinted at only where the server shows no locks (census.h does).
void add_locks(const ServerFacts& facts, const SessionState& state, std::vector<Refusal>& all) {
  if (state.wire.has_table_locks) all.push_back({"table_lock", "", "LOCK TABLES is in force"});
  if (state.wire.holds_global_read_lock) all.push_back({"global_read_lock", "", "FLUSH TABLES WITH READ LOCK is in force"});
  if (facts.sees_locks()) return;
  if (counter(state, "com_ha_open") > counter(state, "com_ha_close")) all.push_back({"handler", "", "a HANDLER was opened and not closed"});
  for (const auto& lock : state.user_locks) all.push_back({"user_lock", lock, "the session holds the lock"});
  if (facts.routines_with_user_locks > 0) {
    all.push_back({"user_lock_unseen", "", "routines of the server call GET_LOCK, and the server does not show who holds which lock: INSTALL SONAME 'metadata_lock_info'"});
  }
  if (state.wire.may_hold_user_lock) all.push_back({"user_lock", "", "GET_LOCK was called, and the server does not show who holds which lock"});
}

void add_temporary_tables(const ServerFacts& facts, const SessionState& state, std::vector<Refusal>& all) {
  for (const auto& table : state.temporary_tables) all.push_back({"temporary_table", table, "the rows of a temporary table exist on the old server only"});
  if (!facts.is_mariadb() || state.are_temporary_tables_known) return;
  all.push_back({"temporary_table", "",
                 state.wire.has_flushed_status ? "FLUSH STATUS has cleared the counter of temporary tables"
                                               : "a procedure has created a temporary table, and may not have dropped it"});
}

// A PREPARE inside a procedure has a name that nobody saw, unless a DEALLOCATE inside followed it. MySQL lists them (census.h).
void add_text_statements(const ServerFacts& facts, const SessionState& state, std::vector<Refusal>& all) {
  if (!facts.is_mariadb()) return;
  const auto hidden = [](std::uint64_t counted, std::uint64_t seen) { return counted > seen ? counted - seen : 0; };
  const auto prepared = hidden(counter(state, "com_prepare_sql"), state.wire.text_prepares);
  const auto deallocated = hidden(counter(state, "com_dealloc_sql"), state.wire.text_deallocates);
  if (prepared > deallocated) all.push_back({"text_prepared_statement", "", "a procedure has prepared a statement whose text was not seen"});
}

}  // namespace

std::vector<Refusal> refusals(const ServerFacts& facts, const SessionState& state) {
  std::vector<Refusal> all = state.unread;
  add_transaction(state, all);
  add_locks(facts, state, all);
  add_temporary_tables(facts, state, all);
  add_text_statements(facts, state, all);
  return all;
}

}  // namespace godwit::routing
