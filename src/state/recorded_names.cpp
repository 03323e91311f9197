#include "godwit/state/recorded_names.h"

#include "godwit/util/error.h"
#include "sqlite.h"

namespace godwit::state {

std::vector<std::string> recorded_names(const std::string& path) {
  std::vector<std::string> names;
  try {
    for (const auto& row : Sqlite::open_to_read(path).query("SELECT name FROM workflow ORDER BY name")) names.push_back(row[0]);
  } catch (const Error&) {
    names.clear();  // whoever presses TAB wants no message
  }
  return names;
}

}  // namespace godwit::state
