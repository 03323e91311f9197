#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "godwit/shard/vindex.h"
#include "godwit/util/error.h"
#include "godwit/util/text.h"

namespace godwit::shard {
namespace {

constexpr std::array<std::pair<Function, std::string_view>, 12> kFunctions{{
    {Function::hash, "hash"},
    {Function::xxhash, "xxhash"},
    {Function::binary_md5, "binary_md5"},
    {Function::binary, "binary"},
    {Function::numeric, "numeric"},
    {Function::reverse_bits, "reverse_bits"},
    {Function::null, "null"},
    {Function::unicode_loose_md5, "unicode_loose_md5"},
    {Function::unicode_loose_xxhash, "unicode_loose_xxhash"},
    {Function::numeric_static_map, "numeric_static_map"},
    {Function::region_experimental, "region_experimental"},
    {Function::multicol, "multicol"},
}};

constexpr std::size_t kIdBytes = 8;  // of a multicol's id, at most

std::string function_names() {
  std::vector<std::string> names;
  for (const auto& [function, name] : kFunctions) names.emplace_back(name);
  return join(names, ", ");
}

// One function's parameters, each of which must be taken; what is left over is refused.
class Reader {
 public:
  Reader(const VindexSpec& spec, std::string_view flag) : spec_(spec), flag_(flag), left_(spec.parameters) {}

  [[noreturn]] void refuse(std::string cause, std::string_view remedy) const {
    throw Error(Code::bad_placement, {.object = std::string(flag_), .cause = std::move(cause), .remedy = std::string(remedy)});
  }
  std::optional<std::string> take(const std::string& name) {
    auto node = left_.extract(name);
    return node ? std::optional(std::move(node.mapped())) : std::nullopt;
  }
  // An entry per column, empty where the list has none.
  std::vector<std::string> take_list(const std::string& name) {
    auto entries = split(take(name).value_or(""), ',');
    if (entries.size() > spec_.columns) refuse(fmt::format("{} has {} entries for {} columns", name, entries.size(), spec_.columns), "an entry per column at most");
    entries.resize(spec_.columns);
    return entries;
  }
  Parameters take_rest() { return std::exchange(left_, {}); }
  void require_columns(std::size_t columns) const {
    if (spec_.columns != columns) refuse(fmt::format("{} takes {} column{}, not {}", spec_.function, columns, columns == 1 ? "" : "s", spec_.columns), "name its columns, or use multicol");
  }
  void finish() const {
    if (!left_.empty()) refuse(fmt::format("{} has no parameter {}", spec_.function, left_.begin()->first), "docs/sharding.md lists the parameters of each function");
  }

