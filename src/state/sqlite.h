// SQLite behind RAII: a database, and statements with bound values. One thread. Private to state.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace godwit::state {

using SqlValue = std::variant<std::int64_t, std::string>;

class Sqlite {
 public:
  explicit Sqlite(const std::string& path);
  // Of a file that is there, which this does not change.
  static Sqlite open_to_read(const std::string& path);

  // Rows as text, NULL as "".
  std::vector<std::vector<std::string>> query(std::string_view sql, const std::vector<SqlValue>& values = {});
  void execute(std::string_view sql, const std::vector<SqlValue>& values = {}) { query(sql, values); }
  void script(const std::string& sql);  // several statements, no values
  std::int64_t last_id() const { return sqlite3_last_insert_rowid(handle_.get()); }

  // All or nothing; the transaction takes the write lock at once, so that two writers queue instead of failing.
  template <typename Work>
  void transaction(Work work) {
    script("BEGIN IMMEDIATE");
    try {
      work();
      script("COMMIT");
    } catch (...) {
      sqlite3_exec(handle_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
      throw;
    }
  }

 private:
  Sqlite(const std::string& path, int flags);
  [[noreturn]] void fail(std::string_view what) const;

  struct Close {
    void operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }
  };
  std::string path_;
  std::unique_ptr<sqlite3, Close> handle_;
};

}  // namespace godwit::state
