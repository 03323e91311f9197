// What a rehearsal has made is taken back, after its end, its failure, or the death of the one before. First what serves is made the source again, where somebody died in a switch; then
// `cancel` drops what the copies have recorded as theirs; then goes what the rehearsal itself has recorded. Each step may be repeated, and none goes by a name alone.
#include <fmt/format.h>

#include <filesystem>

#include "godwit/sql/quote.h"
#include "godwit/state/authority.h"
#include "godwit/util/error.h"
#include "godwit/util/log.h"
#include "run.h"

namespace godwit::rehearsal {
namespace {

// The steps of a rehearsal that was killed end by themselves, a moment later; until then they may hold what is to be dropped.
constexpr unsigned kAttempts = 6;
constexpr std::chrono::seconds kBetween{1};

const Stop& never() {
  static const Stop stop;  // a second signal ends the process; the first one is why this is done
  return stop;
}

}  // namespace

void Run::attempt(const std::string& what, const std::function<void()>& deed) {
  for (unsigned attempt = 1;; ++attempt) {
    try {
      return deed();
    } catch (const Error& error) {
      if (attempt < kAttempts) {
        log::info("{}: tried again: {}", what, error.what());
        never().sleep_for(kBetween);
        continue;
      }
      log::warning("{}: {}", what, error.what());
      report_.left.push_back(fmt::format("{}: {}", what, error.what()));
      return;
    }
  }
}

void Run::cancel(const std::string& step, const std::string& workflow, const Words& sides, std::vector<std::string>& dropped) {
  Words words{"cancel", workflow, "--schema", "create"};
  words.insert(words.end(), sides.begin(), sides.end());
  const Answer answer = commands_.run(step, words, never());
  for (const auto& what : answer.document.value("dropped", nlohmann::json::array())) dropped.push_back(what.get<std::string>());
}

// A switch that was killed is settled by the next one; its clients are gone, so it needs no proxy.
void Run::bring_back() {
  const auto route = state::Authority(throwaway_.target(), switch_workflow_).read();
  if (!route || (route->serving == db::Side::source && !route->is_switching)) return;
  log::info("rehearse {}: the rehearsed switch is taken back", options_.definition.name);
  Words words{"replicate", switch_workflow_};
  const auto sides = endpoints(switch_schema_, switch_schema_);
  words.insert(words.end(), sides.begin(), sides.end());
  if (!switch_stream_) switch_stream_ = commands_.start("switch-replicate", words);
  for (const char* command : {"switch", "reverse"}) {
    const auto now = state::Authority(throwaway_.target(), switch_workflow_).read();
    const bool is_settled = now && now->serving == db::Side::source && !now->is_switching;
    const bool is_needed = std::string_view(command) == "reverse" || (now && now->is_switching);
    if (is_settled || !is_needed) continue;
    try {
      commands_.run(fmt::format("clean-{}", command), {command, switch_workflow_, "--no-proxy", "--fence", route->fence.empty() ? "triggers" : route->fence, "--pause-max", "30s", "--lag-max", "30s", "--yes"}, never());
    } catch (const Error& error) {
      if (std::string_view(command) == "reverse") throw;
      log::info("{}", error.what());
    }
  }
}

void Run::clean_switch_part(std::vector<std::string>& dropped, bool is_begun) {
  if ((is_begun && throwaway_.has_sidecar()) || throwaway_.has_stream(switch_workflow_)) {
    attempt("the rehearsed switch", [&] {
      bring_back();
      if (switch_stream_) switch_stream_->end();
      switch_stream_.reset();
      cancel("clean-switch-part", switch_workflow_, endpoints(switch_schema_, switch_schema_), dropped);
    });
  }
  switch_stream_.reset();
  if (!report_.left.empty()) return;  // the source's schema is what says that it is ours
  attempt("the source's schema " + switch_schema_, [&] {
    for (auto& what : throwaway_.drop(switch_schema_, is_begun)) dropped.push_back(std::move(what));
  });
}

void Run::clean_data_part(std::vector<std::string>& dropped, bool is_begun) {
  if (!(is_begun && throwaway_.has_sidecar()) && !throwaway_.has_stream(data_workflow_)) return;
  attempt("the data part", [&] { cancel("clean-data-part", data_workflow_, data_endpoints(false), dropped); });
}

std::vector<std::string> Run::clean(bool is_begun) {
  client_.reset();
  proxy_.reset();
  data_stream_.reset();
  std::filesystem::create_directories(options_.folder);
  std::vector<std::string> dropped;
  attempt("the session of the rehearsal", [&] { throwaway_.reconnect(); });
  if (report_.left.empty()) {
    clean_switch_part(dropped, is_begun);
    clean_data_part(dropped, is_begun);
  }
  if (report_.left.empty()) attempt("the folder " + options_.folder, [&] { remove_folder(); });
  return dropped;
}

void Run::remove_folder() const {
  std::error_code error;
  std::filesystem::remove_all(options_.folder, error);
  if (error) throw Error(Code::rehearsal_uncleaned, {.object = options_.folder, .cause = error.message(), .remedy = "let what still writes there end; then godwit rehearse NAME --clean"});
}

std::vector<std::string> Run::clean_all() {
  auto dropped = clean(recorded_sides(options_.folder).has_value());
  if (report_.left.empty()) return dropped;
  throw Error(Code::rehearsal_uncleaned, {.object = "godwit rehearse " + options_.definition.name, .cause = report_.left.front(), .remedy = "mend that; then godwit rehearse NAME --clean"});
}

}  // namespace godwit::rehearsal
