#include "special.h"

#include <algorithm>
#include <array>

#include "bytes.h"
#include "digits.h"

namespace godwit::binlog {
namespace {

template <std::size_t Size>
std::array<std::uint8_t, Size> whole(std::string_view bytes) {
  if (bytes.size() > Size) fail_corrupt("more bytes than the column takes");
  std::array<std::uint8_t, Size> result{};
  std::transform(bytes.begin(), bytes.end(), result.begin(), [](char c) {
    return static_cast<std::uint8_t>(c);
  });
  return result;
}

constexpr char kDigits[] = "0123456789abcdef";

void append_dotted(std::string& out, const std::uint8_t* bytes) {
  for (int i = 0; i < 4; ++i) {
    if (i > 0) out.push_back('.');
    append_unsigned(out, bytes[i]);
  }
}

void append_word(std::string& out, std::uint16_t word) {
  bool has_digits = false;
  for (int shift = 12; shift >= 0; shift -= 4) {
    const unsigned digit = static_cast<unsigned>(word) >> shift & 15U;
    has_digits = has_digits || digit != 0 || shift == 0;
    if (has_digits) out.push_back(kDigits[digit]);
  }
}

struct Gap {
  std::size_t begin = 8;
  std::size_t size = 0;
};

// The longest run of zero words, the first of several. One alone is a run too, against RFC 5952: so the server prints it.
Gap longest_gap(const std::array<std::uint16_t, 8>& words) {
  Gap best;
  std::size_t begin = 0;
  for (std::size_t i = 0; i <= words.size(); ++i) {
    if (i < words.size() && words[i] == 0) continue;
    if (i - begin > best.size) best = {.begin = begin, .size = i - begin};
    begin = i + 1;
  }
  return best;
}

}  // namespace

// In the record, the parts of a UUID of versions 1 to 5 stand in reverse order, so that those made one after another sort together
// (plugin/type_uuid/sql_type_uuid.h); the test for it is the server's.
void append_uuid_record(std::string& out, std::string_view bytes) {
  constexpr std::array<std::size_t, 16> kSwapped{
      12, 13, 14, 15, 10, 11, 8, 9, 6, 7, 0, 1, 2, 3, 4, 5};
  const auto record = whole<16>(bytes);
  const bool is_swapped = (record[6] & 0x80U) != 0 && record[8] != 0 && record[8] <= 0x80;
  for (std::size_t i = 0; i < record.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) out.push_back('-');
    const std::uint8_t byte = record[is_swapped ? kSwapped[i] : i];
    out.push_back(kDigits[byte >> 4]);
    out.push_back(kDigits[byte & 15]);
  }
}

void append_inet4(std::string& out, std::string_view bytes) {
  append_dotted(out, whole<4>(bytes).data());
}

void append_inet6(std::string& out, std::string_view bytes) {
  const auto raw = whole<16>(bytes);
  std::array<std::uint16_t, 8> words{};
  for (std::size_t i = 0; i < words.size(); ++i)
    words[i] = static_cast<std::uint16_t>(raw[2 * i] << 8 | raw[2 * i + 1]);
  const Gap gap = longest_gap(words);
  // IPv4-compatible (::1.2.3.4) and IPv4-mapped (::ffff:1.2.3.4) addresses end in dots.
  const bool is_v4 = gap.begin == 0 && (gap.size == 6 || (gap.size == 5 && words[5] == 0xffff));
  const std::size_t end = is_v4 ? 6 : 8;
  for (std::size_t i = 0; i < end; ++i) {
    if (i == gap.begin) {
      out.append(i == 0 ? "::" : ":");
      i += gap.size - 1;
      continue;
    }
    append_word(out, words[i]);
    if (i + 1 < 8) out.push_back(':');
  }
  if (is_v4) append_dotted(out, raw.data() + 12);
}

}  // namespace godwit::binlog
