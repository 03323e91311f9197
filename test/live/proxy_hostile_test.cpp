// servers: a=mariadb-10.11
// alone: it measures memory and answers
// What hostile clients, and a server that has gone mad, cost: their own session, and nothing of anybody else's. Well-behaved sessions run beside them all along
// and must not notice; no byte of one session appears in another; afterwards memory and file descriptors are back to where they were.
#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <thread>

#include "catch.h"
#include "live/support/proxy.h"
#include "live/support/rude_client.h"
#include "live/support/rude_relay.h"
#include "live/support/rude_scenes.h"
#include "live/support/waiting.h"

using namespace godwit::test;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;
using Leave = RudeClient::Leave;

namespace {

// A sanitizer's own memory, and its pace.
bool is_sanitized() { return std::getenv("GODWIT_SANITIZED") != nullptr; }
long kib_max(long plain) { return is_sanitized() ? 8 * plain : plain; }

std::uint64_t new_seed() {
  const char* given = std::getenv("GODWIT_SEED");
  const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
  std::cout << "seed " << seed << "\n";
  return seed;
}

void prepare(const Server& server) {
  Client client = server.client();
  client.script(R"(
CREATE DATABASE IF NOT EXISTS test;
CREATE OR REPLACE TABLE test.rude (id INT, v TEXT);
CREATE OR REPLACE USER rude@'%' IDENTIFIED BY '';
CREATE OR REPLACE USER other@'%' IDENTIFIED BY '';
GRANT SELECT, INSERT ON test.* TO rude@'%';
SET GLOBAL local_infile = 1;
SET GLOBAL max_connections = 400;
)");
}

// Without a word about logins: what is hostile here is not guessing passwords.
std::vector<std::string> patient(std::vector<std::string> more = {}) {
  std::vector<std::string> options{"--login-failures-max", "1000000", "--threads", "2"};
  options.insert(options.end(), more.begin(), more.end());
  return options;
}

// Of every session of this test; what a harmed server says of a client's own is none of them.
class Markers {
 public:
  std::string make(Random& random) {
    const auto marker = marker_of(random);
    const std::lock_guard lock(mutex_);
    all_.insert(marker);
    return marker;
  }
  bool contains(const std::string& marker) {
    const std::lock_guard lock(mutex_);
    return all_.contains(marker);
  }

 private:
  std::mutex mutex_;
  std::set<std::string> all_;
};

Markers& markers() {
  static Markers all;
  return all;
}

// Sessions that keep to the protocol. The first thing that goes wrong with one of them is kept.
class Keepers {
 public:
  Keepers(const Proxy& proxy, int count) : proxy_(proxy) {
    for (int i = 0; i < count; ++i) threads_.emplace_back([this, i] { work(i); });
  }
  ~Keepers() {
    if (!is_over_) stop();
  }
  std::string stop() {
    is_over_ = true;
    for (auto& thread : threads_) thread.join();
    return failure_;
  }
  std::size_t answers() const { return answers_; }

 private:
  void work(int number) {
    try {
      Random random(static_cast<std::uint64_t>(number));
      while (!is_over_) session(markers().make(random));
    } catch (const std::exception& error) {
      const std::lock_guard lock(mutex_);
      if (failure_.empty()) failure_ = error.what();
    }
  }

  void session(const std::string& marker) {
    auto login = proxy_.app();
    login.compression = marker.back() % 2 == 0 ? "zlib" : "";
    AppClient client(login);
    AppStatement prepared(client, "SELECT ?, CONNECTION_ID()");
    const auto long_text = "SELECT REPEAT('" + marker + "', 5000)";
    for (int i = 0; i < 20 && !is_over_; ++i, ++answers_) {
      expect(client.scalar("SELECT '" + marker + "'") == marker, "another session's answer");
      expect(prepared.execute({marker}).at(0).at(0) == marker, "another session's row");
      expect(client.scalar(long_text).size() == 5000 * marker.size(), "a row is cut");
      expect(client.ask("SELECT no_such_column").error == 1054, "another error");
    }
  }

  static void expect(bool is_so, const char* what) {
    if (!is_so) throw std::runtime_error(what);
  }

