#include "godwit/binlog/rows.h"

#include <algorithm>

#include "bytes.h"
#include "godwit/util/error.h"

namespace godwit::binlog {

class RowReader::Cursor : public Bytes {
 public:
  using Bytes::Bytes;

  std::string_view value(const ColumnLayout& column) {
    switch (column.width) {
      case Width::fixed: return take(column.bytes);
      case Width::prefix1: return take(u8());
      case Width::prefix2: return take(u16());
      case Width::prefix3: return take(u24());
      case Width::prefix4: return take(u32());
      case Width::unknown: break;
    }
    throw Error(Code::value_unreadable,
                {.object = "a column",
                 .cause = column.trouble,
                 .remedy = "convert the column (ALTER TABLE … MODIFY), or leave the table out"});
  }
};

namespace {

std::size_t bits_set(std::string_view bitmap, std::size_t bits) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < bits; ++i) count += bit_at(bitmap, i) ? 1U : 0U;
  return count;
}

}  // namespace

RowReader::RowReader(const Layout& layout, const Rows& rows)
    : layout_(layout), event_(rows), rest_(rows.rows) {
  if (rows.column_count != layout.columns.size() && !rows.rows.empty())
    fail_corrupt("rows of another number of columns");
  if (rows.kind != RowsKind::insert) before_.resize(layout.columns.size());
  if (rows.kind != RowsKind::erase) after_.resize(layout.columns.size());
}

bool RowReader::next(Row& row) {
  if (rest_.empty()) return false;
  Cursor in(rest_);
  if (event_.kind != RowsKind::insert) read_image(in, event_.present_before, before_, false);
  if (event_.kind != RowsKind::erase)
    read_image(in, event_.present_after, after_, event_.is_partial);
  // A row of no columns takes no bytes: without this there would be no end of them.
  if (in.size() == rest_.size()) fail_corrupt("a row of no bytes");
  rest_ = in.rest();
  row = {.before = before_, .after = after_};
  return true;
}

// [options packed, partial: bitmap over the JSON columns] · null: bitmap over the columns present · their values
void RowReader::read_image(Cursor& in,
                           std::string_view present,
                           std::vector<Cell>& cells,
                           bool may_hold_diffs) const {
  constexpr std::uint64_t kPartialJson = 1;
  std::string_view partial;
  if (may_hold_diffs && (in.packed() & kPartialJson) != 0)
    partial = in.bitmap(layout_.json_columns);
  const std::size_t count = cells.size();
  const std::string_view nulls = in.bitmap(bits_set(present, count));
  std::size_t at = 0;
  std::size_t json_at = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const ColumnLayout& column = layout_.columns[i];
    const bool is_json = !partial.empty() && layout_.table->columns[i].type == ColumnType::json;
    const bool is_diff = is_json && bit_at(partial, json_at++);
    if (!bit_at(present, i)) {
      cells[i] = {};
      continue;
    }
    if (bit_at(nulls, at++)) {
      cells[i] = {.state = Cell::State::null, .bytes = {}};
      continue;
    }
    cells[i] = {.state = is_diff ? Cell::State::json_diff : Cell::State::value,
                .bytes = in.value(column)};
  }
}

}  // namespace godwit::binlog
