// The head of COM_STMT_EXECUTE and COM_STMT_BULK_EXECUTE: where the types of the parameters are, or would be. A client sends them once and may leave
// them out ever after; another server has never seen them. Pure. Sources: MySQL 9.7 "COM_STMT_EXECUTE", MariaDB "COM_STMT_BULK_EXECUTE".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "godwit/wire/protocol.h"

namespace godwit::wire {

inline constexpr std::uint32_t kLastPrepared = 0xFFFFFFFF;  // MariaDB: the statement prepared last
inline constexpr std::uint8_t kCursorFlags = 0x01 | 0x02 | 0x04;

struct ExecuteHead {
  std::uint32_t statement = 0;
  bool asks_for_cursor = false;
  bool has_types = false;
  std::size_t flag_at = 0;   // offset of the byte that says whether types follow; 0 where there are no parameters
  std::size_t types_at = 0;  // where they begin, or would
  std::size_t types_bytes = 0;
};
enum class HeadState { complete, needs_more, malformed };
struct ExecuteRead {
  HeadState state = HeadState::malformed;
  ExecuteHead head;
};
// `payload` begins with the command; it may be cut short behind what has come.
ExecuteRead read_execute(std::string_view payload, std::uint16_t parameters, Capabilities capabilities);
ExecuteRead read_bulk_execute(std::string_view payload, std::uint16_t parameters);

}  // namespace godwit::wire
