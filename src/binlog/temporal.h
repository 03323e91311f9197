// Temporals in text, from the forms of both servers (sql-common/my_time.cc of MySQL, sql/compat56.cc and sql/field.cc of MariaDB).
// A moment is printed as it is stored, valid or not. Private to binlog.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "godwit/binlog/rows.h"

namespace godwit::binlog {

// `bytes` is as wide as the layout says. Throws Error(event_corrupt) for parts that no moment has.
void append_temporal(std::string& out, std::string_view bytes, const ColumnLayout& column);

// The packed forms inside JSON, with six digits of a fraction.
void append_packed_time(std::string& out, std::int64_t packed);
void append_packed_datetime(std::string& out, std::int64_t packed);
void append_packed_date(std::string& out, std::int64_t packed);

}  // namespace godwit::binlog
