#include "statements.h"

#include "godwit/wire/execute.h"

namespace godwit::proxy {

std::uint32_t Statements::add(std::uint32_t server_id, std::uint16_t parameters) {
  while (next_ == 0 || next_ == wire::kLastPrepared || all_.contains(next_)) ++next_;
  const std::uint32_t id = next_++;
  Statement& statement = all_[id];
  statement.server_id = server_id;
  statement.parameters = parameters;
  if (!preparing_.empty()) {
    statement.sql = std::move(preparing_.front().sql);
    statement.context = preparing_.front().context;
    statement.is_text_kept = preparing_.front().text == Text::kept;
    if (!statement.is_text_kept) ++not_kept_;
    preparing_.pop_front();
  }
  text_bytes_ += statement.sql.size();
  last_ = id;
  return id;
}

void Statements::close(std::uint32_t client_id) {
  const auto found = all_.find(client_id);
  if (found == all_.end()) return;
  set_cursor(found->second, false);
  set_long_data(found->second, false);
  text_bytes_ -= found->second.sql.size();
  if (!found->second.is_text_kept) --not_kept_;
  all_.erase(found);
}

void Statements::clear() {
  all_.clear();
  preparing_.clear();
  cursors_ = long_data_ = text_bytes_ = not_kept_ = 0;
  last_ = 0;
}

Statement* Statements::find(std::uint32_t client_id) {
  const auto found = all_.find(client_id);
  return found == all_.end() ? nullptr : &found->second;
}

void Statements::set_cursor(Statement& statement, bool is_open) {
  if (statement.has_cursor == is_open) return;
  statement.has_cursor = is_open;
  cursors_ = is_open ? cursors_ + 1 : cursors_ - 1;
}

void Statements::set_long_data(Statement& statement, bool is_pending) {
  if (statement.has_long_data == is_pending) return;
  statement.has_long_data = is_pending;
  long_data_ = is_pending ? long_data_ + 1 : long_data_ - 1;
}

}  // namespace godwit::proxy
