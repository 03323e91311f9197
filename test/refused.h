// What an act is refused with, so that a test can say the words.
#pragma once

#include "catch.h"
#include "godwit/util/error.h"

namespace godwit {

template <typename Act>
Error refusal(Act act) {
  try {
    act();
  } catch (const Error& error) {
    return error;
  }
  FAIL("it was not refused");
  return Error(Code::internal_error, {});
}

inline bool has(const std::string& text, std::string_view words) { return text.find(words) != std::string::npos; }

}  // namespace godwit
