#include "loose.h"

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "root_table.h"
#include "utf8.h"

namespace godwit::shard {
namespace {

constexpr std::size_t kMarksMax = 30;  // after one character: what follows is not put in order with them

// Characters to elements, one character or sequence after the other, in the order of the text.
class Elements {
 public:
  explicit Elements(const RootTable& table) : table_(table) {}

  // Appends those of the character that the text begins with, or of the sequence; gives how many characters that were.
  std::size_t append_first_of(std::u32string_view text) {
    const auto entry = table_.find(text.front());
    if (entry.sequences != nullptr) return 1 + append_sequence(entry, text.substr(1));
    if (!entry.is_listed && is_hangul(text.front())) {
      for (const char32_t letter : hangul_letters(text.front())) append(table_.find(letter).elements());
    } else {
      append(entry.elements());
    }
    return 1;
  }
  std::vector<Element>& all() { return all_; }

 private:
  void append(std::span<const Element> elements) { all_.insert(all_.end(), elements.begin(), elements.end()); }

  // A sequence may be interrupted by marks that do not act upon what comes after them: those of a lower class. They are appended behind it.
  std::size_t append_sequence(const RootTable::Entry& first, std::u32string_view rest) {
    SequenceMatch match(*first.sequences);
    std::u32string skipped;
    std::size_t skipped_in_match = 0;
    std::size_t at = match.go_on(rest, 0);
    if (!match.is_at_end() && at < rest.size() && table_.leading_class(rest[at]) != 0) {
      const auto marks = rest.substr(0, end_of_marks(rest, at));
      std::size_t from = at;
      unsigned class_before = table_.trailing_class(rest[at++]);
      while (at < marks.size() && !match.is_at_end() && class_before < table_.leading_class(marks[at])) {
        class_before = table_.trailing_class(marks[at]);
        const std::size_t next = match.go_on(marks, at);
        if (next == at) {
          ++at;
          continue;
        }
        skipped += marks.substr(from, at - from);
        if (match.length() == next) skipped_in_match = skipped.size();
        at = from = next;
      }
    }
    append(match.elements().empty() ? first.elements() : match.elements());
    skipped.resize(skipped_in_match);
    for (std::u32string_view left = skipped; !left.empty();) left.remove_prefix(append_first_of(left));
    return match.length();
  }

  // Classes are bytes: no more marks than that can be of rising ones.
  std::size_t end_of_marks(std::u32string_view text, std::size_t at) const {
    const std::size_t end = std::min<std::size_t>(text.size(), at + 256);
    while (at < end && table_.leading_class(text[at]) != 0) ++at;
    return at;
  }

  const RootTable& table_;
  std::vector<Element> all_;
};

// The elements of a text, those of its marks in the order of their classes, however they were written.
std::vector<Element> ordered_elements(std::u32string_view text) {
  Elements elements(RootTable::instance());
  auto& all = elements.all();
  const auto take = [&] {
    if (text.empty()) return false;
    text.remove_prefix(elements.append_first_of(text));
    return true;
  };
  std::size_t settled = 0;
  while (settled < all.size() || take()) {
    if (all.back().mark_class == 0) {
      settled = all.size();
    } else if (all[settled].mark_class == 0) {
      while (settled < all.size() && all[settled].mark_class == 0) ++settled;
    } else {
      unsigned class_before = all.back().mark_class;
      std::size_t end = all.size();
      for (; take(); end = all.size()) {
        const unsigned mark_class = all[end].mark_class;
        if (mark_class == 0 || all.size() - settled > kMarksMax) break;
        if (mark_class >= class_before) {
          class_before = mark_class;
          continue;
        }
        std::size_t place = end - 1;
        while (place > settled && mark_class < all[place - 1].mark_class) --place;
        std::rotate(all.begin() + static_cast<std::ptrdiff_t>(place), all.begin() + static_cast<std::ptrdiff_t>(end), all.end());
      }
      settled = end;
    }
  }
  return std::move(all);
}

// Fifteen bits in two bytes, twenty-three in three.
void append_weight(std::string& key, std::uint32_t weight) {
  if (weight > 0x7FFF) key.push_back(static_cast<char>((weight >> 16) | 0x80));
  key.push_back(static_cast<char>(weight >> 8));
  key.push_back(static_cast<char>(weight));
}

}  // namespace

std::optional<std::string> loose_key(std::string_view text) {
  const auto characters = decode_utf8(text.substr(0, text.find_last_not_of(' ') + 1));
  if (!characters) return std::nullopt;
  std::string key;
  for (const Element& element : ordered_elements(*characters)) {
    if (element.primary != 0) append_weight(key, element.primary);
  }
  return key;
}

}  // namespace godwit::shard
