// Numbers of the client protocol: capabilities, status flags, commands. Sources: MySQL 9.7 "Client/Server Protocol", MariaDB Knowledge Base "Clients & Servers: protocol".
#pragma once

#include <cstdint>
#include <string_view>

namespace godwit::wire {

// Bits 0 to 31 as both flavours have them; from 32 on MariaDB's extended ones, which count only where `mysql` is not set.
using Capabilities = std::uint64_t;
namespace cap {
inline constexpr Capabilities mysql = 1U << 0;  // LONG_PASSWORD; a MariaDB leaves it out to say that bits 32 and above count
inline constexpr Capabilities found_rows = 1U << 1;
inline constexpr Capabilities long_flag = 1U << 2;
inline constexpr Capabilities connect_with_db = 1U << 3;
inline constexpr Capabilities no_schema = 1U << 4;
inline constexpr Capabilities compress = 1U << 5;
inline constexpr Capabilities odbc = 1U << 6;
inline constexpr Capabilities local_files = 1U << 7;
inline constexpr Capabilities ignore_space = 1U << 8;
inline constexpr Capabilities protocol_41 = 1U << 9;
inline constexpr Capabilities interactive = 1U << 10;
inline constexpr Capabilities ssl = 1U << 11;
inline constexpr Capabilities ignore_sigpipe = 1U << 12;
inline constexpr Capabilities transactions = 1U << 13;
inline constexpr Capabilities reserved = 1U << 14;
inline constexpr Capabilities secure_connection = 1U << 15;
inline constexpr Capabilities multi_statements = 1U << 16;
inline constexpr Capabilities multi_results = 1U << 17;
inline constexpr Capabilities ps_multi_results = 1U << 18;
inline constexpr Capabilities plugin_auth = 1U << 19;
inline constexpr Capabilities connect_attrs = 1U << 20;
inline constexpr Capabilities plugin_auth_lenenc = 1U << 21;
inline constexpr Capabilities expired_passwords = 1U << 22;
inline constexpr Capabilities session_track = 1U << 23;
inline constexpr Capabilities deprecate_eof = 1U << 24;
inline constexpr Capabilities optional_metadata = 1U << 25;
inline constexpr Capabilities zstd = 1U << 26;
inline constexpr Capabilities query_attributes = 1U << 27;
inline constexpr Capabilities progress = Capabilities{1} << 32;
inline constexpr Capabilities bulk_operations = Capabilities{1} << 34;
inline constexpr Capabilities extended_metadata = Capabilities{1} << 35;
inline constexpr Capabilities cache_metadata = Capabilities{1} << 36;
inline constexpr Capabilities bulk_unit_results = Capabilities{1} << 37;

// What a relay of packets understands. Left out: several factors of authentication, and what a bit of the future may mean.
inline constexpr Capabilities relayed =
    mysql | found_rows | long_flag | connect_with_db | no_schema | odbc | local_files | ignore_space | protocol_41 | interactive | ignore_sigpipe | transactions |
    reserved | secure_connection | multi_statements | multi_results | ps_multi_results | plugin_auth | connect_attrs | plugin_auth_lenenc | expired_passwords |
    session_track | deprecate_eof | optional_metadata | query_attributes | progress | bulk_operations | extended_metadata | cache_metadata | bulk_unit_results;
}  // namespace cap

namespace status {
inline constexpr std::uint16_t in_transaction = 0x0001;
inline constexpr std::uint16_t autocommit = 0x0002;
inline constexpr std::uint16_t more_results = 0x0008;
inline constexpr std::uint16_t cursor_exists = 0x0040;
inline constexpr std::uint16_t last_row_sent = 0x0080;
inline constexpr std::uint16_t no_backslash_escapes = 0x0200;
inline constexpr std::uint16_t out_parameters = 0x1000;
inline constexpr std::uint16_t session_state_changed = 0x4000;
}  // namespace status

enum class Command : std::uint8_t {
  quit = 0x01,
  init_db = 0x02,
  query = 0x03,
  field_list = 0x04,
  create_db = 0x05,
  drop_db = 0x06,
  refresh = 0x07,
  shutdown = 0x08,
  statistics = 0x09,
  process_info = 0x0A,
  process_kill = 0x0C,
  debug = 0x0D,
  ping = 0x0E,
  change_user = 0x11,
  binlog_dump = 0x12,
  table_dump = 0x13,
  register_replica = 0x15,
  stmt_prepare = 0x16,
  stmt_execute = 0x17,
  stmt_send_long_data = 0x18,
  stmt_close = 0x19,
  stmt_reset = 0x1A,
  set_option = 0x1B,
  stmt_fetch = 0x1C,
  binlog_dump_gtid = 0x1E,
  reset_connection = 0x1F,
  clone = 0x20,
  subscribe_group_replication = 0x21,
  stmt_bulk_execute = 0xFA,
};

// What the server answers to a command.
enum class Reply : std::uint8_t {
  none,           // nothing at all
  single,         // one packet: OK, EOF or ERR
  text_result,    // OK, ERR, a request for a local file, or result sets
  binary_result,  // the same, of a prepared statement
  rows,           // rows and their end, without definitions (fetch)
  prepared,
  field_list,
  text,  // one packet without any marker (statistics)
  auth,  // packets to and fro until OK or ERR
  refused,  // it is not relayed
};
Reply reply_of(std::uint8_t command);
std::string_view name_of(std::uint8_t command);

}  // namespace godwit::wire
