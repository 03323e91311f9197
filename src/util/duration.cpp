#include "godwit/util/duration.h"

namespace godwit {

std::optional<std::chrono::seconds> time_left(const Pace& pace) {
  if (pace.per_s < 1 || pace.done >= pace.total || pace.done * 100 < pace.total) return std::nullopt;
  return std::chrono::seconds(static_cast<std::int64_t>(static_cast<double>(pace.total - pace.done) / pace.per_s));
}

}  // namespace godwit