  const Proxy& proxy_;
  std::atomic<bool> is_over_{false};
  std::atomic<std::size_t> answers_{0};
  std::mutex mutex_;
  std::string failure_;
  std::vector<std::thread> threads_;
};

// Scenes by many clients at once; each hears nothing of anyone else's.
class Mob {
 public:
  Mob(const Proxy& proxy, std::vector<Scene> scenes, std::uint64_t seed) : proxy_(proxy), scenes_(std::move(scenes)), seed_(seed) {}

  void run(int clients, std::chrono::seconds time) {
    const auto end = Clock::now() + time;
    std::vector<std::thread> threads;
    for (int i = 0; i < clients; ++i) {
      threads.emplace_back([this, i, end] {
        Random random(seed_ + static_cast<std::uint64_t>(i));
        for (std::size_t turn = 0; Clock::now() < end || turn < scenes_.size() / 8; ++turn) play((static_cast<std::size_t>(i) + turn) % scenes_.size(), random);
      });
    }
    for (auto& thread : threads) thread.join();
  }
  std::size_t played() const { return played_; }
  const std::string& leak() const { return leak_; }

 private:
  void play(std::size_t which, Random& random) {
    const Scene& scene = scenes_[which];
    const std::string marker = markers().make(random);
    try {
      RudeClient client(proxy_.port());
      scene.play(client, random, marker);
      client.leave(static_cast<Leave>(below(random, 3)));
      look_for_others(scene.name, client.heard(), marker);
    } catch (const std::exception& error) {
      note(std::string(scene.name) + ": " + error.what());
    }
    ++played_;
  }

  void look_for_others(const char* scene, const std::string& heard, const std::string& own) {
    for (auto at = heard.find(kMarker); at != std::string::npos; at = heard.find(kMarker, at + 1)) {
      const auto found = std::string_view(heard).substr(at, own.size());
      if (found != own && markers().contains(std::string(found))) note(std::string(scene) + " has heard " + std::string(found));
    }
  }

  void note(const std::string& what) {
    const std::lock_guard lock(mutex_);
    if (leak_.empty()) leak_ = what;
  }

  const Proxy& proxy_;
  const std::vector<Scene> scenes_;
  const std::uint64_t seed_;
  std::atomic<std::size_t> played_{0};
  std::mutex mutex_;
  std::string leak_;
};

// Resident, when no more than these are left and what a peak has taken was given back: the least of what is seen until it has not fallen for three seconds.
long kib_at_rest(Proxy& proxy, std::size_t left) {
  CHECK(holds_within(seconds(15), [&] { return proxy.sessions().size() <= left + 1; }));  // the admin's own
  long least_kib = proxy.process().rss_kib();
  for (int steady = 0, looks = 0; steady < 6 && looks < 40; ++looks) {
    std::this_thread::sleep_for(milliseconds(500));
    const long now_kib = proxy.process().rss_kib();
    steady = now_kib < least_kib - 256 ? 0 : steady + 1;
    least_kib = std::min(least_kib, now_kib);
  }
  return least_kib;
}

// Nothing grows without bound: what a first run leaves, a second of the same takes again.
void run_twice(Mob& mob, Proxy& proxy, int threads, std::size_t others) {
  mob.run(threads, seconds(8));
  const long first_kib = kib_at_rest(proxy, others);
  mob.run(threads, seconds(8));
  const long second_kib = kib_at_rest(proxy, others);
  std::cout << "resident: " << first_kib / 1024 << " MiB after the first run, " << second_kib / 1024 << " after the second\n";
  CHECK(second_kib - first_kib < kib_max(16 * 1024));
}

// All is as before: nobody is there, nothing is open, and the process ends when it is asked to, having nothing to say of itself.
void check_aftermath(Proxy& proxy, std::size_t descriptors, long rss_kib) {
  const long now_kib = kib_at_rest(proxy, 0);
  CHECK(proxy.stat("connections") == 1);
  CHECK(holds_within(seconds(10), [&] { return proxy.process().descriptors() <= descriptors; }));
  std::cout << "resident: " << rss_kib / 1024 << " MiB before, " << now_kib / 1024 << " after; descriptors: " << descriptors << ", " << proxy.process().descriptors() << "\n";
  CHECK(now_kib - rss_kib < kib_max(32 * 1024));
  proxy.process().signal(SIGTERM);
  const Outcome outcome = proxy.process().wait(seconds(60));
  INFO(outcome.err.substr(outcome.err.size() < 8000 ? 0 : outcome.err.size() - 8000));
  CHECK(outcome.status == 0);
  for (const char* words : {"Sanitizer", "runtime error", "terminate called"}) CHECK(outcome.err.find(words) == std::string::npos);
}

void require_running(Proxy& proxy) {
  if (proxy.process().is_running()) return;
  const Outcome outcome = proxy.process().wait();
  FAIL("the proxy has ended with " << outcome.status << ": " << outcome.err.substr(outcome.err.size() < 20'000 ? 0 : outcome.err.size() - 20'000));
}

// Connections that a proxy keeps of its own are there before it is measured.
std::size_t warm_up(Proxy& proxy) {
  Keepers keepers(proxy, 4);
  holds_within(seconds(20), [&] { return keepers.answers() > 100; });
  CHECK(keepers.stop() == "");
  REQUIRE(holds_within(seconds(10), [&] { return proxy.sessions().size() <= 1; }));
  std::this_thread::sleep_for(milliseconds(1500));
  return proxy.process().descriptors();
}

}  // namespace

