// The sidecar's tables by name, and their rows as structs. Private to state.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "godwit/db/connection.h"
#include "godwit/sql/quote.h"
#include "godwit/state/sidecar.h"

namespace godwit::state {

inline std::string name(std::string_view table) { return sql::quote_table(kSidecarSchema, table); }

// Each row as row_of(rows, its number) makes it.
template <typename Row>
std::vector<Row> rows_of(const db::Rows& rows, Row (*row_of)(const db::Rows&, std::size_t)) {
  std::vector<Row> result;
  result.reserve(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) result.push_back(row_of(rows, i));
  return result;
}

// All that is recorded of the comparisons that `condition` selects in the table vdiff. Within a transaction.
void forget_vdiffs(db::Connection& target, const std::string& condition);

}  // namespace godwit::state
