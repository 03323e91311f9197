// What an error quotes: a server's words, which may be anything where somebody has taken its place, and what was mistyped.
#include <string>

#include "catch.h"
#include "godwit/util/error.h"

using namespace godwit;

TEST_CASE("error: what is quoted neither ends the message nor commands the terminal") {
  const Error error(Code::cannot_connect, {.object = "source", .cause = std::string("511 no\0thing \x1B[2J\x7F\r", 19), .remedy = "look\tthere\nand there"});
  CHECK(error.what() == std::string("GW0101 cannot_connect [source]: 511 no?thing ?[2J?? => look\tthere\nand there"));
}

TEST_CASE("error: what is quoted has a bound, and is cut between two letters") {
  std::string cause = "x";
  for (int i = 0; i < 100'000; ++i) cause += "\xC3\xBC";
  const Error error(Code::cannot_connect, {.object = "source", .cause = cause, .remedy = "look there"});
  CHECK(error.cause() == cause.substr(0, 16383) + "\xE2\x80\xA6");
  CHECK(error.remedy() == "look there");
}

TEST_CASE("error: letters of any language stay as they are") {
  const std::string cause = "Zugriff f\xC3\xBCr \xE2\x80\x9Eshop\xE2\x80\x9C verweigert";
  CHECK(Error(Code::access_denied, {.object = "source", .cause = cause, .remedy = "GRANT"}).cause() == cause);
}
