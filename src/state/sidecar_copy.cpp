// What a copy keeps of itself in the sidecar: tables, chunks, statements for afterwards, accounts. Streams and the schema are in sidecar.cpp.
#include <fmt/format.h>

#include "godwit/sql/quote.h"
#include "godwit/state/sidecar.h"
#include "godwit/util/error.h"
#include "godwit/util/text.h"
#include "sidecar_tables.h"

namespace godwit::state {
namespace {

using sql::quote_string;

TableRow table_of(const db::Rows& rows, std::size_t row) {
  return {.source_schema = rows.text(row, "source_schema"),
          .source_table = rows.text(row, "source_table"),
          .target_schema = rows.text(row, "target_schema"),
          .target_table = rows.text(row, "target_table"),
          .state = rows.text(row, "state"),
          .definition_hash = rows.text(row, "definition_hash"),
          .rows = rows.u64(row, "rows"),
          .bytes = rows.u64(row, "bytes"),
          .copy_ms = rows.u64(row, "copy_ms"),
          .keys_ms = rows.u64(row, "keys_ms")};
}

ChunkRow chunk_of(const db::Rows& rows, std::size_t row) {
  return {.number = rows.u64(row, "number"),
          .lower = rows.text(row, "lower_bound"),
          .upper = rows.text(row, "upper_bound"),
          .state = rows.text(row, "state"),
          .is_planned = rows.u64(row, "is_planned") != 0,
          .rows = rows.u64(row, "rows"),
          .bytes = rows.u64(row, "bytes")};
}

PostCopyRow post_copy_of(const db::Rows& rows, std::size_t row) {
  return {.id = rows.u64(row, "id"),
          .kind = rows.text(row, "kind"),
          .schema_name = rows.text(row, "schema_name"),
          .object_name = rows.text(row, "object_name"),
          .sql = rows.text(row, "statement"),
          .sql_mode = rows.text(row, "sql_mode"),
          .creates = rows.text(row, "creates"),
          .state = rows.text(row, "state"),
          .error = rows.text(row, "error")};
}

AccountRow account_of(const db::Rows& rows, std::size_t row) {
  return {.user = rows.text(row, "user_name"), .host = rows.text(row, "host_name"), .is_role = rows.u64(row, "is_role") != 0};
}

std::string table_id(std::uint64_t stream, std::string_view schema, std::string_view table) {
  return fmt::format("(SELECT id FROM {} WHERE stream = {} AND source_schema = {} AND source_table = {})",
                     name("copy_table"),
                     stream,
                     quote_string(schema),
                     quote_string(table));
}

}  // namespace

// --- tables -------------------------------------------------------------------------------------------------------

std::vector<TableRow> Sidecar::tables(std::uint64_t stream) {
  return rows_of(db_.query(fmt::format("SELECT * FROM {} WHERE stream = {} ORDER BY id", name("copy_table"), stream)), table_of);
}

void Sidecar::add_table(std::uint64_t stream, const TableRow& table) {
  db_.execute(fmt::format(
      "INSERT IGNORE INTO {} (stream, source_schema, source_table, target_schema, target_table, state, definition_hash) "
      "VALUES ({}, {}, {}, {}, {}, {}, {})",
      name("copy_table"),
      stream,
      quote_string(table.source_schema),
      quote_string(table.source_table),
      quote_string(table.target_schema),
      quote_string(table.target_table),
      quote_string(table.state),
      quote_string(table.definition_hash)));
}

void Sidecar::set_table_state(std::uint64_t stream, const TableRow& table) {
  db_.execute(fmt::format(
      "UPDATE {} SET state = {}, `rows` = {}, bytes = {}, copy_ms = {}, keys_ms = {} "
      "WHERE stream = {} AND source_schema = {} AND source_table = {}",
      name("copy_table"),
      quote_string(table.state),
      table.rows,
      table.bytes,
      table.copy_ms,
      table.keys_ms,
      stream,
      quote_string(table.source_schema),
      quote_string(table.source_table)));
}

// --- chunks -------------------------------------------------------------------------------------------------------

bool Sidecar::lock_pending_chunk(std::uint64_t stream, std::string_view schema, std::string_view table,
                                 std::uint64_t number) {
  const db::Rows rows = db_.query(fmt::format("SELECT state FROM {} WHERE table_id = {} AND number = {} FOR UPDATE",
                                              name("copy_chunk"),
                                              table_id(stream, schema, table),
                                              number));
  return !rows.empty() && rows.text(0, "state") == "pending";
}

std::vector<ChunkRow> Sidecar::chunks(std::uint64_t stream, std::string_view schema, std::string_view table) {
  return rows_of(db_.query(fmt::format("SELECT * FROM {} WHERE table_id = {} ORDER BY number", name("copy_chunk"), table_id(stream, schema, table))), chunk_of);
}

void Sidecar::add_chunks(std::uint64_t stream, std::string_view schema, std::string_view table,
                         const std::vector<ChunkRow>& chunks) {
  if (chunks.empty()) return;
  std::vector<std::string> values;
  for (const auto& chunk : chunks) {
    values.push_back(fmt::format("({}, {}, {}, {}, {}, {}, {}, {})",
                                 "@godwit_table",
                                 chunk.number,
                                 quote_string(chunk.lower),
                                 quote_string(chunk.upper),
                                 quote_string(chunk.state),
                                 chunk.is_planned ? 1 : 0,
                                 chunk.rows,
                                 chunk.bytes));
  }
  db_.execute(fmt::format("SET @godwit_table = {}", table_id(stream, schema, table)));
  db_.execute(fmt::format("INSERT INTO {} (table_id, number, lower_bound, upper_bound, state, is_planned, `rows`, bytes) VALUES {}",
                          name("copy_chunk"),
                          join(values, ", ")));
}

void Sidecar::finish_chunk(std::uint64_t stream, std::string_view schema, std::string_view table, const ChunkRow& chunk) {
  const db::Executed done = db_.execute(fmt::format(
      "UPDATE {} SET state = 'done', upper_bound = {}, `rows` = {}, bytes = {} "
      "WHERE table_id = {} AND number = {} AND state = 'pending'",
      name("copy_chunk"),
      quote_string(chunk.upper),
      chunk.rows,
      chunk.bytes,
      table_id(stream, schema, table),
      chunk.number));
  if (done.affected_rows != 1) {
    throw Error(Code::internal_error,
                {.object = sql::quote_table(schema, table),
                 .cause = fmt::format("chunk {} is not pending", chunk.number),
                 .remedy = "keep _godwit.copy_chunk for a report"});
  }
}

void Sidecar::replace_chunks(std::uint64_t stream, std::string_view schema, std::string_view table,
                             const std::vector<ChunkRow>& chunks) {
  db_.execute(fmt::format("DELETE FROM {} WHERE table_id = {}", name("copy_chunk"), table_id(stream, schema, table)));
  add_chunks(stream, schema, table, chunks);
}

// --- post copy ----------------------------------------------------------------------------------------------------

std::vector<PostCopyRow> Sidecar::post_copy(std::uint64_t stream) {
  return rows_of(db_.query(fmt::format("SELECT * FROM {} WHERE stream = {} ORDER BY id", name("post_copy"), stream)), post_copy_of);
}

void Sidecar::add_post_copy(std::uint64_t stream, const PostCopyRow& row) {
  db_.execute(fmt::format(
      "INSERT IGNORE INTO {} (stream, kind, schema_name, object_name, statement, sql_mode, creates, state, error) "
      "VALUES ({}, {}, {}, {}, {}, {}, {}, {}, '')",
      name("post_copy"),
      stream,
      quote_string(row.kind),
      quote_string(row.schema_name),
      quote_string(row.object_name),
      quote_string(row.sql),
      quote_string(row.sql_mode),
      quote_string(row.creates),
      quote_string(row.state)));
}

void Sidecar::set_post_copy_state(std::uint64_t id, std::string_view state, std::string_view error) {
  db_.execute(fmt::format("UPDATE {} SET state = {}, error = {} WHERE id = {}",
                          name("post_copy"),
                          quote_string(state),
                          quote_string(error),
                          id));
}

// --- accounts -----------------------------------------------------------------------------------------------------

std::vector<AccountRow> Sidecar::accounts(std::uint64_t stream) {
  return rows_of(db_.query(fmt::format("SELECT * FROM {} WHERE stream = {} ORDER BY id", name("account"), stream)), account_of);
}

void Sidecar::add_account(std::uint64_t stream, const AccountRow& account) {
  db_.execute(fmt::format("INSERT IGNORE INTO {} (stream, user_name, host_name, is_role) VALUES ({}, {}, {}, {})",
                          name("account"),
                          stream,
                          quote_string(account.user),
                          quote_string(account.host),
                          account.is_role ? 1 : 0));
}

void Sidecar::forget_account(std::uint64_t stream, const AccountRow& account) {
  db_.execute(fmt::format("DELETE FROM {} WHERE stream = {} AND user_name = {} AND host_name = {}",
                          name("account"),
                          stream,
                          quote_string(account.user),
                          quote_string(account.host)));
}

}  // namespace godwit::state