TEST_CASE("hostile clients: in no state does what they send harm anybody but themselves", "[proxy_hostile]") {
  const Server server("a");
  prepare(server);
  Proxy proxy(server, server, {.options = patient({"--handshake-timeout", "3s", "--stalled-timeout", "3s"}), .has_tls = true});
  const auto seed = new_seed();
  const std::size_t descriptors = warm_up(proxy);
  const long rss_kib = proxy.process().rss_kib();
  Keepers keepers(proxy, 3);
  Mob mob(proxy, client_scenes(), seed);
  run_twice(mob, proxy, 24, 3);
  INFO("seed " << seed);
  require_running(proxy);
  CHECK(mob.leak() == "");
  CHECK(mob.played() > 24 * 3);
  const auto answers = keepers.answers();
  CHECK(holds_within(seconds(20), [&] { return keepers.answers() > answers; }));
  CHECK(keepers.stop() == "");
  std::cout << mob.played() << " hostile clients, " << keepers.answers() << " rounds of the others\n";
  check_aftermath(proxy, descriptors, rss_kib);
}

TEST_CASE("a hostile server: what it says, at any byte, ends its sessions at most", "[proxy_hostile]") {
  const Server server("a");
  prepare(server);
  const auto seed = new_seed();
  RudeRelay relay(server.port(), seed);
  Proxy proxy(server, server, {.options = patient({"--handshake-timeout", "3s", "--stalled-timeout", "3s"}), .source_dsn = relay.dsn("test"), .has_tls = true});
  const std::size_t descriptors = warm_up(proxy);
  const long rss_kib = proxy.process().rss_kib();
  relay.be_rude(true);
  Mob mob(proxy, server_scenes(), seed);
  run_twice(mob, proxy, 16, 0);
  relay.be_rude(false);
  INFO("seed " << seed);
  require_running(proxy);
  CHECK(mob.leak() == "");
  CHECK(relay.harmed() > 20);
  Keepers keepers(proxy, 3);
  CHECK(holds_within(seconds(20), [&] { return keepers.answers() > 30; }));
  CHECK(keepers.stop() == "");
  std::cout << mob.played() << " sessions, " << relay.harmed() << " of them harmed\n";
  check_aftermath(proxy, descriptors, rss_kib);
}

