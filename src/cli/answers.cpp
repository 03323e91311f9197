#include "answers.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "godwit/cutover/cutover.h"
#include "godwit/util/text.h"

namespace godwit::cli {
namespace {

constexpr std::chrono::hours kOldVdiff{24};
constexpr std::chrono::hours kLittleRetention{1};

using Reason = std::optional<std::string>;
using Needs = std::vector<Need>;

std::string of_shard(const StreamView& stream) { return stream.row.key.shard == "-" ? "" : " of shard " + stream.row.key.shard; }
std::string on_shard(const StreamView& stream) { return stream.row.key.shard == "-" ? "" : " on shard " + stream.row.key.shard; }
bool is_copying(const StreamView& stream) { return stream.row.state == "creating" || stream.row.state == "copying"; }
bool is_unfinished(const Survey& survey) { return survey.route && survey.route->is_switching; }
const char* command_to(db::Side side) { return side == db::Side::target ? "switch" : "reverse"; }

// Their ranges, one behind the other, from the first key to the last: "-80", "80-"; of one target "-".
bool are_all_shards(const std::vector<const StreamView*>& streams) {
  std::map<std::string, std::string> ends;  // by begin
  for (const auto* stream : streams) {
    const std::string& range = stream->row.key.shard;
    ends[range.substr(0, range.find('-'))] = range.substr(range.find('-') + 1);
  }
  auto at = ends.find("");
  for (std::size_t i = 0; at != ends.end() && i < ends.size(); ++i) {
    if (at->second.empty()) return true;
    at = ends.find(at->second);
  }
  return false;
}

Reason refusal_of(const StreamView& stream) {
  if (is_copying(stream)) return fmt::format("the copy{} is not finished", of_shard(stream));
  if (stream.row.state != "running" && stream.row.state != "copied") return fmt::format("the stream{} is {}", of_shard(stream), stream.row.state);
  if (!stream.row.position) return fmt::format("the stream{} has no position", of_shard(stream));
  if (!stream.is_followed) return fmt::format("no godwit replicate is at work{}", on_shard(stream));
  if (stream.is_compared) return "a vdiff is at work, and stops the stream now and then";
  return {};
}

Reason refusal_of(const Survey& survey) {
  if (is_unfinished(survey)) return fmt::format("a switch is under way, by {}", survey.route->coordinator);
  if (survey.is_coordinated) return "a switch, complete or cancel is at work";
  const auto streams = survey.streams();
  if (survey.passive() != nullptr && streams.empty()) return fmt::format("there is no stream to the {}", db::to_string(workflow::other(*survey.serving)));
  for (const auto* stream : streams) {
    if (auto why = refusal_of(*stream)) return why;
  }
  const auto* passive = survey.passive();
  if (passive != nullptr && passive->vdiff && passive->vdiff->row.state == "different") return "the last vdiff found differences";
  return {};
}

Reason lag_refusal(const Learned& learned) {
  const bool is_behind = learned.survey.is_near ? !*learned.survey.is_near : learned.lag && *learned.lag > cutover::kLagMax;
  if (!is_behind) return {};
  return fmt::format("more than {} behind (--lag-max)", format_duration(cutover::kLagMax));
}

void need_end_of_switch(const Learned& learned, Needs& result) {
  const Survey& survey = learned.survey;
  const bool is_frozen = std::ranges::any_of(survey.streams(), [](const StreamView* stream) { return stream->row.state == "frozen"; });
  if (survey.is_coordinated || (!is_unfinished(survey) && !is_frozen)) return;
  const char* command = survey.serving ? command_to(workflow::other(*survey.serving)) : "switch";
  result.push_back({fmt::format("a {} has begun, and nobody is at it any more", command), fmt::format("godwit {} {}", command, learned.name)});
}

void need_stream(const Learned& learned, const StreamView& stream, Needs& result) {
  const std::string replicate = "godwit replicate " + learned.name;
  if (stream.row.state == state::kCancelledState) {
    result.push_back({fmt::format("a cancel{} has begun, and has not ended", of_shard(stream)), "godwit cancel " + learned.name});
  } else if (stream.row.state == "error") {
    result.push_back({fmt::format("the stream{} has stopped: {}", of_shard(stream), stream.row.last_error), replicate});
  } else if (!is_copying(stream) && !stream.is_followed && stream.row.state != "frozen" && stream.row.state != state::kCompletedState) {
    const std::string error = stream.row.last_error.empty() ? "" : ": " + stream.row.last_error;
    result.push_back({fmt::format("no godwit replicate is at work{}, its position last moved {} ago{}", on_shard(stream), format_duration(stream.moved_ago), error), replicate});
  }
}

void need_copy(const Learned& learned, Needs& result) {
  constexpr std::chrono::minutes kSilent{1};  // it says so every ten seconds
  if (learned.phase != "copying") return;
  const std::string copy = "godwit copy " + learned.name;
  if (!learned.copy_error.empty()) return result.push_back({"the copy has stopped: " + learned.copy_error, copy});
  if (learned.copy_silence && *learned.copy_silence > kSilent) result.push_back({fmt::format("the copy has not been heard of for {}", format_duration(*learned.copy_silence)), copy + ", unless it is at work on a large table's keys"});
}

void need_streams(const Learned& learned, Needs& result) {
  need_copy(learned, result);
  for (const auto* stream : learned.survey.streams()) {
    need_stream(learned, *stream, result);
    if (stream->failed > 0) result.push_back({fmt::format("{} statements after the copy{} have failed", stream->failed, of_shard(*stream)), "godwit copy " + learned.name});
  }
  if (!learned.retention_left || *learned.retention_left > kLittleRetention) return;
  result.push_back({fmt::format("the side that serves keeps what the stream needs next for {} only", format_duration(*learned.retention_left)), "let that side keep its binlogs longer"});
}

void need_fences(const Learned& learned, Needs& result) {
  const Survey& survey = learned.survey;
  if (!survey.serving || is_unfinished(survey) || survey.is_coordinated) return;
  const auto look = [&](const ServerView& view, db::Side side) {
    if (view.open_fence.empty() || side == *survey.serving) return;
    result.push_back({fmt::format("the fence of the {} is open: its read_only is off, and ordinary accounts can write there", db::to_string(side)), fmt::format("godwit replicate {} closes it again", learned.name)});
  };
  if (survey.source) look(*survey.source, db::Side::source);
  for (const auto& target : survey.targets) look(target, db::Side::target);
}

void need_proxies(const Learned& learned, Needs& result) {
  const Survey& survey = learned.survey;
  for (const auto& proxy : survey.proxies) {
    const bool is_silent = proxy.seen_ago > state::kProxySilenceMax;
    // What it noted before a switch it notes otherwise a moment after.
    const bool has_noted_since = !survey.route || proxy.seen_ago < survey.route_age;
    const bool is_elsewhere = survey.serving && !is_unfinished(survey) && has_noted_since && proxy.serving != *survey.serving;
    if (is_silent) result.push_back({fmt::format("the proxy at {} has not been heard of for {}", proxy.endpoint, format_duration(proxy.seen_ago)), "start it again, unless it was ended for good"});
    if (!is_silent && is_elsewhere) result.push_back({fmt::format("the proxy at {} sends to the {}", proxy.endpoint, db::to_string(proxy.serving)), fmt::format("godwit {} {} --proxy {}", command_to(*survey.serving), learned.name, proxy.endpoint)});
  }
}

void need_vdiff(const Learned& learned, Needs& result) {
  const ServerView* passive = learned.survey.passive();
  const auto streams = learned.survey.streams();
  if (passive == nullptr || streams.empty() || std::ranges::any_of(streams, [](const StreamView* stream) { return is_copying(*stream) || stream->is_compared; })) return;
  const std::string vdiff = "godwit vdiff " + learned.name;
  if (!passive->vdiff) return result.push_back({"no vdiff has compared the sides", vdiff});
  const std::string& state = passive->vdiff->row.state;
  if (state == "different") return result.push_back({"the last vdiff found differences", vdiff + " --repair"});
  if (state == "running") return result.push_back({"a vdiff was interrupted", vdiff});
  if (state == "partial") return result.push_back({"the last vdiff could not compare everything", vdiff});
  if (passive->vdiff->age > kOldVdiff) result.push_back({fmt::format("the last vdiff is {} old", format_duration(passive->vdiff->age)), vdiff + " --resume"});
}

void need_servers(const Survey& survey, Needs& result) {
  if (!survey.serving) result.push_back({survey.why_unknown, "is it there, and is its password right? $GODWIT_TARGET_PASSWORD, or --target-defaults-file"});
  if (survey.serving == db::Side::target && survey.source && !survey.source->is_known()) {
    result.push_back({survey.source->why_unknown, "the stream back is kept there: $GODWIT_SOURCE_PASSWORD, or --source-defaults-file"});
  }
}

}  // namespace

Permission may_switch(const Learned& learned) {
  const Survey& survey = learned.survey;
  Permission result{.to = survey.serving == db::Side::target ? db::Side::source : db::Side::target, .is_given = {}, .why = {}};
  const auto denied = [&](std::string why) {
    result.is_given = false;
    result.why = std::move(why);
    return result;
  };
  if (cutover::is_completed_phase(learned.phase)) return denied(fmt::format("it is {}: there is no way back", learned.phase));
  if (!survey.serving) {
    result.why = survey.why_unknown;
    return result;
  }
  if (const auto why = refusal_of(survey)) return denied(*why);
  if (const auto why = lag_refusal(learned)) return denied(*why);
  if (survey.passive() == nullptr) result.why = survey.source ? survey.source->why_unknown : "the source, which keeps the stream back, was not asked: --source";
  if (result.why.empty() && !are_all_shards(survey.streams())) result.why = "not every shard was asked: --target for each";
  if (result.why.empty() && !survey.is_near && !learned.lag) result.why = survey.why_lag_unknown.empty() ? "the lag is not known" : survey.why_lag_unknown;
  if (result.why.empty()) result.is_given = true;
  return result;
}

std::vector<Need> needs(const Learned& learned) {
  Needs result;
  if (learned.phase == cutover::kCompletedPhase) return result;
  if (learned.phase == cutover::kCompletingPhase) return {{"complete has begun, and has not ended", "godwit complete " + learned.name}};
  need_servers(learned.survey, result);
  need_end_of_switch(learned, result);
  need_streams(learned, result);
  need_fences(learned, result);
  need_proxies(learned, result);
  need_vdiff(learned, result);
  return result;
}

}  // namespace godwit::cli
