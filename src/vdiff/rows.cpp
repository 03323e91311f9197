#include "rows.h"

#include <cstring>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "godwit/util/error.h"

namespace godwit::vdiff {
namespace {

void append_value(std::string& text, std::string_view value) {
  const auto size = static_cast<std::uint32_t>(value.size());
  text.append(reinterpret_cast<const char*>(&size), sizeof size);
  text.append(value);
}

constexpr std::uint32_t kNull = 0xFFFF'FFFF;

template <typename Values>
Digest digest_values(const Values& values) {
  XXH3_state_t state;
  XXH3_128bits_reset(&state);
  for (const auto& value : values) {
    const std::uint32_t size = value ? static_cast<std::uint32_t>(value->size()) : kNull;
    XXH3_128bits_update(&state, &size, sizeof size);
    if (value) XXH3_128bits_update(&state, value->data(), value->size());
  }
  const XXH128_hash_t hash = XXH3_128bits_digest(&state);
  return {.high = hash.high64, .low = hash.low64};
}

template <typename Values>
std::string key_text(const TablePlan& plan, const Values& values) {
  std::string text;
  for (const auto& key : plan.key) append_value(text, values[key.column].value_or(typename Values::value_type::value_type{}));
  return text;
}

}  // namespace

bool RowReader::next() {
  const auto row = stream_.next();
  if (!row) return false;
  for (std::size_t i = 0; i < values_.size(); ++i) {
    const db::Value& value = (*row)[i];
    const Column& column = plan_.columns[i];
    if (value.is_null()) {
      values_[i].reset();
    } else if (column.normal == Normal::none) {
      values_[i] = value.view();
    } else {
      values_[i] = normalize(column, value.view(), rooms_[i]);
    }
  }
  for (std::size_t i = 0; i < shard_key_.size(); ++i) {
    const db::Value& value = (*row)[values_.size() + i];
    shard_key_[i] = value.is_null() ? std::nullopt : std::optional(value.view());
  }
  return true;
}

std::optional<std::size_t> shard_of(const TablePlan& plan, std::span<const std::optional<std::string_view>> shard_key) {
  try {
    return plan.route->shard_of(shard_key);
  } catch (const Error& error) {
    if (error.code() != Code::row_unplaced) throw;
    return std::nullopt;
  }
}

std::string RowReader::key() const { return key_text(plan_, values_); }
Digest RowReader::digest() const { return digest_values(values_); }

RowPair::Values RowReader::values() const {
  RowPair::Values result;
  for (const auto& value : values_) result.push_back(value ? std::optional<std::string>(*value) : std::nullopt);
  return result;
}

std::string join_key(const TablePlan& plan, const RowPair::Values& row) { return key_text(plan, row); }

std::string join_bound(const Bound& bound) {
  std::string text;
  for (const auto& value : bound) append_value(text, value);
  return text;
}

Bound split_key(const std::string& text) {
  Bound bound;
  for (std::size_t at = 0; at < text.size();) {
    std::uint32_t size = 0;
    std::memcpy(&size, text.data() + at, sizeof size);
    bound.push_back(text.substr(at + sizeof size, size));
    at += sizeof size + size;
  }
  return bound;
}

Digest digest_of(const RowPair::Values& row) { return digest_values(row); }

}  // namespace godwit::vdiff
