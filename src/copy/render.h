// Rows as the packet of a bulk insert, as LOAD DATA text or as VALUES lists, and the statements that take them. One thread. Private to copy.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "godwit/catalog/ddl.h"
#include "godwit/copy/copier.h"
#include "godwit/db/connection.h"

namespace godwit::copy {

// As db::BulkInsert::execute() takes them.
void append_bulk_row(std::string& out, db::Row row);
// Tab-separated, \N for NULL; backslash, tab, newline and NUL escaped by a backslash; everything else as it is.
void append_load_row(std::string& out, db::Row row);
// The same for a row that is longer than what may be held at a time: `take` empties `out` whenever it holds slice_bytes.
void append_long_load_row(std::string& out, db::Row row, std::size_t slice_bytes, const std::function<void()>& take);

// ('…',NULL,…), with each transfer's set_expression around its literal.
class ValuesRenderer {
 public:
  explicit ValuesRenderer(const std::vector<catalog::Transfer>& transfers);
  void append_row(std::string& out, db::Row row) const;

 private:
  struct Around {
    std::string before;
    std::string after;
    bool is_repeated = false;  // {v} occurs more than once: rendered by replacing
    std::string expression;
  };
  std::vector<Around> around_;
};

std::string select_statement(const TableTask& task, const KeyRange& range, std::uint64_t limit_rows);
std::string bulk_statement(const TableTask& task);
std::string load_statement(const TableTask& task);
std::string insert_statement_head(const TableTask& task);

}  // namespace godwit::copy
