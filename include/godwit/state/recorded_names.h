// The names of the workflows of a state file that is left as it is: neither made nor migrated. For shell completion. Any thread.
#pragma once

#include <string>
#include <vector>

namespace godwit::state {

// None where the file cannot be read.
std::vector<std::string> recorded_names(const std::string& path);

}  // namespace godwit::state
