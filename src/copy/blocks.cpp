#include "blocks.h"

#include <utility>

namespace godwit::copy {
namespace {

std::size_t bytes_of(db::Row row) {
  std::size_t bytes = 0;
  for (const auto& value : row) bytes += value.size;
  return bytes;
}

bool can_load(const TableTask& task, const Means& means) { return means.can_load && (means.can_load_counting || !task.is_counting); }

}  // namespace

RowForm row_form(const TableTask& task, const Means& means) {
  const bool has_values = !task.transfers.empty();
  if (means.can_bulk && has_values && !task.overwrites) return RowForm::bulk;
  return can_load(task, means) ? RowForm::load : RowForm::values;
}

Blocks::Blocks(const TableTask& task, const Means& means, std::function<void(Block)> take)
    : means_(means), can_load_(can_load(task, means)), form_(row_form(task, means)), values_(task.transfers), take_(std::move(take)) {
  for (std::size_t i = 0; i < task.transfers.size(); ++i) {
    if (task.transfers[i].does_zero_warn) zero_columns_.push_back(i);
  }
}

// A row that is sent whole is held several times over, here and in the library, and must fit a packet.
RowForm Blocks::form_of(db::Row row) const {
  const bool is_long = can_load_ && form_ == RowForm::bulk && bytes_of(row) > means_.row_bytes_max;
  return is_long ? RowForm::load : form_;
}

void Blocks::add(db::Row row) {
  const RowForm form = form_of(row);
  if (form != block_.form) finish();
  block_.form = form;
  append(row);
  for (const std::size_t column : zero_columns_) block_.zero_members += row[column].view() == "0" ? 1U : 0U;
  if (block_.data.size() >= means_.block_bytes) give();
}

void Blocks::append(db::Row row) {
  std::string& data = block_.data;
  switch (block_.form) {
    case RowForm::bulk:
      append_bulk_row(data, row);
      return;
    case RowForm::load:
      if (bytes_of(row) > means_.block_bytes) {
        append_long_load_row(data, row, means_.block_bytes, [this] { give(); });
      } else {
        append_load_row(data, row);
      }
      return;
    case RowForm::values:
      if (!data.empty()) data.push_back(',');
      values_.append_row(data, row);
      return;
  }
}

void Blocks::finish() {
  if (!block_.data.empty()) give();
}

void Blocks::give() {
  const RowForm form = block_.form;
  take_(std::exchange(block_, Block{.form = form, .data = {}}));
  block_.data.reserve(means_.block_bytes + means_.block_bytes / 8);
}

}  // namespace godwit::copy