TEST_CASE("clients that send a byte a second are dropped on time, whatever they are in", "[proxy_hostile]") {
  const Server server("a");
  prepare(server);
  Proxy proxy(server, server, {.options = patient({"--handshake-timeout", "2s", "--stalled-timeout", "2s"}), .has_tls = true});
  const auto slowly = [&](const Scene& scene) {
    RudeClient client(proxy.port());
    Random random(1);
    scene.play(client, random, marker_of(random));
    const auto began = Clock::now();
    // The bytes go on, so that nothing but the proxy's own clock can end it.
    while (Clock::now() - began < seconds(12) && !client.is_over(milliseconds(400))) client.send("\x01");
    return std::chrono::duration_cast<milliseconds>(Clock::now() - began).count();
  };
  const auto scenes = slow_scenes();
  std::vector<std::int64_t> took(scenes.size());
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < scenes.size(); ++i) threads.emplace_back([&, i] { took[i] = slowly(scenes[i]); });
  for (auto& thread : threads) thread.join();
  for (std::size_t i = 0; i < scenes.size(); ++i) {
    INFO(scenes[i].name << ": " << took[i] << " ms");
    CHECK(took[i] < (is_sanitized() ? 9000 : 6000));
    CHECK(took[i] > 1000);
  }
  CHECK(holds_within(seconds(10), [&] { return proxy.sessions().size() <= 1; }));
  CHECK(proxy.stat("stalled") >= 2);
}

TEST_CASE("a request that takes long to send, but goes on, is no stall", "[proxy_hostile]") {
  const Server server("a");
  prepare(server);
  Proxy proxy(server, server, {.options = patient({"--stalled-timeout", "1s"})});
  RudeClient client(proxy.port());
  REQUIRE(client.log_in("rude"));
  const std::string text = "SELECT LENGTH('" + std::string(200'000, 'x') + "')";
  std::string packet = raw::number(text.size() + 1, 3) + std::string("\0\x03", 2) + text;
  for (; !packet.empty(); packet.erase(0, 4000)) {
    client.send(std::string_view(packet).substr(0, 4000));
    std::this_thread::sleep_for(milliseconds(100));
  }
  const auto answer = client.packet();
  REQUIRE(answer);
  CHECK(*answer == "\x01");
}

TEST_CASE("clients that do not read, and frames that are bombs, cost a bounded amount", "[proxy_hostile]") {
  const Server server("a");
  prepare(server);
  Proxy proxy(server, server, {.options = patient({"--stalled-timeout", "4s"})});
  const std::size_t descriptors = warm_up(proxy);
  const long rss_kib = proxy.process().rss_kib();
  long most_kib = rss_kib;
  const auto watch = [&](seconds time) {
    for (const auto end = Clock::now() + time; Clock::now() < end; std::this_thread::sleep_for(milliseconds(20))) most_kib = std::max(most_kib, proxy.process().rss_kib());
  };
  std::vector<std::unique_ptr<RudeClient>> clients;
  constexpr int kClients = 20;
  for (int i = 0; i < kClients; ++i) {
    auto& client = clients.emplace_back(std::make_unique<RudeClient>(proxy.port(), 4096));
    REQUIRE(client->log_in("rude"));
    client->query("SELECT REPEAT('x', 1000000) FROM test.seq_1_to_100000");
  }
  watch(seconds(2));
  CHECK(proxy.sessions().size() > kClients / 2);
  CHECK(holds_within(seconds(15), [&] { return proxy.sessions().size() <= 1; }));
  CHECK(proxy.stat("stalled") == kClients);
  clients.clear();
  std::cout << kClients << " clients that do not read: " << (most_kib - rss_kib) / 1024 << " MiB\n";
  CHECK(most_kib - rss_kib < kib_max(kClients * 2048));

  most_kib = rss_kib;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      RudeClient client(proxy.port());
      if (!client.log_in("rude", kCompress)) return;
      client.send(bomb(8));
      client.is_over(seconds(5));
    });
  }
  watch(seconds(4));
  for (auto& thread : threads) thread.join();
  std::cout << "bombs: " << (most_kib - rss_kib) / 1024 << " MiB\n";
  CHECK(most_kib - rss_kib < kib_max(48 * 1024));
  check_aftermath(proxy, descriptors, rss_kib);
}

