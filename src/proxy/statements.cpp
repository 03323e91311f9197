#include "statements.h"

#include <utility>

#include "godwit/wire/execute.h"

namespace godwit::proxy {

void Statements::begin(std::string sql, ContextId context, Text text) {
  if (!has_room(sql.size())) {
    text = Text::too_long;
    sql = {};
  }
  text_bytes_ += sql.size();
  preparing_.push_back({std::move(sql), context, text});
}

void Statements::fail() {
  if (preparing_.empty()) return;
  text_bytes_ -= preparing_.front().sql.size();
  preparing_.pop_front();
}

// Its text and its types are of no use without each other.
void Statements::give_up(Statement& statement) {
  text_bytes_ -= statement.sql.size() + statement.types.size();
  statement.sql = {};
  statement.types = {};
  if (std::exchange(statement.is_kept, false)) ++not_kept_;
}

void Statements::set_types(Statement& statement, std::string_view types) {
  if (!statement.is_kept || statement.types == types) return;
  if (types.size() > statement.types.size() && !has_room(types.size() - statement.types.size())) return give_up(statement);
  text_bytes_ += types.size() - statement.types.size();
  statement.types = types;
}

std::uint32_t Statements::add(std::uint32_t server_id, std::uint16_t parameters) {
  while (next_ == 0 || next_ == wire::kLastPrepared || all_.contains(next_)) ++next_;
  const std::uint32_t id = next_++;
  Statement& statement = all_[id];
  statement.server_id = server_id;
  statement.parameters = parameters;
  if (!preparing_.empty()) {
    statement.sql = std::move(preparing_.front().sql);
    statement.context = preparing_.front().context;
    if (preparing_.front().text == Text::too_long) give_up(statement);
    preparing_.pop_front();
  }
  last_ = id;
  return id;
}

void Statements::close(std::uint32_t client_id) {
  const auto found = all_.find(client_id);
  if (found == all_.end()) return;
  set_cursor(found->second, false);
  set_long_data(found->second, false);
  text_bytes_ -= found->second.sql.size() + found->second.types.size();
  if (!found->second.is_kept) --not_kept_;
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