 private:
  const VindexSpec& spec_;
  std::string_view flag_;
  Parameters left_;
};

// A function that others can be made of.
Vindex make_part(const VindexSpec& spec, const Reader& in, std::string_view flag) {
  Vindex part = make_vindex(spec, flag);
  if (part.function == Function::null || part.function == Function::multicol) in.refuse(fmt::format("{} cannot be a part of another function", spec.function), "another function");
  return part;
}

constexpr std::string_view kMapForm = "json={\"1\":2,\"3\":4}: numbers that are no negative ones, to such numbers";

std::map<std::uint64_t, std::uint64_t> parse_numbers(const std::string& text, const Reader& in) {
  const auto document = nlohmann::json::parse(text, nullptr, false);
  if (!document.is_object()) in.refuse("json holds no object", kMapForm);
  std::map<std::uint64_t, std::uint64_t> numbers;
  for (const auto& [from, to] : document.items()) {
    const auto number = parse_u64(from);
    if (!number || !to.is_number_unsigned()) in.refuse(fmt::format("json has \"{}\": {}", from, to.dump()), kMapForm);
    numbers[*number] = to.get<std::uint64_t>();
  }
  return numbers;
}

void read_static_map(Vindex& vindex, Reader& in, std::string_view flag) {
  in.require_columns(1);
  const auto json = in.take("json");
  if (!json) in.refuse("numeric_static_map has no parameter json", kMapForm);
  vindex.numbers = parse_numbers(*json, in);
  if (const auto fallback = in.take("fallback_type")) vindex.parts.push_back(make_part({.function = *fallback}, in, flag));
}

void read_region(Vindex& vindex, Reader& in) {
  in.require_columns(2);
  const std::string bytes = in.take("region_bytes").value_or("");
  if (bytes != "1" && bytes != "2") in.refuse("region_bytes is neither 1 nor 2", "region_experimental(region_bytes=1)");
  vindex.region_bytes = bytes == "1" ? 1 : 2;
}

// What is given, and for the others their share of what is left of eight, the first ones' rounded up.
std::vector<std::size_t> read_part_bytes(const VindexSpec& spec, Reader& in) {
  constexpr std::string_view kRemedy = "column_bytes=2,6: eight at most, and one at least for each column without an entry";
  std::vector<std::size_t> bytes(spec.columns, 0);
  std::vector<std::size_t> open;
  std::size_t left = kIdBytes;
  const auto entries = in.take_list("column_bytes");
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].empty()) {
      open.push_back(i);
      continue;
    }
    const auto number = parse_u64(entries[i]);
    if (!number || *number == 0 || *number > left) in.refuse(fmt::format("column_bytes has \"{}\"", entries[i]), kRemedy);
    bytes[i] = *number;
    left -= *number;
  }
  if (open.size() > left) in.refuse("column_bytes leaves nothing for a column", kRemedy);
  for (std::size_t i = 0; i < open.size(); ++i) {
    const std::size_t waiting = open.size() - i;
    bytes[open[i]] = (left + waiting - 1) / waiting;
    left -= bytes[open[i]];
  }
  return bytes;
}

void read_multicol(Vindex& vindex, const VindexSpec& spec, Reader& in, std::string_view flag) {
  if (spec.columns > kColumnsMax) in.refuse(fmt::format("multicol has {} columns", spec.columns), "eight columns at most");
  vindex.part_bytes = read_part_bytes(spec, in);
  const auto names = in.take_list("column_vindex");
  const Parameters rest = in.take_rest();
  bool is_taken = rest.empty();
  for (const auto& name : names) {
    const std::string function = trim(name).empty() ? "hash" : std::string(trim(name));
    const bool takes_rest = function == "numeric_static_map";
    is_taken = is_taken || takes_rest;
    vindex.parts.push_back(make_part({.function = function, .parameters = takes_rest ? rest : Parameters{}}, in, flag));
  }
  if (!is_taken) in.refuse(fmt::format("multicol has no parameter {}", rest.begin()->first), "docs/sharding.md lists the parameters of each function");
}

}  // namespace

std::string_view to_string(Function function) {
  for (const auto& [candidate, name] : kFunctions) {
    if (candidate == function) return name;
  }
  return "";
}

Vindex make_vindex(const VindexSpec& spec, std::string_view flag) {
  Reader in(spec, flag);
  const auto known = std::ranges::find(kFunctions, std::string_view(spec.function), &std::pair<Function, std::string_view>::second);
  if (known == kFunctions.end()) in.refuse(fmt::format("there is no vindex function \"{}\"", spec.function), function_names());
  Vindex vindex{.function = known->first, .columns = spec.columns};
  switch (vindex.function) {
    case Function::numeric_static_map: read_static_map(vindex, in, flag); break;
    case Function::region_experimental: read_region(vindex, in); break;
    case Function::multicol: read_multicol(vindex, spec, in, flag); break;
    case Function::hash:
    case Function::xxhash:
    case Function::binary_md5:
    case Function::binary:
    case Function::numeric:
    case Function::reverse_bits:
    case Function::null:
    case Function::unicode_loose_md5:
    case Function::unicode_loose_xxhash: in.require_columns(1); break;
  }
  in.finish();
  return vindex;
}

}  // namespace godwit::shard
