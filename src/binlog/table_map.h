// TABLE_MAP_EVENT's body. Private to binlog.
#pragma once

#include <memory>

#include "bytes.h"
#include "godwit/binlog/table.h"

namespace godwit::binlog {

// `known` holds what was read before or comes from elsewhere; `in` is behind the flags. Throws Error(event_corrupt).
std::shared_ptr<const TableMap> decode_table_map(TableMap known, Bytes in);

}  // namespace godwit::binlog
