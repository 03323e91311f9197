// A writer that knows of no proxy: an ordinary account that inserts into one server, directly and all along, and notes what it was told. A thread of its own.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "app_client.h"

namespace godwit::test {

class Bypass {
 public:
  Bypass(const Server& server, int writer);
  ~Bypass();
  Bypass(const Bypass&) = delete;
  Bypass& operator=(const Bypass&) = delete;

  void stop();  // and then the rest
  int writer() const { return writer_; }
  std::size_t acknowledged() const;
  std::size_t refused() const;
  // Whether the latest attempt was refused.
  bool is_refused() const { return is_refused_; }
  std::string first_refusal() const;

  struct Line {
    std::uint64_t turn = 0;
    enum class Fate { acknowledged, refused, unheard } fate = Fate::unheard;
  };
  std::vector<Line> lines() const;

 private:
  void run();
  void write(AppClient& client, std::uint64_t turn);

  const Server& server_;
  const int writer_;
  std::atomic<bool> is_ending_{false};
  std::atomic<bool> is_refused_{false};
  mutable std::mutex mutex_;
  std::vector<Line> lines_;  // under mutex_
  std::string first_refusal_;
  std::thread thread_;
};

}  // namespace godwit::test
