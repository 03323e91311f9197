#include "godwit/shard/vindex.h"

#include "catch.h"
#include "godwit/util/error.h"
#include "unit/shard_vectors.h"

using namespace godwit;
using namespace godwit::shard;

namespace {

struct Named {
  std::string function;
  std::string parameters;  // "a=1;b=2"
  std::size_t columns = 1;
};

Vindex vindex(const Named& named) {
  VindexSpec spec{.function = named.function, .columns = named.columns};
  for (const auto& part : split(named.parameters, ';')) {
    const std::size_t equals = part.find('=');
    if (equals != std::string::npos) spec.parameters[part.substr(0, equals)] = part.substr(equals + 1);
  }
  return make_vindex(spec, "--vindex");
}

ValueKind kind_of(const std::string& type) {
  if (type == "null") return ValueKind::null;
  if (type == "int64") return ValueKind::signed_integer;
  return type == "uint64" ? ValueKind::unsigned_integer : ValueKind::text;
}

std::string bytes_of(const std::string& input) { return input.starts_with("0x") ? from_hex(input.substr(2)).value() : input; }

std::string printed(const std::optional<KeyspaceId>& id) {
  if (!id) return "NONE";
  return id->empty() ? "EMPTY" : to_hex(*id);
}

// Of a row of vindex_vectors.tsv: function, parameters, types, values.
std::string computed(const std::vector<std::string>& row) {
  const auto types = split(row[2], ',');
  const auto inputs = types.size() == 1 ? std::vector<std::string>{row[3]} : split(row[3], ',');
  const bool is_counted = row[1].starts_with("column_count=");
  const std::size_t columns = is_counted ? std::stoul(row[1].substr(13)) : row[0] == "region_experimental" ? 2 : 1;
  const Vindex function = vindex({row[0], is_counted ? "" : row[1], columns});
  std::vector<std::string> bytes;
  for (const auto& input : inputs) bytes.push_back(bytes_of(input));
  std::vector<Value> values;
  for (std::size_t i = 0; i < types.size(); ++i) values.push_back({.kind = kind_of(types[i]), .text = kind_of(types[i]) == ValueKind::null ? std::string_view() : bytes[i]});
  if (values.size() == columns) return printed(keyspace_id(function, values));
  const auto range = range_of(function, values);
  return range ? "KEYRANGE " + to_string(*range) : "NONE";
}

std::string id_of(const Named& named, const std::vector<Value>& values) { return printed(keyspace_id(vindex(named), values)); }

void check_refused(const Named& named, const std::string& cause) {
  INFO(named.function << "(" << named.parameters << ")");
  try {
    vindex(named);
    CHECK(cause == "taken");
  } catch (const Error& error) {
    CHECK(error.code() == Code::bad_placement);
    CHECK(error.cause().find(cause) != std::string::npos);
    CHECK(!error.remedy().empty());
  }
}

const Value kOne{.kind = ValueKind::signed_integer, .text = "1"};
const Value kMinusOne{.kind = ValueKind::signed_integer, .text = "-1"};

}  // namespace

TEST_CASE("vindexes agree with every vector of Vitess", "[shard]") {
  std::size_t vectors = 0;
  for (const auto& row : test::read_vectors("vindex_vectors.tsv")) {
    INFO(row[0] << " " << row[1] << " " << row[2] << " " << row[3]);
    const bool is_error = row[4].starts_with("ERROR");  // Vitess tells both apart; a row maps nowhere either way
    CHECK(computed(row) == (is_error ? "NONE" : row[4]));
    ++vectors;
  }
  CHECK(vectors == 178);
}

TEST_CASE("loose text agrees with vtgate's collation in sequences, marks out of order, and every script", "[shard]") {
  std::size_t vectors = 0;
  for (const auto& row : test::read_vectors("loose_keys.tsv")) {
    INFO(row[0]);
    const std::string text = bytes_of("0x" + row[0]);
    const std::string weights = bytes_of("0x" + row[1]);
    CHECK(id_of({"unicode_loose_md5"}, {{.kind = ValueKind::text, .text = text}}) == id_of({"binary_md5"}, {{.kind = ValueKind::text, .text = weights}}));
    ++vectors;
  }
  CHECK(vectors == 300);
}

namespace {

std::string utf8(char32_t character) {
  std::string text;
  const auto add = [&](char32_t byte) { text.push_back(static_cast<char>(byte)); };
  const auto add_tail = [&](int shift) { add(0x80 | ((character >> shift) & 0x3F)); };
  if (character < 0x80) {
    add(character);
  } else if (character < 0x800) {
    add(0xC0 | (character >> 6));
  } else if (character < 0x10000) {
    add(0xE0 | (character >> 12));
    add_tail(6);
  } else {
    add(0xF0 | (character >> 18));
    add_tail(12);
    add_tail(6);
  }
  if (character >= 0x80) add_tail(0);
  return text;
}

// Ideographs that newer versions of Unicode have, and with them newer versions of vtgate.
bool is_late(char32_t character) {
  return (character >= 0x9FFD && character <= 0x9FFF) || (character >= 0x2A6DE && character <= 0x2A6DF) || (character >= 0x2B735 && character <= 0x2B739);
}

}  // namespace

