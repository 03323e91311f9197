// The one exception of godwit: a stable code, the object it is about, the cause, and the way to mend it.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "godwit/util/codes.h"

namespace godwit {

// What the caller does about an error; every code has exactly one.
enum class Reaction { retryable, precondition, usage, corrupt, diverged, cancelled, exhausted, internal };

struct ErrorText {
  std::string object;  // what it is about: `shop`.`orders`, "source 127.0.0.1:3306", --map
  std::string cause;   // what was seen, the server's own words included
  std::string remedy;  // the statement or flag that mends it
};

class Error : public std::runtime_error {
 public:
  // Of each part the password of a quoted DSN is left out, what a terminal would obey is shown as "?", and 16 KiB are kept.
  Error(Code code, ErrorText text);

  Code code() const { return code_; }
  Reaction reaction() const;
  const std::string& object() const { return text_.object; }
  const std::string& cause() const { return text_.cause; }
  const std::string& remedy() const { return text_.remedy; }
  bool is_retryable() const { return reaction() == Reaction::retryable; }

  // The same error, with the place where it was met put before the cause.
  Error in(std::string_view context) const;

 private:
  struct Redacted {};
  Error(Code code, ErrorText text, Redacted);

  Code code_;
  ErrorText text_;
};

// For the tests of godwit itself: appends it, as one line, to the file that $GODWIT_ERRORS_TO names. Every Error does so when it is made. From any thread; never fails.
void record_said(std::string_view message);

// 0 done, 1 internal or corrupt, 2 usage, 3 precondition, 4 the sides differ, 5 retries used up, 130 interrupted.
int exit_status(Reaction reaction);
std::string_view to_string(Reaction reaction);

struct CodeInfo {
  Code code;
  std::string_view id;     // "GW0101"
  std::string_view name;   // "cannot_connect"
  Reaction reaction;
  std::string_view title;  // one line for a list of codes
};

const CodeInfo& info(Code code);
const std::vector<CodeInfo>& all_codes();

// A promise of the programmer that does not hold ends the process; on in release.
[[noreturn]] void check_failed(const char* expression, const char* file, int line);

}  // namespace godwit

#define GODWIT_CHECK(expression) \
  ((expression) ? static_cast<void>(0) : ::godwit::check_failed(#expression, __FILE__, __LINE__))
