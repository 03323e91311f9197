#include "godwit/wire/protocol.h"

#include <array>

namespace godwit::wire {
namespace {

struct Row {
  Command command;
  std::string_view name;
  Reply reply;
};

constexpr Row kCommands[] = {
    {Command::quit, "COM_QUIT", Reply::none},
    {Command::init_db, "COM_INIT_DB", Reply::single},
    {Command::query, "COM_QUERY", Reply::text_result},
    {Command::field_list, "COM_FIELD_LIST", Reply::field_list},
    {Command::create_db, "COM_CREATE_DB", Reply::single},
    {Command::drop_db, "COM_DROP_DB", Reply::single},
    {Command::refresh, "COM_REFRESH", Reply::single},
    {Command::shutdown, "COM_SHUTDOWN", Reply::single},
    {Command::statistics, "COM_STATISTICS", Reply::text},
    {Command::process_info, "COM_PROCESS_INFO", Reply::text_result},
    {Command::process_kill, "COM_PROCESS_KILL", Reply::single},
    {Command::debug, "COM_DEBUG", Reply::single},
    {Command::ping, "COM_PING", Reply::single},
    {Command::change_user, "COM_CHANGE_USER", Reply::auth},
    {Command::binlog_dump, "COM_BINLOG_DUMP", Reply::refused},
    {Command::table_dump, "COM_TABLE_DUMP", Reply::refused},
    {Command::register_replica, "COM_REGISTER_SLAVE", Reply::refused},
    {Command::stmt_prepare, "COM_STMT_PREPARE", Reply::prepared},
    {Command::stmt_execute, "COM_STMT_EXECUTE", Reply::binary_result},
    {Command::stmt_send_long_data, "COM_STMT_SEND_LONG_DATA", Reply::none},
    {Command::stmt_close, "COM_STMT_CLOSE", Reply::none},
    {Command::stmt_reset, "COM_STMT_RESET", Reply::single},
    {Command::set_option, "COM_SET_OPTION", Reply::single},
    {Command::stmt_fetch, "COM_STMT_FETCH", Reply::rows},
    {Command::binlog_dump_gtid, "COM_BINLOG_DUMP_GTID", Reply::refused},
    {Command::reset_connection, "COM_RESET_CONNECTION", Reply::single},
    {Command::clone, "COM_CLONE", Reply::refused},
    {Command::subscribe_group_replication, "COM_SUBSCRIBE_GROUP_REPLICATION_STREAM", Reply::refused},
    {Command::stmt_bulk_execute, "COM_STMT_BULK_EXECUTE", Reply::binary_result},
};

struct Entry {
  std::string_view name = "an unknown command";
  Reply reply = Reply::refused;
};

constexpr std::array<Entry, 256> make_table() {
  std::array<Entry, 256> table{};
  for (const Row& row : kCommands) table[static_cast<std::uint8_t>(row.command)] = {row.name, row.reply};
  return table;
}

constexpr auto kTable = make_table();

}  // namespace

Reply reply_of(std::uint8_t command) { return kTable[command].reply; }
std::string_view name_of(std::uint8_t command) { return kTable[command].name; }

}  // namespace godwit::wire
