#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "godwit/binlog/event.h"

namespace godwit::binlog {
namespace {

struct Named {
  int number;
  const char* name;
};

// clang-format off
constexpr std::array<Named, 55> kEvents{{
    {0, "unknown"}, {1, "start_v3"}, {2, "query"}, {3, "stop"}, {4, "rotate"}, {5, "intvar"}, {6, "load"}, {7, "slave"},
    {8, "create_file"}, {9, "append_block"}, {10, "exec_load"}, {11, "delete_file"}, {12, "new_load"}, {13, "rand"}, {14, "user_var"},
    {15, "format_description"}, {16, "xid"}, {17, "begin_load_query"}, {18, "execute_load_query"}, {19, "table_map"},
    {20, "pre_ga_write_rows"}, {21, "pre_ga_update_rows"}, {22, "pre_ga_delete_rows"}, {23, "write_rows_v1"}, {24, "update_rows_v1"},
    {25, "delete_rows_v1"}, {26, "incident"}, {27, "heartbeat"}, {28, "ignorable"}, {29, "rows_query"}, {30, "write_rows"},
    {31, "update_rows"}, {32, "delete_rows"}, {33, "gtid"}, {34, "anonymous_gtid"}, {35, "previous_gtids"},
    {36, "transaction_context"}, {37, "view_change"}, {38, "xa_prepare"}, {39, "partial_update_rows"}, {40, "transaction_payload"},
    {41, "heartbeat_v2"}, {42, "gtid_tagged"}, {160, "annotate_rows"}, {161, "binlog_checkpoint"}, {162, "gtid_mariadb"},
    {163, "gtid_list"}, {164, "start_encryption"}, {165, "query_compressed"}, {166, "write_rows_compressed_v1"},
    {167, "update_rows_compressed_v1"}, {168, "delete_rows_compressed_v1"}, {169, "write_rows_compressed"}, {170, "update_rows_compressed"}, {171, "delete_rows_compressed"},
}};
// clang-format on

// clang-format off
constexpr std::array<Named, 35> kColumns{{
    {0, "decimal_old"}, {1, "tiny"}, {2, "short"}, {3, "long"}, {4, "float"}, {5, "double"}, {6, "null"}, {7, "timestamp"},
    {8, "longlong"}, {9, "int24"}, {10, "date"}, {11, "time"}, {12, "datetime"}, {13, "year"}, {14, "newdate"}, {15, "varchar"},
    {16, "bit"}, {17, "timestamp2"}, {18, "datetime2"}, {19, "time2"}, {20, "typed_array"}, {140, "blob_compressed"},
    {141, "varchar_compressed"}, {242, "vector"}, {245, "json"}, {246, "newdecimal"}, {247, "enum"}, {248, "set"}, {249, "tiny_blob"},
    {250, "medium_blob"}, {251, "long_blob"}, {252, "blob"}, {253, "var_string"}, {254, "string"}, {255, "geometry"},
}};
// clang-format on

template <typename Table>
const char* find(const Table& table, int number) {
  const auto found = std::find_if(
      table.begin(), table.end(), [&](const Named& named) { return named.number == number; });
  return found == table.end() ? nullptr : found->name;
}

}  // namespace

std::string type_name(EventType type) {
  const int number = static_cast<int>(type);
  if (const char* name = find(kEvents, number)) return name;
  return fmt::format("event {}", number);
}

std::string type_name(ColumnType type) {
  const int number = static_cast<int>(type);
  if (const char* name = find(kColumns, number)) return name;
  return fmt::format("type {}", number);
}

}  // namespace godwit::binlog
