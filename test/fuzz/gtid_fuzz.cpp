// GTID sets in text and in binary form: what is read prints to something that reads back the same.
#include <cstdlib>

#include "drive.h"
#include "godwit/gtid/set.h"

using namespace godwit;
using gtid::Flavour;
using gtid::Set;

namespace {

void check_text(Flavour flavour, std::string_view text) {
  Set set(flavour);
  try {
    set = Set::parse(flavour, text);
  } catch (const Error&) {
    return;
  }
  if (Set::parse(flavour, set.to_string()) != set) std::abort();
  if (!set.contains(set)) std::abort();
  if (flavour == Flavour::mysql && Set::decode(set.encode()) != set) std::abort();
  Set none = set;
  none.subtract(set);
  if (!none.is_empty()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_text(Flavour::mysql, text);
  check_text(Flavour::mariadb, text);
  for (const auto flavour : {Flavour::mysql, Flavour::mariadb}) {
    try {
      if (to_string(parse_gtid(flavour, to_string(parse_gtid(flavour, text)))).empty())
        std::abort();
    } catch (const Error&) {
    }
  }
  try {
    check_text(Flavour::mysql, Set::decode(text).to_string());
  } catch (const Error&) {
  }
  return 0;
}
