#include "root_table.h"

#include <algorithm>
#include <charconv>

#include "godwit/util/error.h"
#include "godwit/util/text.h"

namespace godwit::shard {
namespace {

constexpr std::string_view kItems =
#include "root_weights.inc"
    ;

// Not in the table, and ideographs (Unicode 15).
struct Span {
  char32_t first;
  char32_t last;
};
constexpr std::array<Span, 20> kIdeographs{{{0x3006, 0x3007},   {0x3021, 0x3029},   {0x3038, 0x303A},   {0x3400, 0x4DBF},   {0x4E00, 0x9FFF},
                                            {0xF900, 0xFA6D},   {0xFA70, 0xFAD9},   {0x16FE4, 0x16FE4}, {0x17000, 0x187F7}, {0x18800, 0x18CD5},
                                            {0x18D00, 0x18D08}, {0x1B170, 0x1B2FB}, {0x20000, 0x2A6DF}, {0x2A700, 0x2B739}, {0x2B740, 0x2B81D},
                                            {0x2B820, 0x2CEA1}, {0x2CEB0, 0x2EBE0}, {0x2F800, 0x2FA1D}, {0x30000, 0x3134A}, {0x31350, 0x323AF}}};

// The weight of a character that the table does not have: common ideographs before rare ones, and those before everything else.
std::uint32_t implied_weight(char32_t character) {
  const bool is_ideograph = std::ranges::any_of(kIdeographs, [&](const Span& span) { return character >= span.first && character <= span.last; });
  const bool is_common = (character >= 0x4E00 && character <= 0x9FFF) || (character >= 0xF900 && character <= 0xFAFF);
  if (!is_ideograph) return character + 0x50000;
  return character + (is_common ? 0x10000 : 0x20000);
}

std::uint32_t number(std::string_view text, int base) {
  std::uint32_t value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  GODWIT_CHECK(error == std::errc() && stop == text.data() + text.size());
  return value;
}

Element parse_element(std::string_view text) {
  const std::size_t colon = text.find(':');
  Element element{.primary = number(text.substr(0, colon), 16)};
  if (colon != std::string_view::npos) element.mark_class = static_cast<std::uint8_t>(number(text.substr(colon + 1), 10));
  return element;
}

constexpr char32_t kHangulFirst = 0xAC00;
constexpr char32_t kHangulLast = 0xD7A3;
constexpr char32_t kVowels = 21;
constexpr char32_t kFinals = 28;  // none of them counts as one

}  // namespace

const RootTable& RootTable::instance() {
  static const RootTable table;
  return table;
}

RootTable::RootTable() {
  for (std::string_view left = trim(kItems); !left.empty();) {
    const std::size_t end = std::min(left.find_first_of(" \n"), left.size());
    add(left.substr(0, end));
    left.remove_prefix(std::min(end + 1, left.size()));
  }
}

void RootTable::add(std::string_view item) {
  const std::size_t equals = item.find('=');
  const std::string_view characters = item.substr(0, equals);
  std::vector<Element> elements;
  for (const auto& part : split(item.substr(equals + 1), ',')) elements.push_back(parse_element(part));
  if (characters.find('.') != std::string_view::npos) {
    const auto parts = split(characters, '.');
    SequenceNode* node = &sequences_[number(parts.front(), 16)];
    for (std::size_t i = 1; i < parts.size(); ++i) node = &node->next[number(parts[i], 16)];
    node->elements = std::move(elements);
    return;
  }
  const std::size_t sign = characters.find_first_of("+*");
  Run run{.first = number(characters.substr(0, sign), 16), .elements_begin = elements_.size()};
  if (sign != std::string_view::npos) run.count = number(characters.substr(sign + 1), 10);
  run.is_rising = sign != std::string_view::npos && characters[sign] == '+';
  elements_.insert(elements_.end(), elements.begin(), elements.end());
  run.elements_end = elements_.size();
  runs_.push_back(run);
}

std::span<const Element> RootTable::elements_of(const Run& run) const {
  return std::span(elements_).subspan(run.elements_begin, run.elements_end - run.elements_begin);
}

RootTable::Entry RootTable::find(char32_t character) const {
  const auto after = std::ranges::upper_bound(runs_, character, {}, &Run::first);
  if (after == runs_.begin() || character - std::prev(after)->first >= std::prev(after)->count) return {.single = {.primary = implied_weight(character)}};
  const Run& run = *std::prev(after);
  Entry entry{.is_listed = true};
  if (run.is_rising) {
    entry.single = elements_of(run).front();
    entry.single.primary += character - run.first;
  } else {
    entry.listed = elements_of(run);
  }
  const auto sequences = sequences_.find(character);
  if (sequences != sequences_.end()) entry.sequences = &sequences->second;
  return entry;
}

unsigned RootTable::leading_class(char32_t character) const { return find(character).elements().front().mark_class; }

unsigned RootTable::trailing_class(char32_t character) const {
  // Three vowel signs of Tibetan are two marks in one.
  if (character == 0xF73 || character == 0xF81) return 130;
  if (character == 0xF75) return 132;
  return find(character).elements().back().mark_class;
}

std::size_t SequenceMatch::go_on(std::u32string_view text, std::size_t at) {
  for (; at < text.size(); ++at) {
    const auto next = node_->next.find(text[at]);
    if (next == node_->next.end()) return at;
    node_ = &next->second;
    if (node_->elements.empty()) continue;
    elements_ = node_->elements;
    length_ = at + 1;
  }
  return at;
}

bool is_hangul(char32_t character) { return character >= kHangulFirst && character <= kHangulLast; }

std::vector<char32_t> hangul_letters(char32_t character) {
  const char32_t syllable = character - kHangulFirst;
  std::vector<char32_t> letters{0x1100 + syllable / (kVowels * kFinals), 0x1161 + syllable / kFinals % kVowels};
  if (syllable % kFinals != 0) letters.push_back(0x11A7 + syllable % kFinals);
  return letters;
}

}  // namespace godwit::shard
