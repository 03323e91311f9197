// path = "$" { "." key | "[" number "]" }, key = an identifier or a JSON string: what the server writes into its diffs.
#include <algorithm>
#include <optional>

#include "bytes.h"
#include "godwit/binlog/json.h"
#include "json_node.h"

namespace godwit::binlog {
namespace {

constexpr std::size_t kLegsMax = 100;  // the depth of a document

struct Leg {
  std::optional<std::string> key;  // else an array's cell
  std::size_t index = 0;
};

class PathReader {
 public:
  explicit PathReader(std::string_view path) : in_(path) {}

  std::vector<Leg> legs() {
    if (in_.is_at_end() || take() != '$') fail();
    std::vector<Leg> result;
    while (!in_.is_at_end()) {
      if (result.size() == kLegsMax) fail();
      const char c = take();
      if (c == '.') {
        result.push_back({.key = peek() == '"' ? quoted() : plain()});
      } else if (c == '[') {
        result.push_back({.key = std::nullopt, .index = index()});
      } else {
        fail();
      }
    }
    return result;
  }

 private:
  [[noreturn]] static void fail() { fail_corrupt("a JSON diff whose path cannot be read"); }
  char take() { return static_cast<char>(in_.u8()); }
  char peek() const { return in_.is_at_end() ? '\0' : in_.rest().front(); }

  std::string plain() {
    const auto rest = in_.rest();
    const std::size_t end = std::min(rest.find_first_of(".["), rest.size());
    if (end == 0) fail();
    return std::string(in_.take(end));
  }

  std::size_t index() {
    std::size_t value = 0;
    char c = take();
    if (c < '0' || c > '9') fail();
    for (; c >= '0' && c <= '9'; c = take()) {
      value = value * 10 + static_cast<std::size_t>(c - '0');
      if (value > 0xffffffff) fail();
    }
    if (c != ']') fail();
    return value;
  }

  std::string quoted() {
    take();
    std::string key;
    for (char c = take(); c != '"'; c = take()) {
      if (c == '\\') {
        escaped(key);
      } else {
        key.push_back(c);
      }
    }
    return key;
  }

  void escaped(std::string& key) {
    switch (take()) {
      case '"': key.push_back('"'); return;
      case '\\': key.push_back('\\'); return;
      case '/': key.push_back('/'); return;
      case 'b': key.push_back('\b'); return;
      case 'f': key.push_back('\f'); return;
      case 'n': key.push_back('\n'); return;
      case 'r': key.push_back('\r'); return;
      case 't': key.push_back('\t'); return;
      case 'u': return control_character(key);
      default: fail();
    }
  }

  // The server writes only control characters by number.
  void control_character(std::string& key) {
    unsigned value = 0;
    for (int i = 0; i < 4; ++i) {
      const char c = take();
      const bool is_digit = c >= '0' && c <= '9';
      if (!is_digit && !(c >= 'a' && c <= 'f')) fail();
      value = value * 16 + static_cast<unsigned>(is_digit ? c - '0' : c - 'a' + 10);
    }
    if (value >= 0x80) fail();
    key.push_back(static_cast<char>(value));
  }

  Bytes in_;
};

[[noreturn]] void fail_unmatched() {
  fail_corrupt("a JSON diff that finds nothing at its path in the old document");
}

bool is_key_before(const std::string& a, const std::string& b) {
  return a.size() != b.size() ? a.size() < b.size() : a < b;
}

// Where the leg's child is, or would be.
std::size_t place_of(const JsonNode& parent, const Leg& leg) {
  if (leg.key) {
    if (parent.kind != JsonNode::Kind::object) fail_unmatched();
    const auto at =
        std::lower_bound(parent.keys.begin(), parent.keys.end(), *leg.key, is_key_before);
    return static_cast<std::size_t>(at - parent.keys.begin());
  }
  if (parent.kind != JsonNode::Kind::array) fail_unmatched();
  return std::min(leg.index, parent.children.size());
}

bool has_child(const JsonNode& parent, const Leg& leg, std::size_t place) {
  if (place >= parent.children.size()) return false;
  return leg.key ? parent.keys[place] == *leg.key : place == leg.index;
}

JsonNode& child_at(JsonNode& parent, const Leg& leg) {
  const std::size_t place = place_of(parent, leg);
  if (!has_child(parent, leg, place)) fail_unmatched();
  return parent.children[place];
}

void insert(JsonNode& parent, const Leg& leg, JsonNode value) {
  const std::size_t place = place_of(parent, leg);
  if (leg.key && has_child(parent, leg, place)) fail_unmatched();
  const auto at = static_cast<std::ptrdiff_t>(place);
  if (leg.key) parent.keys.insert(parent.keys.begin() + at, *leg.key);
  parent.children.insert(parent.children.begin() + at, std::move(value));
}

void remove(JsonNode& parent, const Leg& leg) {
  const std::size_t place = place_of(parent, leg);
  if (!has_child(parent, leg, place)) fail_unmatched();
  const auto at = static_cast<std::ptrdiff_t>(place);
  if (leg.key) parent.keys.erase(parent.keys.begin() + at);
  parent.children.erase(parent.children.begin() + at);
}

void apply(JsonNode& root, const JsonDiff& diff) {
  const auto legs = PathReader(diff.path).legs();
  if (legs.empty()) {
    if (diff.operation != JsonDiff::Operation::replace) fail_unmatched();
    root = json_node(diff.value);
    return;
  }
  JsonNode* parent = &root;
  for (std::size_t i = 0; i + 1 < legs.size(); ++i) parent = &child_at(*parent, legs[i]);
  switch (diff.operation) {
    case JsonDiff::Operation::replace:
      child_at(*parent, legs.back()) = json_node(diff.value);
      return;
    case JsonDiff::Operation::insert: return insert(*parent, legs.back(), json_node(diff.value));
    case JsonDiff::Operation::remove: return remove(*parent, legs.back());
  }
}

void append_node(std::string& out, const JsonNode& node) {
  if (node.kind == JsonNode::Kind::scalar) {
    out.append(node.text);
    return;
  }
  const bool is_object = node.kind == JsonNode::Kind::object;
  out.push_back(is_object ? '{' : '[');
  for (std::size_t i = 0; i < node.children.size(); ++i) {
    if (i > 0) out.append(", ");
    if (is_object) {
      append_json_string(out, node.keys[i]);
      out.append(": ");
    }
    append_node(out, node.children[i]);
  }
  out.push_back(is_object ? '}' : ']');
}

}  // namespace

void append_json_after(std::string& out,
                       std::string_view document,
                       const std::vector<JsonDiff>& diffs) {
  JsonNode root = json_node(document);
  for (const auto& diff : diffs) apply(root, diff);
  append_node(out, root);
}

}  // namespace godwit::binlog