TEST_CASE("what clients go on sending while they are held stays in the network", "[proxy_hostile]") {
  const Server server("a");
  prepare(server);
  Proxy proxy(server, server, {.options = patient({"--stalled-timeout", "20s", "--lease", "20s"})});
  warm_up(proxy);
  RudeClient client(proxy.port());
  REQUIRE(client.log_in("rude"));
  client.query("SELECT 1");
  client.listen(milliseconds(200));
  const long rss_kib = proxy.process().rss_kib();
  proxy.must("PAUSE");
  std::string pings;
  for (int i = 0; i < 100'000; ++i) pings += std::string("\x01\0\0\0\x0E", 5);
  std::size_t sent = 0;
  while (sent < 200 && client.send(pings, milliseconds(200))) ++sent;
  const long grown = proxy.process().rss_kib() - rss_kib;
  std::cout << "held: " << sent * pings.size() / 1024 << " KiB and more sent, " << grown << " KiB resident\n";
  CHECK(sent < 200);
  CHECK(grown < kib_max(4096));
  proxy.must("RESUME");
  client.listen(milliseconds(500));
  CHECK(client.heard_bytes() > 11 * 1000);
}

TEST_CASE("limits: of clients, of an account's, of failed logins", "[proxy_hostile]") {
  const Server server("a");
  prepare(server);
  const std::string exceeded = "1226 #42000 User 'rude' has exceeded the 'clients_per_account' resource of the proxy";
  const std::string blocked = "1129 #HY000 Host '127.0.0.1' is blocked because of many failed logins; try again in a minute";
  const auto change_of_user = [](const std::string& user) { return "\x11" + user + std::string("\0\0\0\x2D\0mysql_native_password\0", 27); };
  Proxy proxy(server, server, {.options = {"--clients-max", "5", "--clients-per-account-max", "2", "--login-failures-max", "3"}});
  proxy.sessions();  // the admin is the first of five
  {
    RudeClient first(proxy.port());
    RudeClient second(proxy.port());
    REQUIRE(first.log_in("rude"));
    REQUIRE(second.log_in("rude"));
    RudeClient third(proxy.port());
    REQUIRE(third.packet());
    third.send_packet(third.login_payload("rude", 0, "mysql_native_password"), 1);
    CHECK(third.told() == exceeded);
    CHECK(third.is_over(seconds(5)));
    RudeClient other(proxy.port());
    REQUIRE(other.log_in("other"));
    RudeClient fifth(proxy.port());
    REQUIRE(fifth.packet());
    RudeClient sixth(proxy.port());
    CHECK(sixth.told() == "1040 #08004 Too many connections to the proxy");
    // Becoming another user is a login too.
    other.send_packet(change_of_user("rude"), 0);
    CHECK(other.told() == exceeded);
    CHECK(other.is_over(seconds(5)));
  }
  CHECK(holds_within(seconds(10), [&] { return proxy.sessions().size() == 1; }));
  RudeClient patient_one(proxy.port());
  REQUIRE(patient_one.log_in("rude"));
  for (int i = 0; i < 3; ++i) {
    RudeClient guess(proxy.port());
    CHECK_FALSE(guess.log_in("nobody_at_all"));
  }
  RudeClient late(proxy.port());
  CHECK(late.told() == blocked);
  patient_one.send_packet(change_of_user("other"), 0);
  CHECK(patient_one.told() == blocked);
  CHECK(proxy.stat("refused") == 5);
}

// A server counts greetings that nobody answers against the host they went to; through a proxy that is everybody's. Failed logins it does not count.
TEST_CASE("clients that leave before they log in do not have the proxy shut out by its server", "[proxy_hostile]") {
  const Server server("a");
  prepare(server);
  Proxy proxy(server, server, {.options = patient()});
  Client client = server.client();
  const auto status = [&](const char* name) { return std::stoull(client.query(std::string("SHOW GLOBAL STATUS LIKE '") + name + "'").at(0).at(1).value()); };
  proxy.sessions();
  REQUIRE(holds_within(seconds(10), [&, last = status("Aborted_connects_preauth")]() mutable { return std::exchange(last, status("Aborted_connects_preauth")) == last; }));
  const auto unanswered = status("Aborted_connects_preauth");
  constexpr int kClients = 30;
  for (int i = 0; i < kClients; ++i) {
    RudeClient leaving(proxy.port());
    if (i % 3 != 0) leaving.packet();
    if (i % 3 == 2) leaving.send_packet("x", 1);
    leaving.leave(i % 2 == 0 ? Leave::close : Leave::reset);
  }
  CHECK(holds_within(seconds(20), [&] { return proxy.stat("connections") == 1; }));
  std::this_thread::sleep_for(milliseconds(500));
  CHECK(status("Aborted_connects_preauth") - unanswered < kClients / 10);
}
