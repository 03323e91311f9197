#include "config_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "godwit/util/error.h"

namespace godwit::cli {
namespace {

using nlohmann::json;

[[noreturn]] void refuse(std::string object, std::string cause, std::string remedy) {
  throw Error(Code::bad_usage, {std::move(object), std::move(cause), std::move(remedy)});
}

json read_object(const std::string& path) {
  std::ifstream file(path);
  if (!file) refuse("--config " + path, "the file cannot be read", "name a readable JSON file");
  try {
    json document = json::parse(file);
    if (document.is_object()) return document;
  } catch (const json::exception& error) {
    refuse("--config " + path, fmt::format("it is not JSON: {}", error.what()), R"({"source": "mysql://…", "readers": 8})");
  }
  refuse("--config " + path, "it holds no object", R"({"source": "mysql://…", "readers": 8})");
}

// Only the positional is known by its bare name; nothing may name another file.
CLI::Option* find_option(CLI::App& command, const std::string& name) {
  if (name == "config" || name == "help") return nullptr;
  CLI::Option* option = command.get_option_no_throw("--" + name);
  return option != nullptr ? option : name == "name" ? command.get_option_no_throw(name) : nullptr;
}

// Of the commands below this one, at any depth.
bool is_taken_below(CLI::App& command, const std::string& name) {
  const auto below = command.get_subcommands([](CLI::App*) { return true; });
  return std::any_of(below.begin(), below.end(), [&](CLI::App* one) { return find_option(*one, name) != nullptr || is_taken_below(*one, name); });
}

// One file serves all commands: what only another one takes is passed over.
bool is_of_another(CLI::App& command, const std::string& name) {
  CLI::App* root = &command;
  while (root->get_parent() != nullptr) root = root->get_parent();
  return is_taken_below(*root, name);
}

std::string text_of(const json& value, const std::string& object) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean() || value.is_number()) return value.dump();
  refuse(object, "the value is neither text nor number nor true or false", "see --help for what the option takes");
}

void set_option(CLI::Option& option, const json& value, const std::string& object) {
  const bool is_flag = option.get_expected_min() == 0;  // CLI11's own sign of one
  if (is_flag != value.is_boolean()) {
    refuse(object, is_flag ? "a flag is true or false" : "this option is no flag", "see --help for what the option takes");
  }
  if (is_flag && !value.get<bool>()) return;
  const bool is_list = option.get_items_expected_max() > 1;
  if (value.is_array() && !is_list) refuse(object, "it takes one value only", "see --help for what the option takes");
  if (value.is_array() && value.empty()) return;
  if (!value.is_array()) option.add_result(text_of(value, object));
  if (value.is_array()) {
    for (const auto& item : value) option.add_result(text_of(item, object));
  }
  try {
    option.run_callback();
  } catch (const CLI::ParseError& error) {
    refuse(object, error.what(), "see --help for what the option takes");
  }
}

}  // namespace

void apply_config_file(CLI::App& command, const std::string& path) {
  const json document = read_object(path);
  for (const auto& [name, value] : document.items()) {
    const std::string object = fmt::format("\"{}\" in {}", name, path);
    CLI::Option* option = find_option(command, name);
    if (option == nullptr && !is_of_another(command, name)) {
      refuse(object, "no command has such an option", fmt::format("godwit {} --help lists them", command.get_name()));
    }
    if (option != nullptr && option->count() == 0) set_option(*option, value, object);
  }
}

}  // namespace godwit::cli
