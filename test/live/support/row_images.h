// What the binlog says of rows, rendered, beside what the server itself selects of them.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "godwit/binlog/rows.h"
#include "godwit/binlog/stream.h"
#include "godwit/catalog/catalog.h"
#include "servers.h"

namespace godwit::test {

using RowText = std::vector<
    std::string>;  // one text per writable column: "NULL", "(absent)", or "=" and the value's bytes
using TableRows = std::vector<RowText>;

struct Changes {  // per table, in the order of the log
  std::map<std::string, TableRows> inserted;
  std::map<std::string, TableRows> before;  // of updates and deletes
  std::map<std::string, TableRows> after;   // of updates
  std::map<binlog::EventType, int> types;   // how many events of each were seen
  int json_diffs = 0;
};

db::Endpoint endpoint_of(const Server& server);
gtid::Position position_of(const Server& server);

// A writable column's index in the table map, which holds generated ones too.
struct ReadOptions {
  bool has_facts = true;  // false: the table map alone must do
  bool has_statements = false;
};
// Everything the server logged in the schema from a position to the end of its log.
Changes read_changes(const Server& server,
                     const gtid::Position& from,
                     const std::string& schema,
                     const ReadOptions& options = {});

// What the copy would select: catalog::transfers' expressions, under SET NAMES binary.
std::map<std::string, TableRows> selected(const Server& server,
                                          const std::string& schema,
                                          const std::vector<std::string>& tables);

TableRows sorted(TableRows rows);
std::string shown(const RowText& row);
// "" when both hold the same rows in whatever order, else the first difference.
std::string difference(const TableRows& logged, const TableRows& selected_rows);

}  // namespace godwit::test
