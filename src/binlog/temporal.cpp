#include "temporal.h"

#include <array>

#include "bytes.h"
#include "digits.h"
#include "godwit/util/error.h"

namespace godwit::binlog {
namespace {

constexpr std::array<std::uint64_t, 7> kPowersOfTen{1, 10, 100, 1000, 10'000, 100'000, 1'000'000};
constexpr std::uint64_t kMicrosecondsPerSecond = 1'000'000;
constexpr unsigned kFractionDigitsMax = 6;

struct Date {
  std::uint64_t year = 0;
  std::uint64_t month = 0;
  std::uint64_t day = 0;
};
struct Clock {
  std::uint64_t hour = 0;
  std::uint64_t minute = 0;
  std::uint64_t second = 0;
  std::uint64_t microsecond = 0;
};

void append_date(std::string& out, const Date& date) {
  if (date.year > 9999 || date.month > 12 || date.day > 31)
    fail_corrupt("a date that no calendar has");
  append_padded(out, date.year, 4);
  out.push_back('-');
  append_padded(out, date.month, 2);
  out.push_back('-');
  append_padded(out, date.day, 2);
}

void append_clock(std::string& out, const Clock& clock, unsigned digits) {
  const bool is_one = clock.hour <= 999 && clock.minute <= 59 && clock.second <= 59 &&
                      clock.microsecond < kMicrosecondsPerSecond;
  if (!is_one) fail_corrupt("a time that no clock shows");
  append_padded(out, clock.hour, clock.hour > 99 ? 3 : 2);
  out.push_back(':');
  append_padded(out, clock.minute, 2);
  out.push_back(':');
  append_padded(out, clock.second, 2);
  if (digits == 0) return;
  out.push_back('.');
  append_padded(out, clock.microsecond / kPowersOfTen[kFractionDigitsMax - digits], digits);
}

void append_moment(std::string& out, const Date& date, const Clock& clock, unsigned digits) {
  if (clock.hour > 23) fail_corrupt("an hour that no day has");
  append_date(out, date);
  out.push_back(' ');
  append_clock(out, clock, digits);
}

// --- The forms since MySQL 5.6 ------------------------------------------------------------------------------------

// A fraction takes a byte for two digits.
std::uint64_t microseconds(std::uint64_t fraction, std::size_t bytes) {
  return fraction * kPowersOfTen[kFractionDigitsMax - 2 * bytes];
}

// hour 10 bits, minute 6, second 6
Clock clock_of(std::uint64_t bits, std::uint64_t microsecond) {
  return {.hour = bits >> 12 & 0x3ff,
          .minute = bits >> 6 & 0x3f,
          .second = bits & 0x3f,
          .microsecond = microsecond};
}

// year * 13 + month 17 bits, day 5, hour 5, minute 6, second 6
Date date_of(std::uint64_t bits) {
  const std::uint64_t day_bits = bits >> 17;
  const std::uint64_t months = day_bits >> 5;
  return {.year = months / 13, .month = months % 13, .day = day_bits & 31};
}
Clock clock_of_day(std::uint64_t bits, std::uint64_t microsecond) {
  return clock_of(bits & 0x1ffff, microsecond);
}

std::uint64_t magnitude(std::int64_t value) {
  return value < 0 ? std::uint64_t{0} - static_cast<std::uint64_t>(value)
                   : static_cast<std::uint64_t>(value);
}

void append_time(std::string& out, std::string_view bytes, unsigned digits) {
  // Number and fraction are one big-endian number with an offset, so that a negative one borrows from its whole part.
  const std::size_t fraction_bytes = bytes.size() - 3;
  const unsigned fraction_bits = static_cast<unsigned>(fraction_bytes * 8);
  const auto value = big_endian<std::int64_t>(bytes) - (std::int64_t{0x800000} << fraction_bits);
  if (value < 0) out.push_back('-');
  const std::uint64_t size = magnitude(value);
  const std::uint64_t fraction = size & ((std::uint64_t{1} << fraction_bits) - 1);
  append_clock(
      out, clock_of(size >> fraction_bits, microseconds(fraction, fraction_bytes)), digits);
}

void append_datetime(std::string& out, std::string_view bytes, unsigned digits) {
  constexpr std::uint64_t kOffset = 0x8000000000;
  const auto whole = big_endian<std::uint64_t>(bytes.substr(0, 5));
  if (whole < kOffset) fail_corrupt("a date before the year 0");
  const auto fraction = bytes.substr(5);
  const std::uint64_t bits = whole - kOffset;
  append_moment(
      out,
      date_of(bits),
      clock_of_day(bits, microseconds(big_endian<std::uint64_t>(fraction), fraction.size())),
      digits);
}

// Days since 1970 as a date of the proleptic Gregorian calendar; eras of 400 years that begin in March.
Date civil_date(std::uint64_t days) {
  constexpr std::uint64_t kDaysTo1970 = 719'468;  // from 0000-03-01
  constexpr std::uint64_t kEraDays = 146'097;
  const std::uint64_t shifted = days + kDaysTo1970;
  const std::uint64_t era = shifted / kEraDays;
  const std::uint64_t day_of_era = shifted % kEraDays;
  const std::uint64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const std::uint64_t day_of_year =
      day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const std::uint64_t month = (5 * day_of_year + 2) / 153;
  const std::uint64_t is_after_december = month >= 10 ? 1 : 0;
  return {.year = era * 400 + year_of_era + is_after_december,
          .month = month + 3 - 12 * is_after_december,
          .day = day_of_year - (153 * month + 2) / 5 + 1};
}

void append_seconds(std::string& out,
                    std::uint64_t seconds,
                    std::uint64_t microsecond,
                    unsigned digits) {
  if (seconds == 0 && microsecond == 0)
    return append_moment(out, {}, {}, digits);  // the zero moment
  const std::uint64_t in_day = seconds % 86'400;
  const Clock clock{.hour = in_day / 3600,
                    .minute = in_day / 60 % 60,
                    .second = in_day % 60,
                    .microsecond = microsecond};
  append_moment(out, civil_date(seconds / 86'400), clock, digits);
}

void append_timestamp(std::string& out, std::string_view bytes, unsigned digits) {
  const auto fraction = bytes.substr(4);
  append_seconds(out,
                 big_endian<std::uint32_t>(bytes.substr(0, 4)),
                 microseconds(big_endian<std::uint64_t>(fraction), fraction.size()),
                 digits);
}

// --- Older forms --------------------------------------------------------------------------------------------------

// A number of digits hhmmss, negative or not, in three bytes.
void append_time_old(std::string& out, std::string_view bytes) {
  constexpr std::int64_t kSign = 0x800000;
  const auto raw = little_endian<std::int64_t>(bytes);
  const std::int64_t value = raw >= kSign ? raw - 2 * kSign : raw;
  if (value < 0) out.push_back('-');
  const std::uint64_t digits = magnitude(value);
  append_clock(
      out, {.hour = digits / 10'000, .minute = digits / 100 % 100, .second = digits % 100}, 0);
}

// A number of digits yyyymmddhhmmss.
void append_datetime_old(std::string& out, std::string_view bytes) {
  const auto value = little_endian<std::uint64_t>(bytes);
  const std::uint64_t day = value / 1'000'000;
  const std::uint64_t time = value % 1'000'000;
  append_moment(out,
                {.year = day / 10'000, .month = day / 100 % 100, .day = day % 100},
                {.hour = time / 10'000, .minute = time / 100 % 100, .second = time % 100},
                0);
}

// MariaDB's hires forms are big-endian numbers of 10^-digits seconds.
std::uint64_t to_microseconds(std::uint64_t value, unsigned digits) {
  return value * kPowersOfTen[kFractionDigitsMax - digits];
}

void append_time_hires(std::string& out, std::string_view bytes, unsigned digits) {
  constexpr std::int64_t kSecondsMax =
      838 * 3600 + 59 * 60 + 59 + 1;  // the offset, which makes negative ones sort first
  const auto per_second = static_cast<std::int64_t>(kPowersOfTen[digits]);
  const std::int64_t value = big_endian<std::int64_t>(bytes) - kSecondsMax * per_second;
  if (value < 0) out.push_back('-');
  const std::uint64_t size = magnitude(value);
  const std::uint64_t seconds = size / kPowersOfTen[digits];
  append_clock(out,
               {.hour = seconds / 3600,
                .minute = seconds / 60 % 60,
                .second = seconds % 60,
                .microsecond = to_microseconds(size % kPowersOfTen[digits], digits)},
               digits);
}

void append_datetime_hires(std::string& out, std::string_view bytes, unsigned digits) {
  auto value = big_endian<std::uint64_t>(bytes);
  Clock clock{.microsecond = to_microseconds(value % kPowersOfTen[digits], digits)};
  value /= kPowersOfTen[digits];
  clock.second = value % 60;
  clock.minute = value / 60 % 60;
  clock.hour = value / 3600 % 24;
  value /= 86'400;
  append_moment(
      out, {.year = value / 32 / 13, .month = value / 32 % 13, .day = value % 32}, clock, digits);
}

void append_timestamp_hires(std::string& out, std::string_view bytes, unsigned digits) {
  const auto fraction = big_endian<std::uint64_t>(bytes.substr(4));
  append_seconds(out,
                 big_endian<std::uint32_t>(bytes.substr(0, 4)),
                 to_microseconds(fraction, digits),
                 digits);
}

}  // namespace

void append_temporal(std::string& out, std::string_view bytes, const ColumnLayout& column) {
  const unsigned digits = column.precision;
  switch (static_cast<int>(column.kind)) {
    case static_cast<int>(ValueKind::date): {
      const auto bits = little_endian<std::uint32_t>(bytes);
      return append_date(out, {.year = bits >> 9, .month = bits >> 5 & 15, .day = bits & 31});
    }
    case static_cast<int>(ValueKind::time): return append_time(out, bytes, digits);
    case static_cast<int>(ValueKind::datetime): return append_datetime(out, bytes, digits);
    case static_cast<int>(ValueKind::timestamp): return append_timestamp(out, bytes, digits);
    case static_cast<int>(ValueKind::time_old): return append_time_old(out, bytes);
    case static_cast<int>(ValueKind::datetime_old): return append_datetime_old(out, bytes);
    case static_cast<int>(ValueKind::timestamp_old):
      return append_seconds(out, little_endian<std::uint32_t>(bytes), 0, 0);
    case static_cast<int>(ValueKind::time_hires): return append_time_hires(out, bytes, digits);
    case static_cast<int>(ValueKind::datetime_hires):
      return append_datetime_hires(out, bytes, digits);
    default:
      GODWIT_CHECK(column.kind == ValueKind::timestamp_hires);
      return append_timestamp_hires(out, bytes, digits);
  }
}

// The packed forms: whole part << 24 | microseconds, as one signed number.

void append_packed_time(std::string& out, std::int64_t packed) {
  if (packed < 0) out.push_back('-');
  const std::uint64_t size = magnitude(packed);
  append_clock(out, clock_of(size >> 24, size & 0xffffff), kFractionDigitsMax);
}

void append_packed_datetime(std::string& out, std::int64_t packed) {
  const std::uint64_t size = magnitude(packed);
  append_moment(
      out, date_of(size >> 24), clock_of_day(size >> 24, size & 0xffffff), kFractionDigitsMax);
}

void append_packed_date(std::string& out, std::int64_t packed) {
  append_date(out, date_of(magnitude(packed) >> 24));
}

}  // namespace godwit::binlog
