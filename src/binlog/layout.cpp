// From a column's description to the way its bytes are read. Metadata per type: MySQL libs/mysql/binlog/event/rows_event.h.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "decimal.h"
#include "godwit/binlog/rows.h"
#include "godwit/util/error.h"
#include "godwit/util/text.h"

namespace godwit::binlog {
namespace {

constexpr std::uint32_t kBinaryCollation = 63;
constexpr std::array<std::uint8_t, 7> kFractionBytes{0, 1, 1, 2, 2, 3, 3};
// MariaDB's formats before MySQL 5.6's, for columns with a fraction: sql/field.cc, "hires".
constexpr std::array<std::uint8_t, 7> kHiresTimeBytes{3, 4, 4, 5, 5, 5, 6};
constexpr std::array<std::uint8_t, 7> kHiresDatetimeBytes{5, 6, 6, 7, 7, 7, 8};

bool is_between(std::uint32_t value, std::uint32_t first, std::uint32_t last) {
  return value >= first && value <= last;
}

// MariaDB: the NO PAD twin of a collation has its id + 1024.
std::uint32_t padding_twin(std::uint32_t collation) {
  constexpr std::uint32_t kNoPad = 1024;
  return is_between(collation, kNoPad, 2 * kNoPad - 1) ? collation - kNoPad : collation;
}

bool is_utf16le(std::uint32_t collation) {
  const std::uint32_t id = padding_twin(collation);
  return id == 56 || id == 62;
}

// The bytes of a blank in the collation's character set. Ids are the servers' own and never change.
unsigned blank_bytes_of(std::uint32_t collation) {
  const std::uint32_t id = padding_twin(collation);
  const bool is_ucs2 = id == 35 || id == 90 || is_between(id, 128, 151) || id == 159 ||
                       is_between(id, 640, 656) || is_between(id, 2560, 2815);
  const bool is_utf16 = is_between(id, 54, 56) || id == 62 || is_between(id, 101, 124) ||
                        is_between(id, 672, 688) || is_between(id, 2816, 3071);
  const bool is_utf32 = id == 60 || id == 61 || is_between(id, 160, 183) ||
                        is_between(id, 736, 752) || is_between(id, 3072, 3327);
  return is_utf32 ? 4 : is_ucs2 || is_utf16 ? 2 : 1;
}

unsigned blank_bytes_of(const std::string& charset) {
  if (charset == "utf32") return 4;
  return charset == "utf16" || charset == "utf16le" || charset == "ucs2" ? 2 : 1;
}

struct Request {
  const Column& column;
  const ColumnFacts* facts;  // nullptr: none
  bool is_mariadb;
  Unexplained unexplained;

