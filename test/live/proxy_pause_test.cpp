// servers: a=mariadb-10.11:--max-connections=3000 b=mariadb-10.11:--max-connections=3000 c=mysql-9.7:--max-connections=3000 d=mysql-9.7:--max-connections=3000
// alone: it measures
// How long clients wait while they are moved: WARM, PAUSE, MOVE, RESUME, with many sessions that have statements prepared and do something all along. The
// figures are printed; what is asserted leaves room for a machine that does other things as well.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <iostream>
#include <memory>
#include <thread>

#include "catch.h"
#include "live/support/proxy.h"
#include "live/support/seed.h"

using namespace godwit::test;
using std::chrono::milliseconds;
using Strings = std::vector<std::string>;
using Clock = std::chrono::steady_clock;

namespace {

const std::string kSchema = "pausing";
constexpr std::size_t kStatements = 5;
const std::vector<std::pair<std::string, std::string>> kPairs{{"a", "b"}, {"c", "d"}, {"a", "c"}};

double ms_since(Clock::time_point then) { return std::chrono::duration<double, std::milli>(Clock::now() - then).count(); }

void prepare_server(const Server& server) {
  Client client = server.client();
  client.script(R"(
DROP DATABASE IF EXISTS pausing;
CREATE DATABASE pausing CHARACTER SET utf8mb4;
CREATE TABLE pausing.t (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, v INT NOT NULL, w VARCHAR(40) NOT NULL DEFAULT 'w') ENGINE=InnoDB;
INSERT INTO pausing.t (v) VALUES (1), (2), (3), (4), (5);
)");
}

struct Stage {
  Server from;
  Server to;
  SecretFile accounts{"godwit:godwit\n"};
  std::unique_ptr<Proxy> proxy;

  Stage(const std::string& one, const std::string& other) : from(one), to(other) {
    prepare_server(from);
    prepare_server(to);
    proxy = std::make_unique<Proxy>(from, to, Proxy::Setup{.options = {"--drain-timeout", "5s", "--accounts", accounts.path()}, .schema = kSchema, .has_tls = !from.is_mariadb() || !to.is_mariadb()});
  }
};

// An application's connection, as a pool keeps it.
class Member {
 public:
  Member(const Stage& stage, std::size_t number) : client_(std::make_unique<AppClient>(stage.proxy->app(kSchema))) {
    client_->run({fmt::format("SET @member = {}", number), "SET SESSION sql_mode = 'STRICT_TRANS_TABLES'", "SET time_zone = '+01:00'"});
    for (std::size_t i = 0; i < kStatements; ++i) {
      statements_.push_back(std::make_unique<AppStatement>(*client_, fmt::format("SELECT v + {}, w, @member FROM t WHERE id = ?", i)));
      statements_.back()->execute({"1"});
    }
  }
  // One statement more; what each does by itself changes what the session is made of.
  void work(std::size_t turn) {
    const auto began = Clock::now();
    if (turn % 5 == 0) {
      client_->run({"INSERT INTO t (v) VALUES (7)"});
    } else if (turn % 5 == 1) {
      client_->run({"BEGIN", "SELECT v FROM t WHERE id = 2 FOR UPDATE", "COMMIT"});
    } else {
      statements_[turn % kStatements]->execute({"3"});
    }
    longest_ms_ = std::max(longest_ms_, ms_since(began));
  }
  std::string check() { return client_->scalar("SELECT CONCAT_WS(',', @member, @@sql_mode, @@time_zone, @@port)"); }
  double longest_ms() const { return longest_ms_; }
  void forget() { longest_ms_ = 0; }

 private:
  std::unique_ptr<AppClient> client_;
  std::vector<std::unique_ptr<AppStatement>> statements_;
  double longest_ms_ = 0;
};

// Threads that let members work, one after the other, until they are told to stop.
class Crowd {
 public:
  Crowd(std::vector<std::unique_ptr<Member>>& members, std::size_t threads, milliseconds between) {
    for (std::size_t i = 0; i < threads; ++i) {
      threads_.emplace_back([this, &members, i, threads, between] {
        try {
          for (std::size_t turn = 0; !is_over_; ++turn) {
            for (std::size_t m = i; m < members.size() && !is_over_; m += threads) {
              members[m]->work(turn);
              std::this_thread::sleep_for(between);
            }
          }
        } catch (const std::exception& error) {
          ++errors_;
          std::cerr << "a member fails: " << error.what() << "\n";
        }
      });
    }
  }
  ~Crowd() { stop(); }
  void stop() {
    is_over_ = true;
    for (auto& thread : threads_) thread.join();
    threads_.clear();
  }
  int errors() const { return errors_; }

