// TABLE_MAP_EVENT's body. Private to binlog.
#pragma once

#include <memory>

#include "bytes.h"
#include "godwit/binlog/table.h"

namespace godwit::binlog {

// After the table id and the flags. Throws Error(event_corrupt).
std::shared_ptr<const TableMap> decode_table_map(std::uint64_t id, gtid::Flavour flavour, Bytes in);

}  // namespace godwit::binlog
