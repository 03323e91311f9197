// servers: a=mariadb-10.11 c=mysql-9.7
// alone: it measures the lag
// What can be seen of a running stream: Prometheus text over HTTP, `status --json`, a lag also where nothing may be written on the source; and that
// cancel takes back what replicating has left on both sides.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <nlohmann/json.hpp>
#include <thread>

#include "catch.h"
#include "live/support/process.h"

using namespace godwit::test;
using nlohmann::json;

namespace {

bool holds_soon(const std::function<bool()>& holds) {
  for (int i = 0; i < 800; ++i) {
    if (holds()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(25));
  }
  return false;
}

std::string scrape(int port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  std::string text;
  if (::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) {
    const std::string request = "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
    if (::send(socket, request.data(), request.size(), 0) > 0) {
      char buffer[4096];
      for (ssize_t size; (size = ::recv(socket, buffer, sizeof buffer, 0)) > 0;) text.append(buffer, static_cast<std::size_t>(size));
    }
  }
  ::close(socket);
  return text;
}

int metrics_port(const Process& process) {
  const std::string head = "http://127.0.0.1:";
  const std::string log = process.log();
  const auto at = log.find(head);
  return at == std::string::npos ? 0 : std::atoi(log.c_str() + at + head.size());
}

json stream_in_status(const Migration& migration) {
  const json status = json::parse(migration.run_plain({"status", "--json", "--state", migration.state}).out);
  return status["workflows"][0].value("replicate", json::object());
}

void prepare(const Server& source, const Migration& migration) {
  migration.clean();
  source.client().script("CREATE DATABASE watched;\nCREATE TABLE watched.t (id INT PRIMARY KEY, v INT);\nINSERT INTO watched.t VALUES (1, 1);\n");
  const Outcome copied = migration.run("copy");
  INFO(copied.out << copied.err);
  REQUIRE(copied.status == 0);
}

void stop(Process& process) {
  process.signal(SIGTERM);
  CHECK(process.wait().status == 130);
}

}  // namespace

TEST_CASE("a running stream tells its lag and rates to Prometheus and to status, and cancel leaves nothing of it on either side", "[stream_watch]") {
  for (const auto& [from, to] : {std::pair("a", "c"), std::pair("c", "a")}) {
    const Server source(from);
    const Server target(to);
    const Migration migration(source, target, "watched");
    INFO(source.flavour());
    prepare(source, migration);
    Process process = migration.start("replicate", {"--metrics", "127.0.0.1:0"});
    REQUIRE(holds_soon([&] { return metrics_port(process) != 0; }));
    for (int i = 2; i < 30; ++i) source.client().execute("INSERT INTO watched.t VALUES (" + std::to_string(i) + ", 1)");
    const auto has = [&](const std::string& words) { return holds_soon([&] { return scrape(metrics_port(process)).find(words) != std::string::npos; }); };
    CHECK(has("godwit_stream_lag_seconds{workflow=\"test\",direction=\"forward\"} "));
    CHECK(has("godwit_stream_caught_up{workflow=\"test\",direction=\"forward\"} 1"));
    CHECK(has("godwit_stream_rows_total{workflow=\"test\",direction=\"forward\"} 28"));
    CHECK(has("godwit_stream_throttled{workflow=\"test\",direction=\"forward\"} 0"));
    CHECK(has("godwit_stream_retries_total{workflow=\"test\",direction=\"forward\"} 0"));
    CHECK(holds_soon([&] { return stream_in_status(migration).value("lag_source", "") == "heartbeat"; }));
    const json stream = stream_in_status(migration);
    INFO(stream.dump());
    CHECK(stream["lag_ms"].get<int>() < 5000);
    CHECK(stream["rows"] == 28);
    CHECK(stream["throttle"] == "");
    CHECK(stream.contains("transactions_per_s"));
    // MariaDB's default is to keep its binlog for ever.
    CHECK(stream.contains("retention_left_s") == !source.is_mariadb());
    stop(process);

    Client there = source.client();
    CHECK(there.scalar("SELECT COUNT(*) FROM _godwit.heartbeat") == "1");
    const bool is_shared = source.is_mariadb();
    if (is_shared) there.execute("CREATE TABLE _godwit.of_somebody_else (id INT)");
    REQUIRE(migration.run("cancel").status == 0);
    const std::string schemas = "SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME IN ('watched', '_godwit')";
    CHECK(target.client().scalar(schemas) == "0");
    CHECK(there.scalar(schemas) == (is_shared ? "2" : "1"));
    there.execute("DROP DATABASE IF EXISTS _godwit");
    migration.clean();
  }
}

TEST_CASE("a stream whose migration is cancelled ends well, and a cancel that was killed is ended before anything else", "[stream_watch]") {
  const Server source("a");
  const Server target("c");
  const Migration migration(source, target, "watched");
  prepare(source, migration);
  Process process = migration.start("replicate", {"--metrics", "127.0.0.1:0"});
  REQUIRE(holds_soon([&] { return metrics_port(process) != 0; }));
  CHECK(migration.run("cancel", {}, armed("cancel.objects.after=kill")).status == 128 + SIGKILL);
  const Outcome ended = process.wait();
  INFO(ended.err);
  CHECK(ended.status == 0);
  CHECK(ended.err.find("the migration is cancelled") != std::string::npos);
  const Outcome shown = migration.run("status");
  INFO(shown.out << shown.err);
  CHECK(shown.out.find("a cancel has begun, and has not ended") != std::string::npos);
  for (const char* command : {"copy", "replicate"}) {
    const Outcome refused = migration.run(command);
    INFO(refused.out << refused.err);
    CHECK(refused.status == 3);
    CHECK(refused.err.find("a cancel of it has begun") != std::string::npos);
  }
  REQUIRE(migration.run("cancel").status == 0);
  REQUIRE(migration.run("copy").status == 0);
  migration.clean();
}

TEST_CASE("an account that may write nothing on the source is enough: the lag is told without a heartbeat", "[stream_watch]") {
  const Server source("a");
  const Server target("c");
  Migration migration(source, target, "watched");
  source.client().script(
      "CREATE OR REPLACE USER reader IDENTIFIED BY 'godwit';\n"
      "GRANT SELECT, SHOW VIEW, TRIGGER, EVENT, LOCK TABLES ON watched.* TO reader;\n"
      "GRANT RELOAD, PROCESS, REPLICATION SLAVE, BINLOG MONITOR ON *.* TO reader;\n");
  migration.source_dsn.replace(migration.source_dsn.find("godwit@"), 7, "reader@");
  prepare(source, migration);
  Process process = migration.start("replicate");
  source.client().execute("INSERT INTO watched.t VALUES (50, 1)");
  CHECK(holds_soon([&] { return target.client().scalar("SELECT COUNT(*) FROM watched.t") == "2"; }));
  CHECK(holds_soon([&] { return stream_in_status(migration).contains("lag_ms"); }));
  const json stream = stream_in_status(migration);
  INFO(stream.dump() << process.log());
  CHECK(stream["lag_source"] != "heartbeat");
  CHECK(process.log().find("no heartbeat on the source") != std::string::npos);
  CHECK(source.client().query("SHOW DATABASES LIKE '\\_godwit'").empty());
  stop(process);
  migration.run("cancel");
  migration.clean();
  source.client().execute("DROP USER reader");
}
