// What sysbench does not measure. User, password and schema are the bench's own; every session is in the clear.
//   client logins PORT SECONDS THREADS   logs in and out all the time; prints logins per second
//   client hold PORT SESSIONS            opens sessions, each of which has run a statement; prints "held"; ends with its standard input
//   client stream PORT SQL               reads a result as fast as it comes and throws it away; prints bytes and seconds
#include <mysql.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point began) { return std::chrono::duration<double>(Clock::now() - began).count(); }

[[noreturn]] void die(MYSQL* session) {
  std::fprintf(stderr, "client: %s\n", mysql_error(session));
  std::exit(1);
}

MYSQL* log_in(unsigned port) {
  MYSQL* session = mysql_init(nullptr);
  const my_bool off = 0;
  mysql_optionsv(session, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &off);
  mysql_optionsv(session, MYSQL_OPT_SSL_ENFORCE, &off);
  if (mysql_real_connect(session, "127.0.0.1", "bench", "bench", "sbtest", port, nullptr, 0) == nullptr) die(session);
  return session;
}

void ask(MYSQL* session, const char* sql) {
  if (mysql_query(session, sql) != 0) die(session);
  mysql_free_result(mysql_store_result(session));
}

void logins(unsigned port, int seconds, int threads) {
  std::atomic<long> total{0};
  std::vector<std::thread> workers;
  const auto began = Clock::now();
  for (int i = 0; i < threads; ++i) {
    workers.emplace_back([&] {
      for (; seconds_since(began) < seconds; ++total) mysql_close(log_in(port));
      mysql_thread_end();
    });
  }
  for (auto& worker : workers) worker.join();
  std::printf("%.1f\n", static_cast<double>(total) / seconds_since(began));
}

void hold(unsigned port, int sessions) {
  std::vector<MYSQL*> held;
  for (int i = 0; i < sessions; ++i) {
    held.push_back(log_in(port));
    ask(held.back(), "SELECT 1");
  }
  std::printf("held\n");
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
  for (MYSQL* session : held) {
    ask(session, "SELECT 1");  // none was lost meanwhile
    mysql_close(session);
  }
}

// Finds the end of a text result in a stream of packets by their headers and first bytes; copies nothing.
class ResultScan {
 public:
  bool is_done() const { return is_done_; }

  void feed(const unsigned char* data, std::size_t size) {
    for (std::size_t at = 0; at < size;) {
      if (left_ == 0) {
        head_[has_++] = data[at++];
        if (has_ == 4) start_packet();
        continue;
      }
      if (is_first_byte_) see(data[at]);
      is_first_byte_ = false;
      const std::size_t n = std::min(left_, size - at);
      at += n;
      left_ -= n;
    }
  }

 private:
  void start_packet() {
    has_ = 0;
    left_ = head_[0] + (head_[1] << 8U) + (head_[2] << 16U);
    is_first_byte_ = true;
  }

  void see(unsigned char first) {
    if (first == 0xFF) {
      std::fprintf(stderr, "client: the statement failed\n");
      std::exit(1);
    }
    ++packets_;
    if (packets_ == 1) columns_ = first;
    const bool ends_columns = packets_ == columns_ + 2;  // where the session has that EOF; else this is a row
    if (first == 0xFE && !ends_columns) is_done_ = true;  // the bench's rows are too short to begin like that
  }

  unsigned head_[4]{};
  std::size_t has_ = 0, left_ = 0, packets_ = 0, columns_ = 0;
  bool is_first_byte_ = false, is_done_ = false;
};

void stream(unsigned port, const char* sql) {
  MYSQL* session = log_in(port);
  const auto began = Clock::now();
  if (mysql_send_query(session, sql, std::strlen(sql)) != 0) die(session);
  static unsigned char buffer[1 << 18];
  ResultScan scan;
  std::uint64_t bytes = 0;
  while (!scan.is_done()) {
    const ssize_t n = ::recv(static_cast<int>(mysql_get_socket(session)), buffer, sizeof buffer, 0);
    if (n <= 0) {
      std::fprintf(stderr, "client: the connection ended\n");
      std::exit(1);
    }
    bytes += static_cast<std::uint64_t>(n);
    scan.feed(buffer, static_cast<std::size_t>(n));
  }
  std::printf("%llu %.4f\n", static_cast<unsigned long long>(bytes), seconds_since(began));
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view deed = argc > 1 ? argv[1] : "";
  const unsigned port = argc > 2 ? static_cast<unsigned>(std::atoi(argv[2])) : 0;
  mysql_library_init(0, nullptr, nullptr);
  if (deed == "logins" && argc == 5) {
    logins(port, std::atoi(argv[3]), std::atoi(argv[4]));
  } else if (deed == "hold" && argc == 4) {
    hold(port, std::atoi(argv[3]));
  } else if (deed == "stream" && argc == 4) {
    stream(port, argv[3]);
  } else {
    std::fprintf(stderr, "client logins PORT SECONDS THREADS | hold PORT SESSIONS | stream PORT SQL\n");
    return 2;
  }
}
