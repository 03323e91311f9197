// MySQL's binary JSON (sql-common/json_binary.h): a type byte, then
//   object = count size { key offset, key length u16 } { type u8, offset or value } keys values
//   array  = count size { type u8, offset or value } values
// where counts, sizes and offsets have two bytes in small and four in large containers, offsets count from the container's
// own beginning, and values that fit stand in place of their offset.
#include "godwit/binlog/json.h"

#include <algorithm>

#include "bytes.h"
#include "decimal.h"
#include "digits.h"
#include "godwit/binlog/table.h"
#include "godwit/binlog/value.h"
#include "json_node.h"
#include "temporal.h"

namespace godwit::binlog {
namespace {

constexpr unsigned kDepthMax = 100;  // of the server
// No document prints longer than this for its size; one whose parts are used twice over could, without end.
constexpr std::size_t kTextPerByteMax = 16;
constexpr std::size_t kTextBytesMin = 4096;

// clang-format off
enum class Kind : std::uint8_t {
  small_object = 0, large_object = 1, small_array = 2, large_array = 3, literal = 4, int16 = 5, uint16 = 6, int32 = 7, uint32 = 8,
  int64 = 9, uint64 = 10, double_number = 11, string = 12, opaque = 15
};
// clang-format on

// Lengths of strings: seven bits a byte, the lowest first.
std::size_t variable_length(Bytes& in) {
  constexpr int kBytesMax = 5;
  std::uint64_t value = 0;
  for (int i = 0; i < kBytesMax; ++i) {
    const std::uint8_t byte = in.u8();
    value |= static_cast<std::uint64_t>(byte & 0x7fU) << (7 * i);
    if ((byte & 0x80U) == 0) return static_cast<std::size_t>(value);
  }
  fail_corrupt("a JSON string whose length does not end");
}

// RFC 4648, with a line break after 76 characters, as the server's base64_encode makes them; it is quoted then, as in any string.
void append_base64(std::string& out, std::string_view bytes) {
  constexpr std::size_t kLineCharacters = 76;
  static constexpr char kAlphabet[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::size_t in_line = 0;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    if (in_line == kLineCharacters) {
      out.append("\\n");
      in_line = 0;
    }
    const auto three = bytes.substr(i, 3);
    const std::uint32_t bits = big_endian<std::uint32_t>(three) << (8 * (3 - three.size()));
    for (std::size_t k = 0; k < 4; ++k)
      out.push_back(k > three.size() ? '=' : kAlphabet[bits >> (18 - 6 * k) & 63]);
    in_line += 4;
  }
}

void append_json_double(std::string& out, double value) {
  const std::size_t begin = out.size();
  append_double(out, value);
  const bool is_integral = out.find_first_of(".e", begin) == std::string::npos;
  if (is_integral) out.append(".0");
}

class Walker {
 public:
  Walker(std::size_t document_bytes, std::size_t already)
      : text_bytes_max_(already + kTextBytesMin + kTextPerByteMax * document_bytes) {}

  // `body` begins at the value and ends where its container ends.
  void append(std::string& out, Kind kind, std::string_view body, unsigned depth) const {
    if (out.size() > text_bytes_max_) fail_corrupt("a JSON document whose parts are used twice");
    Bytes in(body);
    switch (kind) {
      case Kind::small_object:
      case Kind::large_object: return append_object(out, body, kind == Kind::large_object, depth);
      case Kind::small_array:
      case Kind::large_array: return append_array(out, body, kind == Kind::large_array, depth);
      case Kind::literal: return append_literal(out, in.u8());
      case Kind::int16: return append_signed(out, static_cast<std::int16_t>(in.u16()));
      case Kind::uint16: return append_unsigned(out, in.u16());
      case Kind::int32: return append_signed(out, static_cast<std::int32_t>(in.u32()));
      case Kind::uint32: return append_unsigned(out, in.u32());
      case Kind::int64: return append_signed(out, static_cast<std::int64_t>(in.u64()));
      case Kind::uint64: return append_unsigned(out, in.u64());
      case Kind::double_number: {
        const std::uint64_t bits = in.u64();
        double value;
        static_assert(sizeof value == sizeof bits);
        std::copy_n(
            reinterpret_cast<const char*>(&bits), sizeof bits, reinterpret_cast<char*>(&value));
        return append_json_double(out, value);
      }
      case Kind::string: return append_json_string(out, in.take(variable_length(in)));
      case Kind::opaque: return append_opaque(out, in);
    }
    fail_corrupt("a JSON value of a type that is not known");
  }

