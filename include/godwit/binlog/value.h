// Values of row images as text, byte for byte what the copy's SELECT gives for them (catalog::transfers, under SET NAMES
// binary and time_zone +00:00), so that copied and replicated rows cannot differ. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

#include "godwit/binlog/rows.h"

namespace godwit::binlog {

// Appends the text of a cell in state value. Throws Error(value_unreadable) where the layout says so, Error(event_corrupt) for bytes
// that are no value of the type. A zero-filled column's leading zeros are not reproduced: the number is the same.
void append_value(std::string& out, const Cell& cell, const ColumnLayout& column);

// The shortest text that reads back as the same double, in the servers' form: "0.1", "1e15", "-0".
void append_double(std::string& out, double value);

}  // namespace godwit::binlog
