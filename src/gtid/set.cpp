#include "godwit/gtid/set.h"

#include <algorithm>
#include <charconv>
#include <iterator>

#include "godwit/util/error.h"
#include "grammar.h"

namespace godwit::gtid {
namespace {

void append_number(std::string& out, std::uint64_t value) {
  char buffer[20];
  const auto end = std::to_chars(std::begin(buffer), std::end(buffer), value).ptr;
  out.append(std::begin(buffer), end);
}

}  // namespace

Set::Set(Flavour flavour) {
  if (flavour == Flavour::mariadb) set_ = MariadbSet{};
}

Flavour Set::flavour() const {
  return std::holds_alternative<MysqlSet>(set_) ? Flavour::mysql : Flavour::mariadb;
}

bool Set::is_empty() const {
  return std::visit([](const auto& set) { return set.empty(); }, set_);
}

// --- Intervals ----------------------------------------------------------------------------------------------------

void Set::add_interval(Intervals& intervals, std::uint64_t first, std::uint64_t last) {
  auto next = intervals.upper_bound(first);
  if (next != intervals.begin()) {
    const auto before = std::prev(next);
    if (before->second >= last) return;
    if (before->second + 1 >= first) {
      first = before->first;
      next = intervals.erase(before);
    }
  }
  while (next != intervals.end() && next->first <= last + 1) {
    last = std::max(last, next->second);
    next = intervals.erase(next);
  }
  intervals.emplace_hint(next, first, last);
}

void Set::remove_interval(Intervals& intervals, std::uint64_t first, std::uint64_t last) {
  auto it = intervals.upper_bound(first);
  if (it != intervals.begin() && std::prev(it)->second >= first) --it;
  while (it != intervals.end() && it->first <= last) {
    const auto [start, end] = *it;
    it = intervals.erase(it);
    if (start < first) intervals.emplace(start, first - 1);
    if (end > last) intervals.emplace(last + 1, end);
  }
}

bool Set::contains_interval(const Intervals& intervals, std::uint64_t first, std::uint64_t last) {
  const auto after = intervals.upper_bound(first);
  return after != intervals.begin() && std::prev(after)->second >= last;
}

// --- Text ---------------------------------------------------------------------------------------------------------

Set Set::parse(Flavour flavour, std::string_view text) {
  Set result(flavour);
  if (flavour == Flavour::mysql) {
    result.set_ = parse_mysql(text);
  } else {
    result.set_ = parse_mariadb(text);
  }
  return result;
}

Set::MysqlSet Set::parse_mysql(std::string_view text) {
  MysqlSet set;
  Grammar in(Flavour::mysql, text);
  while (!in.is_at_end()) {
    if (in.accept(',')) continue;  // the server takes empty parts too
    const Uuid uuid = in.uuid();
    std::string tag;
    while (in.accept(':')) {
      if (in.is_at_tag()) {
        tag = in.tag();
        continue;
      }
      const std::uint64_t first = in.transaction_number();
      const std::uint64_t last = in.accept('-') ? in.transaction_number() : first;
      if (last >= first) add_interval(set[{uuid, tag}], first, last);  // "5-3" is an empty interval
    }
    if (!in.is_at_end()) in.expect(',');
  }
  return set;
}

Set::MariadbSet Set::parse_mariadb(std::string_view text) {
  MariadbSet set;
  Grammar in(Flavour::mariadb, text);
  if (in.is_at_end()) return set;
  do {
    const MariadbGtid gtid = in.mariadb_gtid();
    // The server refuses it as well: which of the two would be the position?
    if (!set.emplace(gtid.domain, gtid).second) in.fail("each domain once");
  } while (in.accept(','));
  in.expect_end();
  return set;
}

void Set::append_mysql(std::string& out, const MysqlSet& set) {
  const Uuid* open = nullptr;
  for (const auto& [origin, intervals] : set) {
    const auto& [uuid, tag] = origin;
    if (open == nullptr || *open != uuid) {
      if (open != nullptr) out.push_back(',');
      append_uuid(out, uuid);
      open = &uuid;
    }
    if (!tag.empty()) out.append(1, ':').append(tag);
    for (const auto& [first, last] : intervals) {
      out.push_back(':');
      append_number(out, first);
      if (last == first) continue;
      out.push_back('-');
      append_number(out, last);
    }
  }
}

void Set::append_mariadb(std::string& out, const MariadbSet& set) {
  bool is_first = true;
  for (const auto& [domain, gtid] : set) {
    if (!is_first) out.push_back(',');
    is_first = false;
    append_number(out, domain);
    out.push_back('-');
    append_number(out, gtid.server);
    out.push_back('-');
    append_number(out, gtid.sequence);
  }
}

void Set::append_to(std::string& out) const {
  if (flavour() == Flavour::mysql) return append_mysql(out, mysql());
  append_mariadb(out, mariadb());
}

std::string Set::to_string() const {
  std::string text;
  append_to(text);
  return text;
}

// --- Operations ---------------------------------------------------------------------------------------------------

bool Set::contains(const Gtid& gtid) const {
  GODWIT_CHECK(flavour_of(gtid) == flavour());
  if (const auto* wanted = std::get_if<MysqlGtid>(&gtid)) {
    const auto found = mysql().find({wanted->uuid, wanted->tag});
    return found != mysql().end() &&
           contains_interval(found->second, wanted->number, wanted->number);
  }
  const auto& wanted = std::get<MariadbGtid>(gtid);
  const auto found = mariadb().find(wanted.domain);
  return found != mariadb().end() && wanted.sequence <= found->second.sequence;
}

bool Set::contains(const Set& other) const {
  GODWIT_CHECK(other.flavour() == flavour());
  if (flavour() == Flavour::mariadb) {
    return std::all_of(other.mariadb().begin(), other.mariadb().end(), [&](const auto& item) {
      return contains(Gtid(item.second));
    });
  }
  for (const auto& [origin, intervals] : other.mysql()) {
    const auto found = mysql().find(origin);
    if (found == mysql().end()) return false;
    for (const auto& [first, last] : intervals) {
      if (!contains_interval(found->second, first, last)) return false;
    }
  }
  return true;
}

bool Set::intersects(const Set& other) const {
  GODWIT_CHECK(other.flavour() == flavour());
  if (flavour() == Flavour::mariadb) {
    return std::any_of(other.mariadb().begin(), other.mariadb().end(), [&](const auto& item) {
      return mariadb().count(item.first) != 0;
    });
  }
  for (const auto& [origin, intervals] : other.mysql()) {
    const auto found = mysql().find(origin);
    if (found == mysql().end()) continue;
    for (const auto& [first, last] : intervals) {
      // Ours that begins last at or before `last`: no other can reach into the interval without this one doing so.
      const auto after = found->second.upper_bound(last);
      if (after != found->second.begin() && std::prev(after)->second >= first) return true;
    }
  }
  return false;
}

void Set::add(const Gtid& gtid) {
  GODWIT_CHECK(flavour_of(gtid) == flavour());
  if (const auto* mysql_gtid = std::get_if<MysqlGtid>(&gtid)) {
    return add_interval(std::get<MysqlSet>(set_)[{mysql_gtid->uuid, mysql_gtid->tag}],
                        mysql_gtid->number,
                        mysql_gtid->number);
  }
  const auto& mariadb_gtid = std::get<MariadbGtid>(gtid);
  const auto [at, is_new] = std::get<MariadbSet>(set_).emplace(mariadb_gtid.domain, mariadb_gtid);
  if (!is_new && at->second.sequence < mariadb_gtid.sequence) at->second = mariadb_gtid;
}

void Set::add(const Set& other) {
  GODWIT_CHECK(other.flavour() == flavour());
  if (flavour() == Flavour::mariadb) {
    for (const auto& [domain, gtid] : other.mariadb()) add(Gtid(gtid));
    return;
  }
  for (const auto& [origin, intervals] : other.mysql()) {
    auto& mine = std::get<MysqlSet>(set_)[origin];
    for (const auto& [first, last] : intervals) add_interval(mine, first, last);
  }
}

void Set::subtract(const Set& other) {
  GODWIT_CHECK(other.flavour() == flavour());
  if (flavour() == Flavour::mariadb) {
    std::erase_if(std::get<MariadbSet>(set_),
                  [&](const auto& item) { return other.contains(Gtid(item.second)); });
    return;
  }
  auto& mine = std::get<MysqlSet>(set_);
  if (&other == this) return mine.clear();
  for (const auto& [origin, intervals] : other.mysql()) {
    const auto found = mine.find(origin);
    if (found == mine.end()) continue;
    for (const auto& [first, last] : intervals) remove_interval(found->second, first, last);
    if (found->second.empty()) mine.erase(found);
  }
}

void Set::intersect(const Set& other) {
  GODWIT_CHECK(other.flavour() == flavour());
  if (flavour() == Flavour::mysql) {
    Set rest = *this;
    rest.subtract(other);
    return subtract(rest);
  }
  auto& mine = std::get<MariadbSet>(set_);
  std::erase_if(mine, [&](const auto& item) { return other.mariadb().count(item.first) == 0; });
  for (auto& [domain, gtid] : mine) {
    const MariadbGtid& theirs = other.mariadb().at(domain);
    if (theirs.sequence < gtid.sequence) gtid = theirs;
  }
}

// --- Binary form --------------------------------------------------------------------------------------------------
// count: u64; its top byte is the format: 0 untagged, 1 tagged, where the count is shifted left by 8 and the lowest byte is 1 too.
// Per origin: UUID, [tag: one byte, twice its length, then the tag], intervals: u64, each first: u64, last + 1: u64.

namespace {

constexpr std::uint64_t kFormatShift = 56;
constexpr std::uint64_t kTagged = 1;

void append_u64(std::string& out, std::uint64_t value) {
  for (int i = 0; i < 8; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
}

class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  std::string_view take(std::size_t count) {
    if (rest_.size() < count) fail("it ends early");
    const auto taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }
  std::uint64_t u64() {
    std::uint64_t value = 0;
    const auto bytes = take(8);
    for (std::size_t i = 8; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
    return value;
  }
  Uuid uuid() {
    Uuid uuid;
    const auto bytes = take(uuid.bytes.size());
    std::transform(bytes.begin(), bytes.end(), uuid.bytes.begin(), [](char c) {
      return static_cast<std::uint8_t>(c);
    });
    return uuid;
  }
  std::string tag() {
    const auto size = static_cast<unsigned char>(take(1).front());
    if ((size & 1U) != 0) fail("a tag is too long");
    std::string tag(take(size / 2));
    if (!tag.empty() && !is_tag(tag)) fail("a tag is none");
    return tag;
  }
  void finish() const {
    if (!rest_.empty()) fail("bytes are left over");
  }
  [[noreturn]] static void fail(const char* cause) {
    throw Error(Code::event_corrupt,
                {.object = "GTID set in binary form", .cause = cause,
                 .remedy = "compare with the server's own reader of binlogs; what a newer server writes may need a newer godwit"});
  }

 private:
  std::string_view rest_;
};

}  // namespace

Set Set::decode(std::string_view bytes) {
  Set result(Flavour::mysql);
  auto& set = std::get<MysqlSet>(result.set_);
  Reader in(bytes);
  const std::uint64_t head = in.u64();
  const std::uint64_t format = head >> kFormatShift;
  if (format > kTagged) Reader::fail("its format is not known");
  const std::uint64_t count = format == kTagged ? (head << 8) >> 16 : head;
  for (std::uint64_t i = 0; i < count; ++i) {
    const Uuid uuid = in.uuid();
    const std::string tag = format == kTagged ? in.tag() : std::string();
    const std::uint64_t interval_count = in.u64();
    for (std::uint64_t k = 0; k < interval_count; ++k) {
      const std::uint64_t first = in.u64();
      const std::uint64_t end = in.u64();
      if (first == 0 || end <= first || end - 1 > kNumberMax) Reader::fail("an interval is none");
      add_interval(set[{uuid, tag}], first, end - 1);
    }
  }
  in.finish();
  return result;
}

std::string Set::encode() const {
  GODWIT_CHECK(flavour() == Flavour::mysql);
  const auto& set = mysql();
  const bool is_tagged = std::any_of(
      set.begin(), set.end(), [](const auto& item) { return !item.first.second.empty(); });
  std::string out;
  append_u64(out, is_tagged ? kTagged << kFormatShift | set.size() << 8 | kTagged : set.size());
  for (const auto& [origin, intervals] : set) {
    for (const std::uint8_t byte : origin.first.bytes) out.push_back(static_cast<char>(byte));
    if (is_tagged)
      out.append(1, static_cast<char>(origin.second.size() << 1)).append(origin.second);
    append_u64(out, intervals.size());
    for (const auto& [first, last] : intervals) {
      append_u64(out, first);
      append_u64(out, last + 1);
    }
  }
  return out;
}

}  // namespace godwit::gtid
