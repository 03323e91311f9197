// `godwit status`: its options, and the screen that is painted again and again. Private to cli.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "godwit/util/stop.h"
#include "options.h"

namespace godwit::cli {

struct StatusArguments {
  bool with_history = false;
  bool is_watched = false;
  std::string interval = "2s";
  std::string source;
  std::vector<std::string> targets;
  std::string source_defaults_file;
  std::string target_defaults_file;
};

void add_status(CLI::App& app, StatusArguments& arguments, CommonOptions& common);
// Once, or, watched, until a stop is requested, which is how it is meant to end.
void print_status(const StatusArguments& arguments, const CommonOptions& common, const Stop& stop);

}  // namespace godwit::cli
