#include "sqlite.h"

#include <fmt/format.h>

#include "godwit/util/error.h"

namespace godwit::state {
namespace {

struct Finalize {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};

Code code_of(int result) {
  switch (result & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Code::state_busy;
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_IOERR:
    case SQLITE_FULL:
      return Code::state_unreadable;
    default:
      return Code::state_failed;
  }
}

void bind(sqlite3_stmt* statement, int index, const SqlValue& value) {
  if (const auto* number = std::get_if<std::int64_t>(&value)) {
    sqlite3_bind_int64(statement, index, *number);
  } else {
    const auto& text = std::get<std::string>(value);
    sqlite3_bind_text64(statement, index, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  }
}

std::vector<std::string> row_of(sqlite3_stmt* statement) {
  std::vector<std::string> row;
  for (int i = 0; i < sqlite3_column_count(statement); ++i) {
    const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement, i));
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement, i));
    row.emplace_back(bytes == nullptr ? "" : std::string(bytes, size));
  }
  return row;
}

}  // namespace

Sqlite::Sqlite(const std::string& path) : Sqlite(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE) {}

Sqlite Sqlite::open_to_read(const std::string& path) { return {path, SQLITE_OPEN_READONLY}; }

Sqlite::Sqlite(const std::string& path, int flags) : path_(path) {
  sqlite3* handle = nullptr;
  const int result = sqlite3_open_v2(path.c_str(), &handle, flags | SQLITE_OPEN_FULLMUTEX, nullptr);
  handle_.reset(handle);
  if (result != SQLITE_OK) fail("open");
  sqlite3_extended_result_codes(handle, 1);
  sqlite3_busy_timeout(handle, 5000);
}

std::vector<std::vector<std::string>> Sqlite::query(std::string_view sql, const std::vector<SqlValue>& values) {
  sqlite3_stmt* raw = nullptr;
  if (sqlite3_prepare_v2(handle_.get(), sql.data(), static_cast<int>(sql.size()), &raw, nullptr) != SQLITE_OK) fail(sql);
  const std::unique_ptr<sqlite3_stmt, Finalize> statement(raw);
  for (std::size_t i = 0; i < values.size(); ++i) bind(raw, static_cast<int>(i) + 1, values[i]);
  std::vector<std::vector<std::string>> rows;
  while (true) {
    const int result = sqlite3_step(raw);
    if (result == SQLITE_DONE) return rows;
    if (result != SQLITE_ROW) fail(sql);
    rows.push_back(row_of(raw));
  }
}

void Sqlite::script(const std::string& sql) {
  if (sqlite3_exec(handle_.get(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) fail(sql);
}

void Sqlite::fail(std::string_view what) const {
  const Code code = code_of(sqlite3_errcode(handle_.get()));  // without a handle the library says that memory ran out
  throw Error(code,
              {.object = path_,
               .cause = fmt::format("{} ({})", sqlite3_errmsg(handle_.get()), what.substr(0, 80)),
               .remedy = code == Code::state_busy ? "another godwit is writing: try again"
                                                  : "name a readable, writable SQLite file with --state FILE"});
}

}  // namespace godwit::state
