#include "commands.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "godwit/util/text.h"

namespace godwit::rehearsal {
namespace {

using nlohmann::json;
constexpr std::chrono::milliseconds kLook{20};
constexpr std::chrono::milliseconds kPatience{20'000};

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

json document_in(const std::string& path) {
  json document = json::parse(text_of(path), nullptr, false);
  return document.is_object() ? document : json::object();
}

std::string last_line(const std::string& text) {
  const auto lines = split(trim(text), '\n');
  return lines.empty() ? "" : lines.back();
}

// One that says nothing was killed, or could not begin.
[[noreturn]] void throw_end(const std::string& name, const std::string& folder, int status, const json& document) {
  if (const auto error = error_of(document)) throw error->in(name);
  const std::string last = last_line(text_of(fmt::format("{}/{}.log", folder, name)));
  throw Error(Code::rehearsal_unready, {.object = name, .cause = fmt::format("it ended with status {}{}{}", status, last.empty() ? "" : ": ", last), .remedy = "run it again with --keep, and look at its log"});
}

}  // namespace

std::optional<Error> error_of(const json& document) {
  if (!document.contains("error") || !document["error"].is_object()) return std::nullopt;
  const json& error = document["error"];
  const auto& codes = all_codes();
  const auto found = std::find_if(codes.begin(), codes.end(), [&](const CodeInfo& one) { return one.id == error.value("code", ""); });
  return Error(found == codes.end() ? Code::internal_error : found->code, {.object = error.value("object", ""), .cause = error.value("cause", ""), .remedy = error.value("remedy", "")});
}

void Running::require_running() {
  if (const auto status = child_->status()) throw_end(name_, folder_, *status, document_in(fmt::format("{}/{}.json", folder_, name_)));
}

std::string Running::log() const { return text_of(fmt::format("{}/{}.log", folder_, name_)); }

void Running::end() { child_->end(kPatience); }

Commands::Commands(std::string folder, const db::Dsn& source, const db::Dsn& target, std::string admin_password, std::function<void()> between)
    : folder_(std::move(folder)),
      environment_{{"GODWIT_SOURCE_PASSWORD", source.password}, {"GODWIT_TARGET_PASSWORD", target.password}, {"GODWIT_ADMIN_PASSWORD", std::move(admin_password)}},
      between_(std::move(between)) {}

std::unique_ptr<Child> Commands::begin(const std::string& name, std::vector<std::string> words) const {
  words.insert(words.end(), {"--json", "--state", state_path()});
  return std::make_unique<Child>(Child::Start{.words = std::move(words), .environment = environment_, .out = fmt::format("{}/{}.json", folder_, name), .err = fmt::format("{}/{}.log", folder_, name)});
}

Answer Commands::run(const std::string& name, const std::vector<std::string>& words, const Stop& stop) const {
  const auto child = begin(name, words);
  while (!child->status()) {
    if (between_) between_();
    if (stop.sleep_for(kLook)) continue;
    child->end(kPatience);
    stop.throw_if_requested();
  }
  Answer answer{.status = *child->status(), .document = document_in(fmt::format("{}/{}.json", folder_, name))};
  const bool is_verdict = answer.status == 0 || (!answer.document.empty() && !answer.document.contains("error"));
  if (!is_verdict) throw_end(name, folder_, answer.status, answer.document);
  return answer;
}

std::unique_ptr<Running> Commands::start(const std::string& name, const std::vector<std::string>& words) const { return std::make_unique<Running>(name, folder_, begin(name, words)); }

}  // namespace godwit::rehearsal