  struct Entry {
    Kind kind;
    std::string_view body;
  };

  // A container's parts, seen once.
  class Container {
   public:
    Container(std::string_view body, bool is_large, bool has_keys)
        : body_(body), is_large_(is_large) {
      Bytes in(body);
      count_ = number(in);
      const std::size_t size = number(in);
      if (size > body.size()) fail_short();
      body_ = body.substr(0, size);
      Bytes entries(body_);
      number(entries);
      number(entries);
      const std::size_t key_bytes = has_keys ? count_ * (word_bytes() + 2) : 0;
      keys_ = entries.take(key_bytes);
      values_ = entries.take(count_ * (1 + word_bytes()));
    }
    std::size_t size() const { return count_; }
    std::string_view key(std::size_t i) const {
      Bytes in(keys_.substr(i * (word_bytes() + 2)));
      const std::size_t offset = number(in);
      const std::size_t length = in.u16();
      Bytes at(body_);
      at.take(offset);
      return at.take(length);
    }
    Entry value(std::size_t i) const {
      Bytes in(values_.substr(i * (1 + word_bytes()), 1 + word_bytes()));
      const auto kind = static_cast<Kind>(in.u8());
      if (is_inlined(kind)) return {kind, in.rest()};
      const std::size_t offset = number(in);
      if (offset < 2 * word_bytes()) fail_corrupt("a JSON value inside its container's head");
      Bytes at(body_);
      at.take(offset);
      return {kind, at.rest()};
    }

   private:
    std::size_t word_bytes() const { return is_large_ ? 4 : 2; }
    std::size_t number(Bytes& in) const { return is_large_ ? in.u32() : in.u16(); }
    bool is_inlined(Kind kind) const {
      const bool is_short = kind == Kind::literal || kind == Kind::int16 || kind == Kind::uint16;
      return is_short || (is_large_ && (kind == Kind::int32 || kind == Kind::uint32));
    }

    std::string_view body_;
    bool is_large_;
    std::size_t count_ = 0;
    std::string_view keys_;
    std::string_view values_;
  };

  static unsigned deeper(unsigned depth) {
    if (depth >= kDepthMax) fail_corrupt("a JSON document nested too deeply");
    return depth + 1;
  }

 private:
  void append_object(std::string& out, std::string_view body, bool is_large, unsigned depth) const {
    const Container container(body, is_large, true);
    out.push_back('{');
    for (std::size_t i = 0; i < container.size(); ++i) {
      if (i > 0) out.append(", ");
      append_json_string(out, container.key(i));
      out.append(": ");
      const Entry entry = container.value(i);
      append(out, entry.kind, entry.body, deeper(depth));
    }
    out.push_back('}');
  }

  void append_array(std::string& out, std::string_view body, bool is_large, unsigned depth) const {
    const Container container(body, is_large, false);
    out.push_back('[');
    for (std::size_t i = 0; i < container.size(); ++i) {
      if (i > 0) out.append(", ");
      const Entry entry = container.value(i);
      append(out, entry.kind, entry.body, deeper(depth));
    }
    out.push_back(']');
  }

  static void append_literal(std::string& out, std::uint8_t literal) {
    if (literal > 2) fail_corrupt("a JSON literal that is not known");
    out.append(literal == 0 ? "null" : literal == 1 ? "true" : "false");
  }

  // A value of a column type: decimals and temporals in their text, everything else in base64.
  static void append_opaque(std::string& out, Bytes in) {
    const auto type = static_cast<ColumnType>(in.u8());
    const auto data = in.take(variable_length(in));
    const auto packed = [&] { return static_cast<std::int64_t>(Bytes(data).u64()); };
    if (type == ColumnType::newdecimal) return append_opaque_decimal(out, Bytes(data));
    out.push_back('"');
    if (type == ColumnType::time) {
      append_packed_time(out, packed());
    } else if (type == ColumnType::date) {
      append_packed_date(out, packed());
    } else if (type == ColumnType::datetime || type == ColumnType::timestamp) {
      append_packed_datetime(out, packed());
    } else {
      out.append("base64:type");
      append_unsigned(out, static_cast<std::uint8_t>(type));
      out.push_back(':');
      append_base64(out, data);
    }
    out.push_back('"');
  }

