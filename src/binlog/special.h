// MariaDB's UUID, INET6 and INET4, which travel as BINARY without its trailing zeros. Private to binlog.
#pragma once

#include <string>
#include <string_view>

namespace godwit::binlog {

void append_uuid_record(std::string& out, std::string_view bytes);
void append_inet6(std::string& out, std::string_view bytes);
void append_inet4(std::string& out, std::string_view bytes);

}  // namespace godwit::binlog
