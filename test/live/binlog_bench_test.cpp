// servers: a=mariadb-10.11 c=mysql-9.7
// alone: it measures
// How fast rows come through, in a build for release: live_tests "[.binlog_speed]". The case that always runs holds a floor far
// below what is measured, for what would make it slower by an order of magnitude.
#include <cstdio>

#include "catch.h"
#include "godwit/binlog/file.h"
#include "godwit/binlog/value.h"
#include "live/support/row_images.h"

using namespace godwit;
using namespace godwit::test;

namespace {

using Clock = std::chrono::steady_clock;

enum class Work { read, decode, render };

struct Counted {
  std::uint64_t bytes = 0;
  std::uint64_t rows = 0;
  std::uint64_t text_bytes = 0;
};

class Counter {
 public:
  explicit Counter(Work work) : work_(work) {}

  void take(const binlog::Event& event) {
    counted.bytes += event.header.size;
    const auto* rows = event.as<binlog::Rows>();
    if (work_ == Work::read || rows == nullptr || rows->table == nullptr) return;
    if (layout_.table != rows->table)
      layout_ = binlog::make_layout(rows->table, {}, binlog::Unexplained::assume);
    binlog::RowReader reader(layout_, *rows);
    binlog::Row row;
    while (reader.next(row)) {
      ++counted.rows;
      if (work_ == Work::render) render(row.after);
    }
  }

  Counted counted;

 private:
  void render(binlog::Image image) {
    text_.clear();
    for (std::size_t i = 0; i < image.size(); ++i)
      binlog::append_value(text_, image[i], layout_.columns[i]);
    counted.text_bytes += text_.size();
  }

  Work work_;
  binlog::Layout layout_;
  std::string text_;
};

// sysbench's table and rows, in transactions of some thousand rows.
void write_rows(const Server& server, int thousands) {
  Client client = server.client();
  client.execute("DROP DATABASE IF EXISTS bench");
  client.execute("CREATE DATABASE bench");
  client.execute(
      "CREATE TABLE bench.t (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, k INT NOT NULL, c "
      "CHAR(120) CHARACTER SET latin1 NOT NULL, pad CHAR(60) CHARACTER SET latin1 NOT NULL)");
  std::string values;
  for (int i = 0; i < 1000; ++i) {
    values += std::string(i == 0 ? "" : ",") + "(" + std::to_string(i * 7919) + ",'" +
              std::string(119, static_cast<char>('0' + i % 10)) + "','" + std::string(59, 'p') +
              "')";
  }
  client.execute("BEGIN");
  for (int i = 0; i < thousands; ++i) {
    client.execute("INSERT INTO bench.t (k, c, pad) VALUES " + values);
    if (i % 5 == 4) client.execute("COMMIT"), client.execute("BEGIN");
  }
  client.execute("COMMIT");
}

double mb_per_s(const Counted& counted, Clock::duration took) {
  return static_cast<double>(counted.bytes) / 1e6 / std::chrono::duration<double>(took).count();
}

double measure_stream(const Server& server, const gtid::Position& from, Work work, bool is_tls) {
  auto endpoint = endpoint_of(server);
  endpoint.dsn.ssl_mode = is_tls ? db::SslMode::required : db::SslMode::disabled;
  if (!is_tls) {
    Client client = server.client();
    endpoint.dsn.socket = client.scalar("SELECT @@socket");
  }
  binlog::Stream stream(endpoint, {.from = from, .is_endless = false});
  Counter counter(work);
  const auto began = Clock::now();
  while (const auto* event = stream.next()) counter.take(*event);
  return mb_per_s(counter.counted, Clock::now() - began);
}

double measure_file(const std::string& path, Work work, Counted& counted) {
  binlog::FileReader file({path});
  Counter counter(work);
  const auto began = Clock::now();
  while (const auto* event = file.next()) counter.take(*event);
  counted = counter.counted;
  return mb_per_s(counter.counted, Clock::now() - began);
}

std::string newest_file(const Server& server) {
  Client client = server.client();
  const std::string base = client.scalar("SELECT @@log_bin_basename");
  return base.substr(0, base.find_last_of('/') + 1) +
         client.query("SHOW BINARY LOGS").back()[0].value();
}

void bench(const std::string& name, int thousands) {
  const Server server(name);
  server.client().execute("FLUSH BINARY LOGS");
  const auto start = position_of(server);
  write_rows(server, thousands);
  const std::string path = newest_file(server);
  Counted counted;
  measure_file(path, Work::read, counted);
  std::printf("%s: %.0f MB of events, %.0f rows/MB\n",
              name.c_str(),
              static_cast<double>(counted.bytes) / 1e6,
              thousands * 1e9 / static_cast<double>(counted.bytes));
  for (const auto& [work, label] : {std::pair{Work::read, "events only"},
                                    {Work::decode, "rows taken apart"},
                                    {Work::render, "values rendered"}}) {
    const double file = measure_file(path, work, counted);
    const double socket = measure_stream(server, start, work, false);
    const double tls = measure_stream(server, start, work, true);
    std::printf("  %-17s file %6.0f MB/s   stream over socket %6.0f MB/s   over TLS %6.0f MB/s\n",
                label,
                file,
                socket,
                tls);
  }
  server.client().execute("DROP DATABASE bench");
}

}  // namespace

TEST_CASE("the speed of decoding", "[.binlog_speed]") {
  for (const char* name : {"a", "c"}) bench(name, 500);
}

TEST_CASE("rows are rendered at tens of megabytes a second even in a build for debugging",
          "[binlog_bench]") {
  const Server server("a");
  server.client().execute("FLUSH BINARY LOGS");
  write_rows(server, 50);
  Counted counted;
  CHECK(measure_file(newest_file(server), Work::render, counted) > 20);
  CHECK(counted.rows == 50'000);
  server.client().execute("DROP DATABASE bench");
}
