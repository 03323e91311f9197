// The environment of a child process, and lists of words in the form that exec and spawn take. Any thread, while nobody changes the process's own environment.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace godwit {

// Whether a child that is not godwit's own gets the passwords in GODWIT_*PASSWORD* too.
enum class Passwords { kept, left_out };

// "NAME=value" of this process, with `more`, which wins.
std::vector<std::string> environment_with(const std::map<std::string, std::string>& more, Passwords passwords);

// Ends with a null pointer; valid as long as `texts` is, unchanged.
std::vector<char*> pointers_to(std::vector<std::string>& texts);

}  // namespace godwit
