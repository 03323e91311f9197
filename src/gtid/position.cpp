#include "godwit/gtid/position.h"

#include <algorithm>
#include <iterator>

namespace godwit::gtid {

std::string to_string(Flavour flavour) { return flavour == Flavour::mysql ? "mysql" : "mariadb"; }

Position make_position(Flavour flavour, const std::string& printed) {
  Position result{.flavour = flavour, .text = {}};
  std::copy_if(printed.begin(), printed.end(), std::back_inserter(result.text), [](char c) {
    return c != ' ' && c != '\n' && c != '\r' && c != '\t';
  });
  return result;
}

}  // namespace godwit::gtid
