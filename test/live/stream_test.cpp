// servers: a=mariadb-10.11 c=mysql-9.7
// alone: it measures the lag
// How a stream begins, waits and fails.
#include "godwit/binlog/stream.h"

#include <signal.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "catch.h"
#include "godwit/binlog/file.h"
#include "godwit/util/error.h"
#include "live/support/row_images.h"

using namespace godwit;
using namespace godwit::test;

namespace {

using Clock = std::chrono::steady_clock;

Code code_of(binlog::Stream& stream) {
  try {
    while (stream.next() != nullptr) {
    }
  } catch (const Error& error) {
    return error.code();
  }
  return Code::internal_error;
}

pid_t pid_of(const std::string& name) {
  std::ifstream file(std::string(std::getenv("GODWIT_SERVERS_DIR")) + "/" + name + "/pid");
  pid_t pid = 0;
  file >> pid;
  return pid;
}

}  // namespace

TEST_CASE("a position that is purged is refused as such, never passed over", "[stream]") {
  for (const char* name : {"a", "c"}) {
    const Server server(name);
    INFO(server.flavour());
    Client client = server.client();
    const auto start = position_of(server);
    client.execute("CREATE DATABASE purged");
    client.execute("DROP DATABASE purged");
    client.execute("FLUSH BINARY LOGS");
    client.execute("FLUSH BINARY LOGS");
    client.execute("PURGE BINARY LOGS TO '" + client.query("SHOW BINARY LOGS").back()[0].value() +
                   "'");
    binlog::Stream stream(endpoint_of(server), {.from = start, .is_endless = false});
    CHECK(code_of(stream) == Code::position_purged);
  }
}

TEST_CASE("a position ahead of the server's history is refused", "[stream]") {
  for (const char* name : {"a", "c"}) {
    const Server server(name);
    INFO(server.flavour());
    Client client = server.client();
    client.execute("CREATE DATABASE IF NOT EXISTS ahead");
    const std::string ahead = server.is_mariadb()
                                  ? "0-" + client.scalar("SELECT @@server_id") + "-999999999"
                                  : client.scalar("SELECT @@server_uuid") + ":1-999999999";
    client.execute("DROP DATABASE ahead");
    const auto flavour = server.is_mariadb() ? gtid::Flavour::mariadb : gtid::Flavour::mysql;
    binlog::Stream stream(endpoint_of(server),
                          {.from = gtid::make_position(flavour, ahead), .is_endless = false});
    CHECK(code_of(stream) == Code::position_foreign);
  }
}

TEST_CASE("a position of the other flavour is refused before anything is asked", "[stream]") {
  const Server server("a");
  try {
    const binlog::Stream stream(endpoint_of(server),
                                {.from = {.flavour = gtid::Flavour::mysql, .text = ""}});
    FAIL("it was taken");
  } catch (const Error& error) {
    CHECK(error.code() == Code::position_foreign);
  }
}

TEST_CASE("an idle server sends heartbeats within seconds", "[stream]") {
  for (const char* name : {"a", "c"}) {
    const Server server(name);
    INFO(server.flavour());
    binlog::Stream stream(
        endpoint_of(server),
        {.from = position_of(server), .heartbeat = std::chrono::milliseconds(300)});
    const auto deadline = Clock::now() + std::chrono::seconds(10);
    int heartbeats = 0;
    while (heartbeats < 2 && Clock::now() < deadline)
      heartbeats += stream.next()->as<binlog::Heartbeat>() != nullptr ? 1 : 0;
    CHECK(heartbeats == 2);
  }
}

// The first word ends the connection, the others come while Connector/C is closing it.
TEST_CASE("a stream is interrupted again and again, from another thread, while it ends", "[stream]") {
  const Server server("a");
  const auto start = position_of(server);
  for (unsigned round = 0; round < 300; ++round) {
    binlog::Stream stream(endpoint_of(server), {.from = start});
    std::atomic<bool> has_ended{false};
    Code code = Code::internal_error;
    std::thread reader([&] {
      code = code_of(stream);
      has_ended = true;
    });
    std::this_thread::sleep_for(std::chrono::microseconds(round * 10));
    while (!has_ended) stream.interrupt();
    reader.join();
    REQUIRE(code == Code::connection_lost);
  }
}

TEST_CASE("a server that falls silent is noticed at the deadline", "[stream]") {
  const Server server("a");
  binlog::Stream stream(endpoint_of(server),
                        {.from = position_of(server), .deadline = std::chrono::seconds(2)});
  stream.next();
  struct Stopped {
    explicit Stopped(pid_t p) : pid(p) { ::kill(pid, SIGSTOP); }
    ~Stopped() { ::kill(pid, SIGCONT); }
    pid_t pid;
  };
  const auto began = Clock::now();
  {
    const Stopped stopped(pid_of("a"));
    CHECK(code_of(stream) == Code::connection_lost);
  }
  CHECK(Clock::now() - began < std::chrono::seconds(8));
}

TEST_CASE("a second reader with the same server id displaces the first, which says so",
          "[stream]") {
  const Server server("a");
  const auto from = position_of(server);
  binlog::Stream first(endpoint_of(server), {.from = from, .server_id = 4'000'000'001});
  first.next();
  binlog::Stream second(endpoint_of(server), {.from = from, .server_id = 4'000'000'001});
  second.next();
  const Code code = code_of(first);
  CHECK((code == Code::dump_displaced || code == Code::connection_lost));
  CHECK(info(code).reaction == Reaction::retryable);
}

TEST_CASE("a file and the stream hold the same events", "[stream]") {
  for (const char* name : {"a", "c"}) {
    const Server server(name);
    INFO(server.flavour());
    Client client = server.client();
    client.execute("FLUSH BINARY LOGS");
    const auto start = position_of(server);
    client.execute("CREATE DATABASE same");
    client.execute("CREATE TABLE same.t (id INT PRIMARY KEY, v VARCHAR(20))");
    client.execute("INSERT INTO same.t VALUES (1, 'a'), (2, 'b')");
    client.execute("DROP DATABASE same");
    const std::string base = client.scalar("SELECT @@log_bin_basename");
    const std::string path = base.substr(0, base.find_last_of('/') + 1) +
                             client.query("SHOW BINARY LOGS").back()[0].value();

    std::vector<std::string> of_file;
    std::vector<std::string> of_stream;
    const auto note = [](std::vector<std::string>& notes, const binlog::Event& event) {
      if (event.header.is_artificial() ||
          event.header.type == binlog::EventType::format_description)
        return;
      notes.push_back(binlog::type_name(event.header.type) + " " +
                      std::to_string(event.header.size) + " " +
                      std::to_string(event.header.time_s));
    };
    binlog::FileReader file({path});
    std::uint64_t offset = 0;
    while (const auto* event = file.next()) {
      note(of_file, *event);
      CHECK(file.offset() > offset);
      offset = file.offset();
    }
    binlog::Stream stream(endpoint_of(server),
                          {.from = start, .is_endless = false, .has_statements = true});
    while (const auto* event = stream.next()) note(of_stream, *event);
    const auto without_head = [](std::vector<std::string> notes) {
      std::erase_if(notes, [](const std::string& n) {
        return n.rfind("previous_gtids", 0) == 0 || n.rfind("gtid_list", 0) == 0 ||
               n.rfind("binlog_checkpoint", 0) == 0;
      });
      return notes;
    };
    CHECK(without_head(of_file) == without_head(of_stream));
    CHECK(without_head(of_file).size() >= 8);
  }
}
