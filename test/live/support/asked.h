// Statements that are under way while a test does something else, and what it waits for.
#pragma once

#include <chrono>
#include <functional>
#include <future>
#include <string>
#include <thread>

#include "app_client.h"

namespace godwit::test {

// A statement under way in a thread of its own.
class Asked {
 public:
  Asked(AppClient& client, std::string sql) : answer_(std::async(std::launch::async, [&client, sql = std::move(sql)] { return client.ask(sql); })) {}
  bool is_answered_within(std::chrono::milliseconds limit) { return answer_.wait_for(limit) == std::future_status::ready; }
  AppAnswer get() { return answer_.get(); }

 private:
  std::future<AppAnswer> answer_;
};

inline bool holds_within(std::chrono::milliseconds limit, const std::function<bool()>& holds) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

}  // namespace godwit::test
