// Applies what a feed gives one target, and begins again what passes by itself. One thread. Private to apply.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "feed.h"
#include "godwit/apply/applier.h"

namespace godwit::apply {

class Follower {
 public:
  // All of it must outlive it. number: of the target in the feed.
  Follower(Feed& feed, std::size_t number, const Target& target, const ApplyOptions& options, const Stop& stop);

  std::function<void()> on_window;

  // As Applier::run().
  ApplyEnd run(const std::optional<gtid::Set>& until);

 private:
  class Run;
  const std::vector<TableBinding>& bindings() const { return *target_.tables.bindings; }
  std::string label() const;

  Feed& feed_;
  const std::size_t number_;
  const Target& target_;
  const ApplyOptions& options_;
  const Stop& stop_;
};

}  // namespace godwit::apply
