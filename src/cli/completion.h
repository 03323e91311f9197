// Shell completion. The scripts that `godwit completion SHELL` prints are thin: at each TAB they ask the binary, which looks into the tree that parses its command
// line. So they are never behind it. Private to cli.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

namespace godwit::cli {

struct Candidate {
  std::string word;
  std::string what;  // for shells that show it; may be empty
};

struct Completion {
  enum class Paths { none, files, folders };  // what the shell itself offers beside the candidates
  std::vector<Candidate> candidates;
  Paths paths = Paths::none;
};

// What the command line cannot know.
struct CompletionSources {
  std::function<std::vector<std::string>(const std::string& state_path)> workflows;  // "": the default state file
  std::vector<Candidate> checks;
};

// The words after `godwit`, up to the one that the cursor is in, which may be empty. Pure, but for the sources.
Completion completion_of(const CLI::App& app, const std::vector<std::string>& words, const CompletionSources& sources);

// The word by which the scripts ask: godwit __complete WORD…
constexpr const char* kCompleteWord = "__complete";
// A line for each candidate, "WORD<TAB>WHAT", and one for the paths: ":none", ":files", ":folders".
void print_completion(const Completion& completion);

std::string completion_script(const std::string& shell);  // bash, zsh, fish
CompletionSources completion_sources();

}  // namespace godwit::cli
