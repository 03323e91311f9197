// A server may be restarting: that ends what was asked of it, not the command. One thread.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <string_view>

#include "godwit/util/error.h"
#include "godwit/util/log.h"
#include "godwit/util/stop.h"

namespace godwit::workflow {

struct Patience {
  unsigned attempts_max = 10;
  const Stop& stop;

  // Until `work` fails with nothing that passes; what it gives.
  template <typename Work>
  auto until_done(std::string_view what, Work work) const {
    using std::chrono::milliseconds;
    for (unsigned attempt = 1;; ++attempt) {
      try {
        return work();
      } catch (const Error& error) {
        if (!error.is_retryable() || error.code() == Code::lock_unavailable) throw;
        if (attempt >= attempts_max) {
          throw Error(Code::retries_used_up,
                      {.object = error.object(),
                       .cause = fmt::format("no {} after {} attempts, the last with {}", what, attempt, error.what()),
                       .remedy = "mend the cause, then run the same command again: it goes on where it stopped"});
        }
        log::warning("no {} yet (attempt {} of {}): {}", what, attempt, attempts_max, error.what());
        if (!stop.sleep_for(std::min(milliseconds(200) * (1U << attempt), milliseconds(10'000)))) stop.throw_if_requested();
      }
    }
  }
};

}  // namespace godwit::workflow
