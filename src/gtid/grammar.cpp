#include "grammar.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "godwit/util/error.h"

namespace godwit::gtid {
namespace {

constexpr std::size_t kShownBytes = 80;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
char lower_of(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  const char low = lower_of(c);
  return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

}  // namespace

void append_uuid(std::string& out, const Uuid& uuid) {
  static constexpr char kDigits[] = "0123456789abcdef";
  for (std::size_t i = 0; i < uuid.bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) out.push_back('-');
    out.push_back(kDigits[uuid.bytes[i] >> 4]);
    out.push_back(kDigits[uuid.bytes[i] & 15]);
  }
}

bool is_tag(std::string_view text) {
  const auto is_inner = [](char c) { return is_letter(c) || is_digit(c); };
  return !text.empty() && text.size() <= kTagBytesMax && is_letter(text.front()) &&
         std::all_of(text.begin(), text.end(), is_inner);
}

void Grammar::skip_blanks() {
  while (at_ < text_.size() && (text_[at_] == ' ' || (text_[at_] >= '\t' && text_[at_] <= '\r')))
    ++at_;
}

bool Grammar::is_at_end() {
  skip_blanks();
  return at_ == text_.size();
}

bool Grammar::is_at_tag() {
  skip_blanks();
  return at_ < text_.size() && is_letter(text_[at_]);
}

bool Grammar::accept(char c) {
  skip_blanks();
  if (at_ == text_.size() || text_[at_] != c) return false;
  ++at_;
  return true;
}

void Grammar::expect(char c) {
  if (!accept(c)) fail(c == ':' ? "':'" : c == '-' ? "'-'" : "','");
}

void Grammar::expect_end() {
  if (!is_at_end()) fail("the end");
}

Uuid Grammar::uuid() {
  skip_blanks();
  Uuid result;
  // 32 digits with a dash after the 8th, 12th, 16th and 20th, or with none: Uuid::parse of the server takes both.
  const bool has_dashes = at_ + 8 < text_.size() && text_[at_ + 8] == '-';
  for (std::size_t i = 0; i < result.bytes.size(); ++i) {
    const bool is_dash_due = has_dashes && (i == 4 || i == 6 || i == 8 || i == 10);
    if (is_dash_due && (at_ == text_.size() || text_[at_++] != '-')) fail("a UUID");
    if (at_ + 2 > text_.size()) fail("a UUID");
    const int high = hex_value(text_[at_]);
    const int low = hex_value(text_[at_ + 1]);
    if (high < 0 || low < 0) fail("a UUID");
    result.bytes[i] = static_cast<std::uint8_t>(high * 16 + low);
    at_ += 2;
  }
  return result;
}

std::string Grammar::tag() {
  skip_blanks();
  const std::size_t begin = at_;
  while (at_ < text_.size() && (is_letter(text_[at_]) || is_digit(text_[at_]))) ++at_;
  std::string result(text_.substr(begin, at_ - begin));
  if (!is_tag(result)) fail("a tag of at most 32 letters, digits and underscores");
  std::transform(result.begin(), result.end(), result.begin(), lower_of);
  return result;
}

std::uint64_t Grammar::number(std::uint64_t max, const char* what) {
  skip_blanks();
  if (at_ == text_.size() || !is_digit(text_[at_])) fail(what);
  std::uint64_t value = 0;
  while (at_ < text_.size() && is_digit(text_[at_])) {
    const auto digit = static_cast<std::uint64_t>(text_[at_] - '0');
    if (value > (max - digit) / 10) fail(what);
    value = value * 10 + digit;
    ++at_;
  }
  return value;
}

std::uint64_t Grammar::positive(std::uint64_t value) {
  if (value == 0) fail("a transaction number from 1 on");
  return value;
}

MariadbGtid Grammar::mariadb_gtid() {
  constexpr std::uint64_t kIdMax = std::numeric_limits<std::uint32_t>::max();
  MariadbGtid gtid;
  gtid.domain = static_cast<std::uint32_t>(number(kIdMax, "a domain"));
  expect('-');
  gtid.server = static_cast<std::uint32_t>(number(kIdMax, "a server id"));
  expect('-');
  gtid.sequence = number(std::numeric_limits<std::uint64_t>::max(), "a sequence number");
  return gtid;
}

void Grammar::fail(const char* expected) const {
  const std::size_t begin = at_ > kShownBytes / 2 ? at_ - kShownBytes / 2 : 0;
  throw Error(
      Code::gtid_unreadable,
      {.object = fmt::format("{} position", gtid::to_string(flavour_)),
       .cause = fmt::format(
           "expected {} at byte {}, near \"{}\"", expected, at_, text_.substr(begin, kShownBytes)),
       .remedy = flavour_ == Flavour::mysql
                     ? "give it as @@gtid_executed prints it: uuid:1-5:7,uuid:tag:1-3"
                     : "give it as @@gtid_binlog_pos prints it: 0-1-100,1-2-5"});
}

}  // namespace godwit::gtid
