#include "completion.h"

#include <fmt/format.h>

#include <algorithm>

#include "godwit/check/check.h"
#include "godwit/state/recorded_names.h"
#include "godwit/state/state_file.h"
#include "page.h"

namespace godwit::cli {
namespace {

bool begins_with(const std::string& text, const std::string& head) { return text.compare(0, head.size(), head) == 0; }

// Where the words before the cursor have led.
struct Place {
  const CLI::App* command = nullptr;
  const CLI::Option* waiting = nullptr;  // an option whose value comes next
  std::size_t positionals = 0;           // already given
  std::vector<const CLI::Option*> given;
  std::string state;  // --state FILE
  bool are_options_over = false;  // after "--"
};

bool takes_value(const CLI::Option& option) { return option.get_items_expected_max() > 0; }

const CLI::Option* find_option(const CLI::App& command, const std::string& word) {
  return begins_with(word, "-") && word.size() > 1 ? command.get_option_no_throw(word) : nullptr;
}

void take_value(Place& place, const CLI::Option& option, const std::string& value) {
  if (option.check_lname("state")) place.state = value;
}

void take_option(Place& place, const std::string& word) {
  const auto equals = word.find('=');
  const CLI::Option* option = find_option(*place.command, word.substr(0, equals));
  if (option == nullptr) return;
  place.given.push_back(option);
  if (equals != std::string::npos) return take_value(place, *option, word.substr(equals + 1));
  if (takes_value(*option)) place.waiting = option;
}

void take_word(Place& place, const std::string& word) {
  if (place.waiting != nullptr) {
    take_value(place, *place.waiting, word);
    place.waiting = nullptr;
  } else if (word == "--") {
    place.are_options_over = true;
  } else if (!place.are_options_over && begins_with(word, "-")) {
    take_option(place, word);
  } else if (const CLI::App* command = find_command(*place.command, word); command != nullptr) {
    place.command = command;
    place.positionals = 0;
  } else {
    ++place.positionals;
  }
}

const CLI::Option* positional_at(const CLI::App& command, std::size_t index) {
  for (const CLI::Option* option : command.get_options()) {
    if (!option->get_positional()) continue;
    if (index == 0 || option->get_items_expected_max() > 1) return option;
    --index;
  }
  return nullptr;
}

void offer(Completion& completion, const std::string& begun, const Candidate& candidate) {
  if (begins_with(candidate.word, begun)) completion.candidates.push_back(candidate);
}

void offer_commands(Completion& completion, const CLI::App& command, const std::string& begun) {
  for (const CLI::App* child : shown_subcommands(command)) offer(completion, begun, {child->get_name(), child->get_description()});
}

void offer_values(Completion& completion, const Place& place, const CLI::Option& option, const std::string& begun, const CompletionSources& sources) {
  const OptionEntry entry = entry_of(option);
  for (const auto& choice : entry.choices) offer(completion, begun, {choice, ""});
  if (entry.value == kFile) completion.paths = Completion::Paths::files;
  if (entry.value == kFolder) completion.paths = Completion::Paths::folders;
  if (entry.value == kCommand) offer_commands(completion, *place.command->get_parent()->get_parent(), begun);
  if (entry.value == kWorkflow) {
    for (const auto& name : sources.workflows(place.state)) offer(completion, begun, {name, ""});
  }
  if (entry.value == kCheck) {
    for (const auto& check : sources.checks) offer(completion, begun, check);
  }
}

void offer_options(Completion& completion, const Place& place, const std::string& begun) {
  for (const CLI::Option* option : place.command->get_options()) {
    if (option->get_group().empty() || option->get_positional()) continue;
    const OptionEntry entry = entry_of(*option);
    const bool is_used_up = !entry.is_repeatable && std::find(place.given.begin(), place.given.end(), option) != place.given.end();
    if (is_used_up) continue;
    for (const auto& name : entry.names) {
      const bool is_long = name.size() > 2;
      if (is_long || begun == name) offer(completion, begun, {name, entry.what});
    }
  }
}

// "--fence=re": the whole word is what a candidate stands for.
void offer_assigned(Completion& completion, const Place& place, const std::string& begun, std::size_t equals, const CompletionSources& sources) {
  const CLI::Option* option = find_option(*place.command, begun.substr(0, equals));
  if (option == nullptr) return;
  offer_values(completion, place, *option, begun.substr(equals + 1), sources);
  for (auto& candidate : completion.candidates) candidate.word.insert(0, begun.substr(0, equals + 1));
}

}  // namespace

Completion completion_of(const CLI::App& app, const std::vector<std::string>& words, const CompletionSources& sources) {
  Place place{.command = &app};
  for (std::size_t i = 0; i + 1 < words.size(); ++i) take_word(place, words[i]);
  const std::string begun = words.empty() ? "" : words.back();
  Completion completion;
  if (place.waiting != nullptr) {
    offer_values(completion, place, *place.waiting, begun, sources);
  } else if (const auto equals = begun.find('='); begins_with(begun, "--") && equals != std::string::npos) {
    offer_assigned(completion, place, begun, equals, sources);
  } else if (!place.are_options_over && begins_with(begun, "-")) {
    offer_options(completion, place, begun);
  } else {
    offer_commands(completion, *place.command, begun);
    const CLI::Option* positional = positional_at(*place.command, place.positionals);
    if (positional != nullptr) offer_values(completion, place, *positional, begun, sources);
    if (positional == nullptr && completion.candidates.empty() && begun.empty() && !place.are_options_over) offer_options(completion, place, begun);
  }
  return completion;
}

void print_completion(const Completion& completion) {
  for (const auto& candidate : completion.candidates) fmt::print("{}\t{}\n", candidate.word, candidate.what);
  switch (completion.paths) {
    case Completion::Paths::none:
      return fmt::print(":none\n");
    case Completion::Paths::files:
      return fmt::print(":files\n");
    case Completion::Paths::folders:
      return fmt::print(":folders\n");
  }
}

CompletionSources completion_sources() {
  CompletionSources sources;
  sources.workflows = [](const std::string& path) { return state::recorded_names(path.empty() ? state::StateFile::default_path() : path); };
  for (const auto& check : check::all_checks()) sources.checks.push_back({std::string(check.name), std::string(check.what)});
  return sources;
}

}  // namespace godwit::cli
