// What the page of one command says, taken from the tree that parses the command line: --help, the manual page and docs/cli are this, dressed differently, and
// shell completion offers what is in it. Pure. Private to cli.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <utility>
#include <vector>

namespace godwit::cli {

// The names of values that completion knows more about.
constexpr const char* kFile = "FILE";
constexpr const char* kFolder = "FOLDER";
constexpr const char* kWorkflow = "NAME";
constexpr const char* kCheck = "CHECK";
constexpr const char* kCommand = "COMMAND";
// The last group of every page: what all commands take.
constexpr const char* kGeneral = "General options";

struct OptionEntry {
  std::vector<std::string> names;    // "-v", "--verbose"; none of a positional
  std::string value;                 // "FILE"; "" of a flag
  std::vector<std::string> choices;  // all that it takes, where they are few
  std::string range;                 // "1 to 64"
  std::string initial;               // what holds when it is not given
  bool is_required = false;
  bool is_repeatable = false;
  std::string what;

  bool is_positional() const { return names.empty(); }
  std::string shown_value() const;  // "auto|triggers", else the value's name
  std::string explanation() const;  // what it is, with range and default
};

struct OptionGroup {
  std::string title;
  std::vector<OptionEntry> options;
};

struct Page {
  std::vector<std::string> words;  // "godwit", "inspect", "binlog"
  std::string what;
  std::vector<OptionEntry> positionals;
  std::vector<OptionGroup> groups;
  std::vector<std::pair<std::string, std::string>> subcommands;  // name, what it is
  std::vector<std::string> examples;                             // command lines

  std::string name() const;   // "godwit inspect binlog"
  std::string usage() const;  // with what follows it
};

OptionEntry entry_of(const CLI::Option& option);
// Those that are meant for people, in the order in which they were added.
std::vector<const CLI::App*> shown_subcommands(const CLI::App& app);
const CLI::App* find_command(const CLI::App& app, const std::string& name);  // among them; else nullptr
Page page_of(const CLI::App& app);

std::string help_of(const Page& page);    // fits kPageColumns
std::string manual_of(const Page& page);  // roff, with the macros of man(7); ASCII only

// Makes --help of the app, and of what is added to it later, such a page.
void use_pages(CLI::App& app);

}  // namespace godwit::cli
