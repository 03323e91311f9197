#include "text_lines.h"

#include "godwit/util/text.h"

namespace godwit::cli {

std::size_t width_of(std::string_view text) {
  std::size_t width = 0;
  bool is_colour = false;  // "ESC[…m" takes no room
  for (const char byte : text) {
    const bool begins_character = (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U;
    is_colour = is_colour || byte == '\033';
    if (!is_colour && begins_character) ++width;
    if (byte == 'm') is_colour = false;
  }
  return width;
}

std::vector<std::string> wrapped(std::string_view text, std::size_t columns) {
  std::vector<std::string> lines(1);
  std::string gap;  // before the next word; several blanks keep columns of a line apart
  for (const auto& word : split(text, ' ')) {
    std::string& line = lines.back();
    if (!line.empty()) gap += ' ';
    if (word.empty()) continue;
    const bool fits = line.empty() || width_of(line) + gap.size() + width_of(word) <= columns;
    if (fits) {
      line += gap + word;
    } else {
      lines.push_back(word);
    }
    gap.clear();
  }
  return lines;
}

}  // namespace godwit::cli