  static void append_opaque_decimal(std::string& out, Bytes in) {
    const unsigned precision = in.u8();
    const unsigned scale = in.u8();
    if (!is_decimal_form(precision, scale)) fail_corrupt("a JSON decimal of a form that none has");
    append_decimal(out, in.take(decimal_bytes(precision, scale)), precision, scale);
  }

  std::size_t text_bytes_max_;
};

// Makes the tree of a document; what it holds is bounded by the document's size.
class Planter {
 public:
  explicit Planter(std::size_t document_bytes)
      : walker_(document_bytes, 0), bytes_left_(kTextBytesMin + kTextPerByteMax * document_bytes) {}

  JsonNode node(Walker::Entry entry, unsigned depth) {
    JsonNode node;
    const bool is_object = entry.kind == Kind::small_object || entry.kind == Kind::large_object;
    const bool is_array = entry.kind == Kind::small_array || entry.kind == Kind::large_array;
    if (!is_object && !is_array) {
      walker_.append(node.text, entry.kind, entry.body, depth);
      spend(1 + node.text.size());
      return node;
    }
    spend(1);
    const bool is_large = entry.kind == Kind::large_object || entry.kind == Kind::large_array;
    const Walker::Container container(entry.body, is_large, is_object);
    node.kind = is_object ? JsonNode::Kind::object : JsonNode::Kind::array;
    for (std::size_t i = 0; i < container.size(); ++i) {
      if (is_object) node.keys.emplace_back(container.key(i));
      if (is_object) spend(node.keys.back().size());
      node.children.push_back(this->node(container.value(i), Walker::deeper(depth)));
    }
    return node;
  }

 private:
  void spend(std::size_t bytes) {
    if (bytes > bytes_left_) fail_corrupt("a JSON document whose parts are used twice");
    bytes_left_ -= bytes;
  }

  Walker walker_;
  std::size_t bytes_left_;
};

}  // namespace

// As the server quotes: control characters by number, all others as they are.
void append_json_string(std::string& out, std::string_view text) {
  static constexpr char kDigits[] = "0123456789abcdef";
  out.push_back('"');
  for (const char c : text) {
    switch (c) {
      case '"': out.append("\\\""); break;
      case '\\': out.append("\\\\"); break;
      case '\b': out.append("\\b"); break;
      case '\f': out.append("\\f"); break;
      case '\n': out.append("\\n"); break;
      case '\r': out.append("\\r"); break;
      case '\t': out.append("\\t"); break;
      default: {
        const auto byte = static_cast<std::uint8_t>(c);
        if (byte >= 0x20) {
          out.push_back(c);
        } else {
          out.append("\\u00").append(1, kDigits[byte >> 4]).append(1, kDigits[byte & 15]);
        }
      }
    }
  }
  out.push_back('"');
}

void append_json(std::string& out, std::string_view document) {
  if (document.empty()) {  // as the server reads an empty value that an IGNORE left behind
    out.append("null");
    return;
  }
  const Walker walker(document.size(), out.size());
  walker.append(out, static_cast<Kind>(byte_at(document, 0)), document.substr(1), 0);
}

JsonNode json_node(std::string_view document) {
  JsonNode null;
  null.text = "null";
  if (document.empty()) return null;
  Planter planter(document.size());
  return planter.node({static_cast<Kind>(byte_at(document, 0)), document.substr(1)}, 0);
}

std::vector<JsonDiff> decode_json_diffs(std::string_view bytes) {
  Bytes in(bytes);
  std::vector<JsonDiff> diffs;
  while (!in.is_at_end()) {
    const std::uint8_t operation = in.u8();
    if (operation > 2) fail_corrupt("a JSON diff that is not known");
    JsonDiff diff{.operation = static_cast<JsonDiff::Operation>(operation)};
    diff.path = in.take(in.packed_size());
    if (diff.operation != JsonDiff::Operation::remove) diff.value = in.take(in.packed_size());
    diffs.push_back(diff);
  }
  return diffs;
}

}  // namespace godwit::binlog
