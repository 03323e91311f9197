// A document as a tree, for changing parts of it; scalars are their text already. Private to binlog.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace godwit::binlog {

struct JsonNode {
  enum class Kind { scalar, array, object };
  Kind kind = Kind::scalar;
  std::string text;  // of a scalar
  std::vector<std::string>
      keys;  // of an object, one per child; by length, then by bytes, as the server keeps them
  std::vector<JsonNode> children;
};

// Throws Error(event_corrupt).
JsonNode json_node(std::string_view document);
void append_json_string(std::string& out, std::string_view text);

}  // namespace godwit::binlog
