// The environment of a child process, and lists of words in the form that exec and spawn take. Any thread, while nobody changes the process's own environment.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace godwit {

// Whether a child that is not godwit's own gets the passwords in GODWIT_*PASSWORD* too.
enum class Passwords { kept, left_out };

// For this process alone: its children get what it was given. Before any thread.
void set_for_this_process(const std::string& name, const std::string& value);

// What this process was given, whatever it has set since.
std::optional<std::string> given_environment(const std::string& name);

// "NAME=value" as this process was given it, with `more`, which wins.
std::vector<std::string> environment_with(const std::map<std::string, std::string>& more, Passwords passwords);

// Ends with a null pointer; valid as long as `texts` is, unchanged.
std::vector<char*> pointers_to(std::vector<std::string>& texts);

}  // namespace godwit
