// --config FILE: a JSON object whose members are the command's options, by the same names without the dashes. What the
// command line gives wins; one file serves all commands. Private to cli.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace godwit::cli {

// Texts, numbers, true/false for flags, arrays for options that take several. Throws Error(bad_usage), naming the member, for
// a file that cannot be read or is no such object, for a member that is no option of any command, and for a value it cannot take.
void apply_config_file(CLI::App& command, const std::string& path);

}  // namespace godwit::cli
