// MySQL's binary JSON, and the diffs that PARTIAL_UPDATE_ROWS holds instead of documents. Pure; any thread. Bytes that are
// no document are an Error(event_corrupt). Source: MySQL sql-common/json_binary.h, sql/json_diff.h.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace godwit::binlog {

// Appends the document as MySQL prints it.
void append_json(std::string& out, std::string_view document);

struct JsonDiff {
  // replace: JSON_REPLACE; insert: JSON_ARRAY_INSERT where the path ends in [n], else JSON_INSERT; remove: JSON_REMOVE.
  enum class Operation { replace, insert, remove };
  Operation operation = Operation::replace;
  std::string_view path;   // "$.a[3]"
  std::string_view value;  // a document for append_json; empty for remove
};

// The diffs of a cell in state json_diff, in the order in which they are to be applied.
std::vector<JsonDiff> decode_json_diffs(std::string_view bytes);

// Appends the whole new document, made of the old one and the diffs. Throws Error(event_corrupt) when a diff finds nothing at its path.
void append_json_after(std::string& out,
                       std::string_view document,
                       const std::vector<JsonDiff>& diffs);

}  // namespace godwit::binlog
