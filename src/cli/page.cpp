#include "page.h"

#include <fmt/format.h>

#include <algorithm>

#include "godwit/util/text.h"
#include "text_lines.h"

namespace godwit::cli {
namespace {

constexpr std::size_t kTextColumn = 28;  // where explanations begin

// CLI11 tells a value's name and what checks it in one text: "TEXT:{create,existing}", "UINT:INT in [1 - 64]"; a name alone may hold a colon: "ADDR:PORT".
void describe_value(OptionEntry& entry, const std::string& type) {
  const auto brace = type.find(":{");
  const auto range = type.find(" in [");
  const auto end = brace != std::string::npos ? brace : range != std::string::npos ? type.rfind(':', range) : std::string::npos;
  entry.value = type.substr(0, end);
  if (entry.value == "UINT") entry.value = "N";
  if (brace != std::string::npos) {
    entry.choices = split(type.substr(brace + 2, type.size() - brace - 3), ',');
  } else if (range != std::string::npos) {
    const auto bounds = split(type.substr(range + 5, type.size() - range - 6), ' ');  // "1", "-", "64"
    if (bounds.size() == 3) entry.range = bounds[0] + " to " + bounds[2];
  }
}

std::vector<std::string> examples_of(const std::string& footer) {
  std::vector<std::string> lines = split(footer, '\n');
  if (!lines.empty()) lines.erase(lines.begin());  // "Example:"
  for (auto& line : lines) line = std::string(trim(line));
  return lines;
}

// Text that begins at a column, behind a head that may be too long for that.
std::string beside(const std::string& head, const std::string& text) {
  const std::string indent(kTextColumn, ' ');
  std::string out = "  " + head;
  const bool fits = width_of(out) + 1 < kTextColumn;
  out += fits ? std::string(kTextColumn - width_of(out), ' ') : "\n" + indent;
  const auto lines = wrapped(text, kPageColumns - kTextColumn);
  return out + join(lines, "\n" + indent) + "\n";
}

std::string head_of(const OptionEntry& entry) {
  if (entry.is_positional()) return entry.value;
  const std::string value = entry.shown_value();
  return join(entry.names, ", ") + (value.empty() ? "" : " " + value);
}

std::string shown_in_usage(const OptionEntry& entry) {
  const std::string name = entry.value + (entry.is_repeatable ? "..." : "");
  return entry.is_required ? name : "[" + name + "]";
}

class PageFormatter : public CLI::Formatter {
 public:
  std::string make_help(const CLI::App* app, std::string, CLI::AppFormatMode) const override { return help_of(page_of(*app)); }
};

}  // namespace

std::string OptionEntry::shown_value() const { return choices.empty() ? value : join(choices, "|"); }

std::string OptionEntry::explanation() const {
  std::vector<std::string> notes;
  if (is_required) notes.emplace_back("required");
  if (is_repeatable && !is_positional()) notes.emplace_back("repeatable");
  if (!range.empty()) notes.push_back(range);
  if (!initial.empty()) notes.push_back("default: " + initial);
  return what + (notes.empty() ? "" : " (" + join(notes, "; ") + ")");
}

std::string Page::name() const { return join(words, " "); }

std::string Page::usage() const {
  std::string text = groups.empty() ? "" : "[OPTIONS]";
  for (const auto& entry : positionals) text += " " + shown_in_usage(entry);
  if (!subcommands.empty()) text += " COMMAND";
  return text;
}

OptionEntry entry_of(const CLI::Option& option) {
  OptionEntry entry;
  for (const auto& name : option.get_snames()) entry.names.push_back("-" + name);
  for (const auto& name : option.get_lnames()) entry.names.push_back("--" + name);
  if (option.get_items_expected_max() > 0) describe_value(entry, option.get_type_name());
  entry.initial = option.get_default_str();
  entry.is_required = option.get_required();
  entry.is_repeatable = option.get_items_expected_max() > 1;
  entry.what = option.get_description();
  return entry;
}

std::vector<const CLI::App*> shown_subcommands(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App* command) { return !command->get_group().empty(); });
}

const CLI::App* find_command(const CLI::App& app, const std::string& name) {
  for (const CLI::App* command : shown_subcommands(app)) {
    if (command->get_name() == name) return command;
  }
  return nullptr;
}

Page page_of(const CLI::App& app) {
  Page page;
  for (const CLI::App* at = &app; at != nullptr; at = at->get_parent()) page.words.insert(page.words.begin(), at->get_name());
  page.what = app.get_description();
  page.examples = examples_of(app.get_footer());
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_group().empty()) continue;
    if (option->get_positional()) {
      page.positionals.push_back(entry_of(*option));
      continue;
    }
    const auto found = std::find_if(page.groups.begin(), page.groups.end(), [&](const OptionGroup& group) { return group.title == option->get_group(); });
    OptionGroup& group = found != page.groups.end() ? *found : page.groups.emplace_back(OptionGroup{.title = option->get_group(), .options = {}});
    group.options.push_back(entry_of(*option));
  }
  // What the command alone has is read first.
  std::stable_partition(page.groups.begin(), page.groups.end(), [](const OptionGroup& group) { return group.title == "Options"; });
  std::stable_partition(page.groups.begin(), page.groups.end(), [](const OptionGroup& group) { return group.title != kGeneral; });
  for (const CLI::App* command : shown_subcommands(app)) page.subcommands.emplace_back(command->get_name(), command->get_description());
  return page;
}

std::string help_of(const Page& page) {
  std::string out = join(wrapped(page.what, kPageColumns), "\n") + "\n\nUsage: " + page.name() + " " + page.usage() + "\n";
  if (!page.positionals.empty()) out += "\nArguments:\n";
  for (const auto& entry : page.positionals) out += beside(head_of(entry), entry.explanation());
  for (const auto& group : page.groups) {
    out += "\n" + group.title + ":\n";
    for (const auto& entry : group.options) out += beside(head_of(entry), entry.explanation());
  }
  if (!page.subcommands.empty()) out += "\nSubcommands:\n";
  for (const auto& [name, what] : page.subcommands) out += beside(name, what);
  if (!page.examples.empty()) out += page.examples.size() == 1 ? "\nExample:\n" : "\nExamples:\n";
  for (const auto& line : page.examples) out += "  " + line + "\n";
  return out;
}

void use_pages(CLI::App& app) { app.formatter(std::make_shared<PageFormatter>()); }

}  // namespace godwit::cli
