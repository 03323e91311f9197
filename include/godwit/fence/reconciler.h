// Makes the fences of both sides' servers follow the authority (R5), every second and when told to, for as long as it lives: whoever died, and whatever a
// server forgot when it restarted. One thread per server, with sessions of its own; it throws nothing, and says what it cannot do when that changes.
// It does nothing while the workflow has no route, or its fence is not decided.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "godwit/db/connection.h"
#include "godwit/fence/fence.h"

namespace godwit::fence {

// The passive side was found open: writers that go there by themselves may have written, and what they wrote is not carried.
struct Window {
  db::Side side = db::Side::source;
  std::string server{};  // as db::describe() has it
  std::optional<std::chrono::milliseconds> at_most;  // since it was last seen fenced by this process
  bool is_closed = false;                            // it is fenced again
};

struct Place {
  db::Endpoint server;
  std::vector<Table> tables;  // for guard triggers
};

struct ReconcilerOptions {
  std::string workflow;
  db::Endpoint source;
  db::Endpoint target;               // with the authority
  std::vector<Table> source_tables;  // for guard triggers
  std::vector<Table> target_tables;
  std::vector<Place> others{};       // of the target's side too: further shards, the head over them
  std::chrono::milliseconds interval{1000};
  std::function<void(const Window&)> on_window;  // besides the log; from the reconciler's threads
};

class Reconciler {
 public:
  explicit Reconciler(ReconcilerOptions options);
  ~Reconciler();
  Reconciler(const Reconciler&) = delete;
  Reconciler& operator=(const Reconciler&) = delete;

  void look_now();  // any thread; does not wait for it

 private:
  class Follower;
  ReconcilerOptions options_;
  std::vector<std::unique_ptr<Follower>> followers_;
};

}  // namespace godwit::fence
