// The words of which GTIDs are made, read one by one; white space between them is skipped, as the servers do.
// Everything that does not fit is an Error(gtid_unreadable) with the place. Private to gtid.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "godwit/gtid/gtid.h"

namespace godwit::gtid {

constexpr std::uint64_t kNumberMax = 0x7ffffffffffffffeULL;  // MySQL: GNO_END - 1
constexpr std::size_t kTagBytesMax = 32;

void append_uuid(std::string& out, const Uuid& uuid);
bool is_tag(std::string_view text);

class Grammar {
 public:
  Grammar(Flavour flavour, std::string_view text) : flavour_(flavour), text_(text) {}

  bool is_at_end();
  bool is_at_tag();
  bool accept(char c);
  void expect(char c);
  void expect_end();
  Uuid uuid();
  std::string tag();  // in lower case
  std::uint64_t number(std::uint64_t max, const char* what);
  std::uint64_t transaction_number() {
    return positive(number(kNumberMax, "a transaction number"));
  }
  MariadbGtid mariadb_gtid();
  [[noreturn]] void fail(const char* expected) const;

 private:
  void skip_blanks();
  std::uint64_t positive(std::uint64_t value);

  Flavour flavour_;
  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace godwit::gtid
