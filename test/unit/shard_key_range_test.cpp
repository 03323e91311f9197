#include "godwit/shard/key_range.h"

#include "catch.h"
#include "godwit/util/error.h"
#include "unit/shard_vectors.h"

using namespace godwit;
using namespace godwit::shard;

namespace {

KeyRange range(std::string_view text) { return parse_key_range(text, "--shard"); }

std::string boolean(bool value) { return value ? "true" : "false"; }

std::string read_back(const std::string& text) try {
  return to_string(range(text));
} catch (const Error& error) {
  CHECK(error.code() == Code::key_range_unreadable);
  return "ERROR";
}

// "…" in the middle of a long list stands for what is left out.
std::string shortened(std::vector<std::string> names) {
  if (names.size() > 100) names = {names[0], names[1], "...", names.back()};
  return join(names, ",");
}

std::string computed(const std::string& operation, const std::string& first, const std::string& second) {
  if (operation == "generate") return shortened(even_ranges(std::stoul(first), std::stoul(second)));
  if (operation == "even_shard") return even_ranges(std::stoul(second)).at(std::stoul(first));
  if (operation == "contains") return boolean(range(first).contains(from_hex(second).value()));
  if (operation == "equal") return boolean(is_same(range(first), range(second)));
  if (operation == "intersect") return boolean(intersects(range(first), range(second)));
  if (operation == "add") return to_string(joined(range(first), range(second)).value());
  if (operation == "parse_spec") return read_back(first);
  return "unknown operation " + operation;
}

struct Refusal {
  Code code;
  std::string cause;
};

Refusal refusal(const std::vector<std::string>& texts) {
  std::vector<KeyRange> ranges;
  for (const auto& text : texts) ranges.push_back(range(text));
  try {
    require_partition(ranges);
  } catch (const Error& error) {
    CHECK(!error.remedy().empty());
    return {error.code(), error.cause()};
  }
  return {Code::internal_error, "taken"};
}

void check_refused(const std::vector<std::string>& texts, Code code, const std::string& cause) {
  const Refusal refused = refusal(texts);
  CHECK(refused.code == code);
  CHECK(refused.cause == cause);
}

}  // namespace

TEST_CASE("key ranges agree with every vector of Vitess", "[shard]") {
  std::size_t vectors = 0;
  for (const auto& row : test::read_vectors("key_range_vectors.tsv")) {
    INFO(row[0] << " " << row[1] << " " << row[2]);
    CHECK(computed(row[0], row[1], row[2]) == row[3]);
    ++vectors;
  }
  CHECK(vectors == 47);
}

TEST_CASE("a key range prints as it was written, in lower case", "[shard]") {
  for (const std::string text : {"-", "-80", "80-c0", "c0-", "4000-8080"}) CHECK(to_string(range(text)) == text);
  CHECK(to_string(range("-C0")) == "-c0");
}

TEST_CASE("what is no key range is refused with what is wrong", "[shard]") {
  for (const std::string text : {"", "80", "8-", "-8g", "80-80", "80-8000", "c0-80", "--", "80-c0-"}) {
    INFO(text);
    CHECK(read_back(text) == "ERROR");
  }
}

TEST_CASE("ranges that are everything, each id in one, are put in the order of their bounds", "[shard]") {
  const std::vector<KeyRange> ranges{range("c0-"), range("-40"), range("80-c000"), range("4000-80")};
  CHECK(require_partition(ranges) == std::vector<std::size_t>{1, 3, 2, 0});
  const std::vector<KeyRange> one{range("-")};
  CHECK(require_partition(one) == std::vector<std::size_t>{0});
}

TEST_CASE("a gap between ranges is refused by its name", "[shard]") {
  check_refused({}, Code::shards_leave_gap, "no shard holds -");
  check_refused({"40-"}, Code::shards_leave_gap, "no shard holds -40");
  check_refused({"-40"}, Code::shards_leave_gap, "no shard holds 40-");
  check_refused({"80-", "-40"}, Code::shards_leave_gap, "no shard holds 40-80");
}

TEST_CASE("an overlap of ranges is refused by its name", "[shard]") {
  check_refused({"-80", "40-"}, Code::shards_overlap, "-80 and 40- both hold 40-80");
  check_refused({"-", "40-80"}, Code::shards_overlap, "- and 40-80 both hold 40-80");
  check_refused({"-80", "80-", "80-c0"}, Code::shards_overlap, "80- and 80-c0 both hold 80-c0");
  check_refused({"-80", "-80", "80-"}, Code::shards_overlap, "-80 and -80 both hold -80");
}

TEST_CASE("so many equal ranges are a partition, as long as their digits tell them apart", "[shard]") {
  for (const std::size_t count : {1U, 2U, 3U, 7U, 255U, 256U, 257U, 1000U}) {
    std::vector<KeyRange> ranges;
    for (const auto& name : even_ranges(count)) ranges.push_back(range(name));
    CHECK(require_partition(ranges).size() == count);
  }
  CHECK_THROWS_AS(even_ranges(0), Error);
  CHECK_THROWS_AS(even_ranges(17, 1), Error);
  CHECK_THROWS_AS(even_ranges(65537), Error);
}

TEST_CASE("the ids that begin with a prefix end where the next prefix begins", "[shard]") {
  CHECK(to_string(range_of_prefix("\x01")) == "01-02");
  CHECK(to_string(range_of_prefix("\x01\xff")) == "01ff-02");
  CHECK(to_string(range_of_prefix("\xff\xff")) == "ffff-");
}
