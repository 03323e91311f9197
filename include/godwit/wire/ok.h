// The packets that end a response: OK, EOF, ERR. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "godwit/wire/protocol.h"

namespace godwit::wire {

// Entries of the session-state block of an OK packet, by the numbers both flavours give them.
enum class Tracker : std::uint8_t { system_variables = 0, schema = 1, state_change = 2, gtids = 3, transaction_characteristics = 4, transaction_state = 5 };

struct Ok {
  std::uint8_t header = 0;  // 0x00; 0xFE where it ends rows
  std::uint64_t affected_rows = 0;
  std::uint64_t last_insert_id = 0;
  std::uint16_t status = 0;
  std::uint16_t warnings = 0;
  std::string_view info;
  std::string_view trackers;  // the block, without its length
};
// The views are into the payload.
std::optional<Ok> read_ok(std::string_view payload, bool has_session_track);
std::string write_ok(const Ok& ok, bool has_session_track);
void append_ok(std::string& out, const Ok& ok, bool has_session_track);

// Calls deed(number, data) for each tracker of a block; stops at what is none.
template <typename Deed>
void for_each_tracker(std::string_view block, Deed deed);

// Of a system-variables tracker: name and value, several of them.
template <typename Deed>
void for_each_variable(std::string_view data, Deed deed);

struct Eof {
  std::uint16_t warnings = 0;
  std::uint16_t status = 0;
};
std::optional<Eof> read_eof(std::string_view payload);

struct ServerError {
  std::uint16_t number = 0;
  std::string state;  // five characters
  std::string text;
};
std::optional<ServerError> read_error(std::string_view payload);
std::string write_error(const ServerError& error);

}  // namespace godwit::wire

#include "godwit/wire/bytes.h"

namespace godwit::wire {

template <typename Deed>
void for_each_tracker(std::string_view block, Deed deed) {
  Input in(block);
  while (in.left() > 0) {
    const std::uint8_t number = in.u8();
    const auto data = in.lenenc_string();
    if (!in.is_good()) return;
    deed(number, data);
  }
}

template <typename Deed>
void for_each_variable(std::string_view data, Deed deed) {
  Input in(data);
  while (in.left() > 0) {
    const auto name = in.lenenc_string();
    const auto value = in.lenenc_string();
    if (!in.is_good()) return;
    deed(name, value);
  }
}

}  // namespace godwit::wire
