// Standard output, as a terminal or as what a program reads. Only a terminal gets colours and lines of its width. Private to cli.
#pragma once

#include <string>
#include <string_view>

namespace godwit::cli {

enum class Colour { plain, green, yellow, red };

// The text itself, unless standard output is a terminal that may have colours (https://no-color.org).
std::string coloured(Colour colour, std::string_view text);
// A line; on a terminal it is broken at words, and what goes over into further ones is indented by `hang`.
void print_line(std::string_view text, std::size_t hang = 2);
// Columns of the terminal; 0: standard output is none.
std::size_t terminal_columns();

}  // namespace godwit::cli