 private:
  std::atomic<bool> is_over_{false};
  std::atomic<int> errors_{0};
  std::vector<std::thread> threads_;
};

struct Figures {
  double warm_ms = 0, pause_ms = 0, move_ms = 0, resume_ms = 0, closed_ms = 0;
};

Figures switch_to(Stage& stage, const std::string& side, bool is_warmed) {
  Figures figures;
  const auto timed = [&](const std::string& command) {
    const auto began = Clock::now();
    stage.proxy->must(command);
    return ms_since(began);
  };
  if (is_warmed) figures.warm_ms = timed("WARM TO " + side);
  if (is_warmed) std::this_thread::sleep_for(milliseconds(500));
  figures.pause_ms = timed("PAUSE WITH LEASE 60");
  figures.move_ms = timed("MOVE TO " + side);
  figures.resume_ms = timed("RESUME");
  figures.closed_ms = static_cast<double>(stage.proxy->stat("hold_us_last")) / 1000;
  return figures;
}

void print(const std::string& what, const Figures& f) {
  std::cout << fmt::format("{}: WARM {:.0f} ms; PAUSE {:.0f}, MOVE {:.0f}, RESUME {:.0f} ms; gate closed {:.0f} ms\n", what, f.warm_ms, f.pause_ms, f.move_ms, f.resume_ms, f.closed_ms) << std::flush;
}

std::vector<std::unique_ptr<Member>> members(const Stage& stage, std::size_t count) {
  std::vector<std::unique_ptr<Member>> all;
  for (std::size_t i = 0; i < count; ++i) all.push_back(std::make_unique<Member>(stage, i));
  return all;
}

void check_moved(std::vector<std::unique_ptr<Member>>& all, const Server& server) {
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < all.size(); ++i) wrong += all[i]->check() == fmt::format("{},STRICT_TRANS_TABLES,+01:00,{}", i, server.port()) ? 0U : 1U;
  CHECK(wrong == 0);
}

// There and back, warmed; how long the gate was closed, at most.
double closed_ms(Stage& stage, std::size_t sessions, std::size_t threads, milliseconds between, const std::string& what) {
  auto all = members(stage, sessions);
  double most = 0;
  {
    Crowd crowd(all, threads, between);
    for (const std::string side : {"target", "source"}) {
      std::this_thread::sleep_for(milliseconds(500));
      for (auto& member : all) member->forget();
      const auto figures = switch_to(stage, side, true);
      print(fmt::format("{} to {}, {} sessions, to {}", stage.from.flavour(), stage.to.flavour(), sessions, side), figures);
      const auto log = stage.proxy->log();
      const auto at = log.rfind("the gate is closed: ");
      if (at != std::string::npos) std::cout << "  " << log.substr(at, log.find('\n', at) - at) << "\n";
      most = std::max(most, figures.closed_ms);
    }
    crowd.stop();
    CHECK(crowd.errors() == 0);
  }
  check_moved(all, stage.from);
  std::vector<double> waits;
  for (const auto& member : all) waits.push_back(member->longest_ms());
  std::sort(waits.begin(), waits.end());
  std::cout << fmt::format("  {}: longest wait of a client: p50 {:.0f} ms, max {:.0f} ms\n", what, waits[waits.size() / 2], waits.back()) << std::flush;
  return most;
}

}  // namespace

TEST_CASE("proxy_pause: a thousand sessions with prepared statements", "[proxy_pause]") {
  for (const auto& [one, other] : drawn(kPairs, 1)) {
    DYNAMIC_SECTION(one << " to " << other) {
      Stage stage(one, other);
      CHECK(closed_ms(stage, 1000, 8, milliseconds(1), "eight threads") < 3000);
    }
  }
}

TEST_CASE("proxy_pause: 64 busy sessions", "[proxy_pause]") {
  for (const auto& [one, other] : kPairs) {
    DYNAMIC_SECTION(one << " to " << other) {
      Stage stage(one, other);
      CHECK(closed_ms(stage, 64, 64, milliseconds(5), "a thread each") < 1000);
    }
  }
}
