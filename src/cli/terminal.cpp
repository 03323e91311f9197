#include "terminal.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "godwit/util/text.h"
#include "text_lines.h"

namespace godwit::cli {
namespace {

constexpr std::size_t kColumnsMin = 40;

bool may_colour() {
  const char* no_colour = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  return terminal_columns() > 0 && (no_colour == nullptr || *no_colour == '\0') && terminal != nullptr && std::string_view(terminal) != "dumb";
}

}  // namespace

std::size_t terminal_columns() {
  if (::isatty(STDOUT_FILENO) == 0) return 0;
  winsize size{};
  const bool is_known = ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return is_known ? std::max<std::size_t>(size.ws_col, kColumnsMin) : kPageColumns;
}

std::string coloured(Colour colour, std::string_view text) {
  if (colour == Colour::plain || !may_colour()) return std::string(text);
  const int number = colour == Colour::green ? 32 : colour == Colour::yellow ? 33 : 31;
  return fmt::format("\033[{}m{}\033[0m", number, text);
}

void print_line(std::string_view text, std::size_t hang) {
  const std::size_t columns = terminal_columns();
  if (columns == 0 || width_of(text) <= columns) return fmt::print("{}\n", text);
  const std::size_t indent = std::min(text.find_first_not_of(' '), text.size());
  const std::string first(indent, ' ');
  const std::string next = "\n" + std::string(hang, ' ');
  fmt::print("{}{}\n", first, join(wrapped(text.substr(indent), columns - std::max(indent, hang)), next));
}

}  // namespace godwit::cli
