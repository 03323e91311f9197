// What `complete --old-side rename` calls a table of the source. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

namespace godwit::cutover {

inline constexpr std::string_view kOldSuffix = "_godwit_old";

// The name with the suffix. One that has no room for it, in the 64 characters of an identifier, is cut between characters and told from others that begin like it by a
// hash of the whole. `table`: UTF-8, as the server says it.
std::string old_name(std::string_view table);

}  // namespace godwit::cutover
