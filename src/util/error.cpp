#include "godwit/util/error.h"

#include <fmt/format.h>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>

#include "godwit/util/redact.h"

namespace godwit {
namespace {

constexpr std::size_t kShownBytesMax = 16384;  // of each part: a packet that is called an error may have megabytes

std::string describe(Code code, const ErrorText& text) {
  std::string line = fmt::format("{} {}", info(code).id, info(code).name);
  if (!text.object.empty()) line += fmt::format(" [{}]", text.object);
  if (!text.cause.empty()) line += ": " + text.cause;
  if (!text.remedy.empty()) line += " => " + text.remedy;
  return line;
}

// A server's words are quoted, and whoever takes its place may say anything: a zero would end the message, others would command the terminal.
std::string harmless(std::string words) {
  std::ranges::replace_if(words, [](unsigned char c) { return std::iscntrl(c) != 0 && c != '\n' && c != '\t'; }, '?');
  return words;
}

// At the end of a letter.
std::string bounded(std::string words) {
  if (words.size() <= kShownBytesMax) return words;
  std::size_t end = kShownBytesMax;
  while (end > 0 && (static_cast<unsigned char>(words[end]) & 0xC0U) == 0x80U) --end;
  return words.erase(end) + "…";
}

// What was mistyped is quoted, and may be a DSN with its password.
std::string fit_to_show(std::string words) { return bounded(harmless(without_passwords(std::move(words)))); }

ErrorText redacted(ErrorText text) { return {.object = fit_to_show(std::move(text.object)), .cause = fit_to_show(std::move(text.cause)), .remedy = fit_to_show(std::move(text.remedy))}; }

}  // namespace

void record_said(std::string_view message) {
  static const char* const path = std::getenv("GODWIT_ERRORS_TO");
  if (path == nullptr) return;
  std::string line(message);
  std::ranges::replace(line, '\n', ' ');
  line += '\n';
  const int file = ::open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (file < 0) return;
  if (::write(file, line.data(), line.size()) < 0) std::perror(path);  // one call: lines of other processes stay whole
  ::close(file);
}

Error::Error(Code code, ErrorText text) : Error(code, redacted(std::move(text)), Redacted{}) {}
Error::Error(Code code, ErrorText text, Redacted) : std::runtime_error(describe(code, text)), code_(code), text_(std::move(text)) { record_said(what()); }

Reaction Error::reaction() const { return info(code_).reaction; }

Error Error::in(std::string_view context) const {
  return Error(code_,
               {.object = text_.object,
                .cause = fmt::format("{}: {}", context, text_.cause),
                .remedy = text_.remedy});
}

int exit_status(Reaction reaction) {
  switch (reaction) {
    case Reaction::usage:
      return 2;
    case Reaction::precondition:
      return 3;
    case Reaction::diverged:
      return 4;
    case Reaction::retryable:
    case Reaction::exhausted:
      return 5;
    case Reaction::cancelled:
      return 130;
    case Reaction::corrupt:
    case Reaction::internal:
      return 1;
  }
  return 1;
}

std::string_view to_string(Reaction reaction) {
  switch (reaction) {
    case Reaction::retryable:
      return "retryable";
    case Reaction::precondition:
      return "precondition";
    case Reaction::usage:
      return "usage";
    case Reaction::corrupt:
      return "corrupt";
    case Reaction::diverged:
      return "diverged";
    case Reaction::cancelled:
      return "cancelled";
    case Reaction::exhausted:
      return "exhausted";
    case Reaction::internal:
      return "internal";
  }
  return "internal";
}

const std::vector<CodeInfo>& all_codes() {
#define GODWIT_CODE_INFO(number, name, reaction, title) \
  {Code::name, "GW" #number, #name, Reaction::reaction, title},
  static const std::vector<CodeInfo> codes{GODWIT_CODES(GODWIT_CODE_INFO)};
#undef GODWIT_CODE_INFO
  return codes;
}

const CodeInfo& info(Code code) { return all_codes()[static_cast<std::size_t>(code)]; }

void check_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "GW0001 internal_error: %s does not hold at %s:%d\n", expression, file, line);
  std::abort();
}

}  // namespace godwit
