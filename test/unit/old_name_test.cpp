#include "godwit/cutover/old_name.h"

#include "catch.h"

using godwit::cutover::old_name;

namespace {

std::string times(std::size_t count, const std::string& text) {
  std::string all;
  for (std::size_t i = 0; i < count; ++i) all += text;
  return all;
}

std::size_t characters(const std::string& text) {
  std::size_t count = 0;
  for (const char c : text) count += (static_cast<unsigned char>(c) & 0xC0) != 0x80 ? 1 : 0;
  return count;
}

bool ends_with_suffix(const std::string& name) { return name.size() > 11 && name.substr(name.size() - 11) == "_godwit_old"; }

}  // namespace

TEST_CASE("old names: one that has room keeps all of its characters", "[old_name]") {
  CHECK(old_name("orders") == "orders_godwit_old");
  CHECK(old_name(times(53, "x")) == times(53, "x") + "_godwit_old");
  // 53 characters of two bytes are no more than 53.
  CHECK(old_name(times(53, "é")) == times(53, "é") + "_godwit_old");
}

TEST_CASE("old names: long ones that begin alike stay apart, and no character is split", "[old_name]") {
  for (const std::string letter : {"x", "é", "表", "\xF0\x9F\x90\xA6"}) {
    const std::string a = old_name(times(63, letter) + "a");
    const std::string b = old_name(times(63, letter) + "b");
    INFO(a);
    CHECK(a != b);
    for (const auto& name : {a, b}) {
      CHECK(characters(name) == 64);
      CHECK(ends_with_suffix(name));
      CHECK(name.substr(0, 44 * letter.size()) == times(44, letter));
      CHECK(name[44 * letter.size()] == '_');
    }
    CHECK(old_name(times(54, letter)) != old_name(times(55, letter)));
  }
  CHECK(old_name(times(64, "x")) == old_name(times(64, "x")));
}
