// The root collation's table (root_weights.inc), read once. Immutable; any thread. Private to shard.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <string_view>
#include <vector>

namespace godwit::shard {

struct Element {
  std::uint32_t primary = 0;  // 0: does not count
  std::uint8_t mark_class = 0;  // canonical combining class; 0: no mark
};

// The characters that may follow, and what it is that ends here.
struct SequenceNode {
  std::map<char32_t, SequenceNode> next;
  std::vector<Element> elements;  // empty: no sequence ends here
};

class RootTable {
 public:
  static const RootTable& instance();

  struct Entry {
    std::span<const Element> listed;
    Element single;  // where the weight is made of the character's number, or rises with it
    bool is_listed = false;
    const SequenceNode* sequences = nullptr;  // that begin with the character
    std::span<const Element> elements() const { return listed.empty() ? std::span<const Element>(&single, 1) : listed; }
  };
  Entry find(char32_t character) const;
  unsigned leading_class(char32_t character) const;
  unsigned trailing_class(char32_t character) const;

 private:
  struct Run {
    char32_t first = 0;
    std::uint32_t count = 1;
    bool is_rising = false;
    std::size_t elements_begin = 0;
    std::size_t elements_end = 0;
  };

  RootTable();
  void add(std::string_view item);
  std::span<const Element> elements_of(const Run& run) const;

  std::vector<Run> runs_;  // by `first`
  std::vector<Element> elements_;
  std::map<char32_t, SequenceNode> sequences_;
};

// How far a text goes along the sequences that begin with a character.
class SequenceMatch {
 public:
  explicit SequenceMatch(const SequenceNode& root) : node_(&root) {}
  // Goes on with the text at that place, as far as there are sequences; gives where it stopped.
  std::size_t go_on(std::u32string_view text, std::size_t at);
  bool is_at_end() const { return node_->next.empty(); }
  std::size_t length() const { return length_; }  // of the text up to the longest sequence's end
  std::span<const Element> elements() const { return elements_; }

 private:
  const SequenceNode* node_;
  std::size_t length_ = 0;
  std::span<const Element> elements_;
};

bool is_hangul(char32_t character);
// The two or three letters that the syllable is written with.
std::vector<char32_t> hangul_letters(char32_t character);

}  // namespace godwit::shard