  std::string data_type() const { return facts == nullptr ? std::string() : facts->data_type; }
};

ColumnLayout unreadable(std::string trouble) { return {.trouble = std::move(trouble)}; }

ColumnLayout fixed(ValueKind kind, std::size_t bytes, unsigned precision = 0, unsigned scale = 0) {
  return {.kind = kind,
          .width = Width::fixed,
          .bytes = static_cast<std::uint32_t>(bytes),
          .precision = static_cast<std::uint8_t>(precision),
          .scale = static_cast<std::uint8_t>(scale)};
}

ColumnLayout prefixed(ValueKind kind, unsigned prefix_bytes) {
  if (prefix_bytes < 1 || prefix_bytes > 4)
    return unreadable(fmt::format("a length of {} bytes", prefix_bytes));
  constexpr std::array<Width, 4> kWidths{
      Width::prefix1, Width::prefix2, Width::prefix3, Width::prefix4};
  return {.kind = kind, .width = kWidths[prefix_bytes - 1]};
}

unsigned prefix_of_length(unsigned length) { return length > 255 ? 2 : 1; }

ColumnLayout integer(const Request& it, std::size_t bytes) {
  std::optional<bool> is_unsigned = it.column.is_unsigned;
  if (!is_unsigned && it.facts != nullptr) is_unsigned = it.facts->is_unsigned;
  ColumnLayout layout = fixed(
      is_unsigned.value_or(false) ? ValueKind::unsigned_integer : ValueKind::signed_integer, bytes);
  if (is_unsigned) return layout;
  layout.is_signedness_guessed = true;
  if (it.unexplained == Unexplained::refuse) {
    layout.kind = ValueKind::unreadable;
    layout.trouble = "the binlog does not say whether the number is unsigned";
  }
  return layout;
}

ColumnLayout decimal(const Request& it) {
  const unsigned precision = it.column.meta >> 8U;
  const unsigned scale = it.column.meta & 255U;
  if (!is_decimal_form(precision, scale))
    return unreadable(fmt::format("decimal({},{})", precision, scale));
  return fixed(ValueKind::decimal, decimal_bytes(precision, scale), precision, scale);
}

ColumnLayout bit(const Request& it) {
  const unsigned bits = (it.column.meta >> 8U) * 8 + (it.column.meta & 255U);
  if (bits == 0 || bits > 64) return unreadable(fmt::format("bit({})", bits));
  return fixed(ValueKind::bit, (bits + 7) / 8);
}

ColumnLayout member(const Request& it) {
  if (it.column.meta == 0 || it.column.meta > 8)
    return unreadable(fmt::format("a member number of {} bytes", it.column.meta));
  return fixed(ValueKind::member_number, it.column.meta);
}

ColumnLayout temporal(const Request& it, ValueKind kind, unsigned whole_bytes) {
  const unsigned digits = it.column.meta;
  if (digits >= kFractionBytes.size())
    return unreadable(fmt::format("{} digits of a fraction", digits));
  return fixed(kind, whole_bytes + kFractionBytes[digits], digits);
}

// MariaDB logs two formats of each under one type: which it is, only the column's precision says.
struct OldTemporal {
  ValueKind whole;
  unsigned whole_bytes;
  ValueKind hires;
  unsigned hires_bytes;
};
ColumnLayout old_temporal(const Request& it, unsigned digits, const OldTemporal& form) {
  if (!it.is_mariadb) return fixed(form.whole, form.whole_bytes);
  if (it.facts == nullptr) {
    return unreadable(
        "a temporal in MariaDB's format before 10.1.2, whose precision the binlog does not say");
  }
  if (digits == 0) return fixed(form.whole, form.whole_bytes);
  return fixed(form.hires, form.hires_bytes, digits);
}

ColumnLayout blob_or_text(const Request& it) { return prefixed(ValueKind::bytes, it.column.meta); }

ColumnLayout special_string(const Request& it, ValueKind kind, unsigned bytes) {
  if (it.column.meta != bytes)
    return unreadable(fmt::format("{} of {} bytes", it.data_type(), it.column.meta));
  ColumnLayout layout = prefixed(kind, 1);
  layout.bytes = bytes;
  return layout;
}

// CHAR, BINARY, and MariaDB's types that travel as BINARY.
ColumnLayout string(const Request& it) {
  const std::string type = it.data_type();
  if (type == "uuid") return special_string(it, ValueKind::uuid, 16);
  if (type == "inet6") return special_string(it, ValueKind::inet6, 16);
  if (type == "inet4") return special_string(it, ValueKind::inet4, 4);
  ColumnLayout layout = prefixed(ValueKind::character, prefix_of_length(it.column.meta));
  layout.bytes = it.column.meta;
  if (!type.empty()) {
    if (type != "char" && type != "binary")
      return unreadable("a " + type + " that travels as CHAR or BINARY");
    if (type == "binary") layout.kind = ValueKind::padded_bytes;
    const std::string& charset = it.facts->charset;
    layout.pad_bytes = static_cast<std::uint8_t>(blank_bytes_of(charset));
    layout.is_pad_first = charset == "utf16le";
    return layout;
  }
  const bool may_be_special =
      it.is_mariadb && it.column.collation.value_or(kBinaryCollation) == kBinaryCollation;
  if (it.unexplained == Unexplained::refuse && (may_be_special || !it.column.collation)) {
    layout.kind = ValueKind::unreadable;
    layout.trouble =
        "the binlog does not say whether it is CHAR, BINARY or another type that travels as one";
    return layout;
  }
  if (!it.column.collation) {
    layout.kind = ValueKind::bytes;
    return layout;
  }
  if (*it.column.collation == kBinaryCollation) layout.kind = ValueKind::padded_bytes;
  layout.pad_bytes = static_cast<std::uint8_t>(blank_bytes_of(*it.column.collation));
  layout.is_pad_first = is_utf16le(*it.column.collation);
  return layout;
}

ColumnLayout layout_of(const Request& it) {
  const unsigned digits = it.facts == nullptr ? 0 : std::min(it.facts->fraction_digits, 6U);
  switch (it.column.type) {
    case ColumnType::tiny: return integer(it, 1);
    case ColumnType::short_int: return integer(it, 2);
    case ColumnType::int24: return integer(it, 3);
    case ColumnType::long_int: return integer(it, 4);
    case ColumnType::longlong: return integer(it, 8);
    case ColumnType::year: return fixed(ValueKind::year, 1);
    case ColumnType::float_number: return fixed(ValueKind::float_number, 4);
    case ColumnType::double_number: return fixed(ValueKind::double_number, 8);
    case ColumnType::newdecimal: return decimal(it);
    case ColumnType::bit: return bit(it);
    case ColumnType::enumeration:
    case ColumnType::set: return member(it);
    case ColumnType::date:
    case ColumnType::newdate: return fixed(ValueKind::date, 3);
    case ColumnType::time2: return temporal(it, ValueKind::time, 3);
    case ColumnType::datetime2: return temporal(it, ValueKind::datetime, 5);
    case ColumnType::timestamp2: return temporal(it, ValueKind::timestamp, 4);
    case ColumnType::time:
      return old_temporal(
          it, digits, {ValueKind::time_old, 3, ValueKind::time_hires, kHiresTimeBytes[digits]});
    case ColumnType::datetime:
      return old_temporal(
          it,
          digits,
          {ValueKind::datetime_old, 8, ValueKind::datetime_hires, kHiresDatetimeBytes[digits]});
    case ColumnType::timestamp:
      return old_temporal(
          it,
          digits,
          {ValueKind::timestamp_old, 4, ValueKind::timestamp_hires, 4U + kFractionBytes[digits]});
    case ColumnType::string: return string(it);
    case ColumnType::varchar:
    case ColumnType::var_string:
      return prefixed(ValueKind::bytes, prefix_of_length(it.column.meta));
    case ColumnType::tiny_blob:
    case ColumnType::medium_blob:
    case ColumnType::long_blob:
    case ColumnType::blob:
    case ColumnType::geometry:
    case ColumnType::vector: return blob_or_text(it);
    case ColumnType::json: return prefixed(ValueKind::json, it.column.meta);
    case ColumnType::varchar_compressed:
      return prefixed(ValueKind::compressed, prefix_of_length(it.column.meta));
    case ColumnType::blob_compressed: return prefixed(ValueKind::compressed, it.column.meta);
    case ColumnType::decimal_old:
    case ColumnType::null:
    case ColumnType::typed_array: break;
  }
  return unreadable(fmt::format("a column of type {}", type_name(it.column.type)));
}

}  // namespace

ColumnFacts column_facts(std::string_view data_type,
                         std::string_view column_type,
                         std::string_view charset) {
  ColumnFacts facts{.data_type = std::string(data_type), .charset = std::string(charset)};
  facts.is_unsigned = column_type.find("unsigned") != std::string_view::npos;
  const bool has_fraction =
      data_type == "time" || data_type == "datetime" || data_type == "timestamp";
  const auto open = column_type.find('(');
  if (has_fraction && open != std::string_view::npos) {
    const auto close = column_type.find(')', open);
    facts.fraction_digits = static_cast<unsigned>(
        parse_u64(column_type.substr(open + 1, close - open - 1)).value_or(0));
  }
  return facts;
}

Layout make_layout(std::shared_ptr<const TableMap> table,
                   std::span<const ColumnFacts> facts,
                   Unexplained unexplained) {
  GODWIT_CHECK(facts.empty() || facts.size() == table->columns.size());
  Layout layout;
  const bool is_mariadb = table->flavour == gtid::Flavour::mariadb;
  layout.columns.reserve(table->columns.size());
  for (std::size_t i = 0; i < table->columns.size(); ++i) {
    const Column& column = table->columns[i];
    const bool has_facts = !facts.empty() && !facts[i].data_type.empty();
    layout.columns.push_back(
        layout_of({column, has_facts ? &facts[i] : nullptr, is_mariadb, unexplained}));
    if (column.type == ColumnType::json) ++layout.json_columns;
  }
  for (auto& column : layout.columns) column.is_zero_unsigned = !table->has_negative_zero;
  layout.table = std::move(table);
  return layout;
}

}  // namespace godwit::binlog
