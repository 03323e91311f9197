// The manual page of a command, in the macros of man(7).
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "godwit/util/error.h"
#include "godwit/util/text.h"
#include "page.h"

namespace godwit::cli {
namespace {

// roff's own characters are escaped; what is no ASCII is written in it, since not every device has more.
std::string roff(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i, 3) == "\xE2\x80\xA6") {  // …
      out += "...";
      i += 2;
    } else if (text[i] == '\\') {
      out += "\\e";
    } else if (text[i] == '-') {
      out += "\\-";  // a plain one becomes a hyphen, which no shell understands
    } else if (text[i] == '\'') {
      out += "\\(aq";
    } else if (text[i] == '^') {
      out += "\\(ha";
    } else if (text[i] == '~') {
      out += "\\(ti";
    } else {
      out += text[i];
    }
  }
  return !out.empty() && out[0] == '.' ? "\\&" + out : out;
}

std::string bold(std::string_view text) { return "\\fB" + roff(text) + "\\fR"; }
std::string italic(std::string_view text) { return "\\fI" + roff(text) + "\\fR"; }
std::string section(std::string_view title) { return fmt::format(".SH {}\n", title); }
std::string tagged(const std::string& tag, const std::string& text) { return ".TP\n" + tag + "\n" + text + "\n"; }

std::string tag_of(const OptionEntry& entry) {
  if (entry.is_positional()) return italic(entry.value);
  std::vector<std::string> names;
  for (const auto& name : entry.names) names.push_back(bold(name));
  std::string tag = join(names, ", ");
  if (!entry.choices.empty()) return tag + " " + bold(entry.shown_value());
  return entry.value.empty() ? tag : tag + " " + italic(entry.value);
}

std::string synopsis_of(const Page& page) {
  std::string text = bold(page.name());
  for (const auto& word : split(page.usage(), ' ')) text += " " + italic(word);
  return section("SYNOPSIS") + text + "\n";
}

std::string options_of(const Page& page) {
  std::string out;
  if (!page.positionals.empty()) out += section("ARGUMENTS");
  for (const auto& entry : page.positionals) out += tagged(tag_of(entry), roff(entry.explanation()));
  if (!page.groups.empty()) out += section("OPTIONS");
  for (const auto& group : page.groups) {
    if (page.groups.size() > 1) out += fmt::format(".SS {}\n", roff(group.title));
    for (const auto& entry : group.options) out += tagged(tag_of(entry), roff(entry.explanation()));
  }
  return out;
}

std::string reference(const std::vector<std::string>& words) { return ".BR " + roff(join(words, "-")) + " (1)"; }

std::string commands_of(const Page& page) {
  if (page.subcommands.empty()) return "";
  std::string out = section("COMMANDS");
  for (const auto& [name, what] : page.subcommands) out += tagged(bold(name), roff(what));
  return out;
}

std::string examples_of(const Page& page) {
  if (page.examples.empty()) return "";
  std::string out = section("EXAMPLES") + ".nf\n";
  for (const auto& line : page.examples) out += roff(line) + "\n";
  return out + ".fi\n";
}

std::string statuses() {
  const std::array<std::pair<int, const char*>, 7> all{{
      {0, "It is done."},
      {exit_status(Reaction::internal), "A defect of godwit, or what was read or stored is not what it must be: do not go on."},
      {exit_status(Reaction::usage), "The command line or the configuration cannot be taken."},
      {exit_status(Reaction::precondition), "Something must be mended first; the message says what, and how."},
      {exit_status(Reaction::diverged), "The sides differ."},
      {exit_status(Reaction::exhausted), "It failed too often in a row."},
      {exit_status(Reaction::cancelled), "It was stopped; the same command goes on."},
  }};
  std::string out = section("EXIT STATUS");
  for (const auto& [status, what] : all) out += tagged(bold(std::to_string(status)), roff(what));
  return out;
}

// What holds for all commands is told once, in godwit(1).
std::string surroundings() {
  const std::array<std::pair<const char*, const char*>, 7> variables{{
      {"GODWIT_SOURCE_PASSWORD", "The password of the source's account."},
      {"GODWIT_TARGET_PASSWORD", "That of the target's, or of the shards'."},
      {"GODWIT_ADMIN_PASSWORD", "That of the proxy's own admin account."},
      {"GODWIT_STATE", "The state file, where --state names none."},
      {"XDG_STATE_HOME", "The folder in which it is otherwise."},
      {"NO_COLOR", "When it is set and not empty, nothing is coloured on a terminal either."},
      {"GODWIT_FAILPOINTS", "Arms failpoints, for tests: godwit inspect failpoints."},
  }};
  std::string out = section("ENVIRONMENT");
  for (const auto& [name, what] : variables) out += tagged(bold(name), roff(what));
  out += section("FILES") + tagged(italic("~/.local/state/godwit/godwit.db"), roff("The state file: what the workflows are, and what happened; any SQLite client reads it."));
  return out;
}

std::string see_also(const Page& page) {
  std::vector<std::string> lines;
  std::vector<std::string> parent = page.words;
  for (parent.pop_back(); !parent.empty(); parent.pop_back()) lines.push_back(reference(parent));
  for (const auto& [name, what] : page.subcommands) {
    std::vector<std::string> words = page.words;
    words.push_back(name);
    lines.push_back(reference(words));
  }
  if (lines.empty()) return "";
  return section("SEE ALSO") + join(lines, ",\n") + "\n";
}

}  // namespace

std::string manual_of(const Page& page) {
  const bool is_root = page.words.size() == 1;
  const std::string title = join(page.words, "-");
  std::string upper = title;
  std::transform(upper.begin(), upper.end(), upper.begin(), [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  std::string out = fmt::format(".TH {} 1 \"\" godwit \"User Commands\"\n.nh\n.ad l\n", roff(upper));
  out += section("NAME") + roff(title) + " \\- " + roff(page.what) + "\n" + synopsis_of(page) + commands_of(page) + options_of(page) + examples_of(page);
  if (is_root) out += statuses() + surroundings();
  return out + see_also(page);
}

}  // namespace godwit::cli
