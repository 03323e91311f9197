#include "utf8.h"

#include <cstddef>
#include <cstdint>

namespace godwit::shard {
namespace {

struct Form {
  std::size_t bytes = 0;  // 0: no character begins like this
  char32_t bits = 0;
  char32_t least = 0;  // below it the form is too long
};

Form form_of(unsigned char first) {
  if (first < 0x80) return {.bytes = 1, .bits = first, .least = 0};
  if (first < 0xC0) return {};
  if (first < 0xE0) return {.bytes = 2, .bits = first & 0x1FU, .least = 0x80};
  if (first < 0xF0) return {.bytes = 3, .bits = first & 0x0FU, .least = 0x800};
  if (first < 0xF8) return {.bytes = 4, .bits = first & 0x07U, .least = 0x10000};
  return {};
}

bool is_scalar(char32_t character) { return character <= 0x10FFFF && (character < 0xD800 || character > 0xDFFF); }

}  // namespace

std::optional<std::u32string> decode_utf8(std::string_view text) {
  std::u32string characters;
  characters.reserve(text.size());
  while (!text.empty()) {
    const Form form = form_of(static_cast<unsigned char>(text.front()));
    if (form.bytes == 0 || form.bytes > text.size()) return std::nullopt;
    char32_t character = form.bits;
    for (std::size_t i = 1; i < form.bytes; ++i) {
      const auto byte = static_cast<unsigned char>(text[i]);
      if ((byte & 0xC0U) != 0x80) return std::nullopt;
      character = (character << 6) | (byte & 0x3FU);
    }
    if (character < form.least || !is_scalar(character)) return std::nullopt;
    characters.push_back(character);
    text.remove_prefix(form.bytes);
  }
  return characters;
}

}  // namespace godwit::shard