TEST_CASE("the loose key of every character is vtgate's", "[shard]") {
  const Vindex loose = vindex({"unicode_loose_xxhash"});
  std::string ids;
  for (char32_t character = 0; character < 0x30000; ++character) {
    if ((character >= 0xD800 && character <= 0xDFFF) || is_late(character)) continue;
    const std::string text = utf8(character);
    const Value value{.kind = ValueKind::text, .text = text};
    ids += keyspace_id(loose, {&value, 1}).value();
  }
  CHECK(ids.size() == 8 * 194550);
  CHECK(id_of({"binary_md5"}, {{.kind = ValueKind::text, .text = ids}}) == "7ab2010791b7b6f75b961afb62ac8b1e");
}

TEST_CASE("text that is not UTF-8 has no loose key", "[shard]") {
  for (const std::string text : {"\xff", "a\x80", "\xc3", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80"}) {
    INFO(to_hex(text));
    CHECK(id_of({"unicode_loose_md5"}, {{.kind = ValueKind::text, .text = text}}) == "NONE");
  }
}

TEST_CASE("an integer's zeros in front do not move its row", "[shard]") {
  for (const std::string function : {"hash", "xxhash", "binary_md5", "binary", "numeric", "unicode_loose_md5"}) {
    INFO(function);
    const auto id = [&](std::string_view text) { return id_of({function}, {{.kind = ValueKind::unsigned_integer, .text = text}}); };
    CHECK(id("00042") == id("42"));
    CHECK(id("000") == id("0"));
  }
  CHECK(id_of({"xxhash"}, {{.kind = ValueKind::text, .text = "00042"}}) != id_of({"xxhash"}, {{.kind = ValueKind::text, .text = "42"}}));
}

TEST_CASE("a negative number has a place under hash alone", "[shard]") {
  CHECK(id_of({"hash"}, {kMinusOne}) == "355550b2150e2451");
  for (const std::string function : {"numeric", "reverse_bits"}) CHECK(id_of({function}, {kMinusOne}) == "NONE");
  CHECK(id_of({"region_experimental", "region_bytes=1", 2}, {kOne, kMinusOne}) == "NONE");
  CHECK(id_of({"multicol", "", 2}, {kOne, kMinusOne}) == "166b40b4355550b2");
}

TEST_CASE("multicol takes each column's function and share of the id", "[shard]") {
  const Value text{.kind = ValueKind::text, .text = "abc"};
  CHECK(id_of({"multicol", "column_vindex=hash,xxhash;column_bytes=2,6", 2}, {kOne, text}) == "166b990977adf52c");
  CHECK(id_of({"multicol", "column_vindex=,binary;column_bytes=2", 2}, {kOne, text}) == "166b616263");
  CHECK(id_of({"multicol", "column_vindex=binary;column_bytes=4,2", 2}, {text, kOne}) == "61626300166b");  // filled, to where the next begins
  CHECK(id_of({"multicol", "column_vindex=,numeric_static_map;column_bytes=1,7;json={\"1\":512}", 2}, {kOne, kOne}) == "1600000000000002");
}

TEST_CASE("a function is refused when it is not known, or not by these columns and parameters", "[shard]") {
  check_refused({"md5"}, "no vindex function \"md5\"");
  check_refused({"lookup"}, "no vindex function \"lookup\"");
  check_refused({"hash", "", 2}, "hash takes 1 column, not 2");
  check_refused({"hash", "x=1"}, "hash has no parameter x");
  check_refused({"region_experimental", "region_bytes=1"}, "takes 2 columns, not 1");
  check_refused({"region_experimental", "region_bytes=3", 2}, "neither 1 nor 2");
  check_refused({"numeric_static_map"}, "has no parameter json");
  check_refused({"numeric_static_map", "json=[1]"}, "no object");
  check_refused({"numeric_static_map", "json={\"1\":-2}"}, "json has \"1\": -2");
  check_refused({"numeric_static_map", "json={\"x\":2}"}, "json has \"x\": 2");
  check_refused({"numeric_static_map", "json={};fallback_type=null"}, "null cannot be a part");
  check_refused({"multicol", "", 9}, "9 columns");
  check_refused({"multicol", "column_bytes=1,2,3", 2}, "column_bytes has 3 entries for 2 columns");
  check_refused({"multicol", "column_bytes=8", 2}, "leaves nothing");
  check_refused({"multicol", "column_bytes=9", 2}, "column_bytes has \"9\"");
  check_refused({"multicol", "column_vindex=null", 2}, "null cannot be a part");
  check_refused({"multicol", "column_vindex=multicol", 2}, "multicol cannot be a part");
  check_refused({"multicol", "x=1", 2}, "multicol has no parameter x");
}
