#include "client.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "godwit/sql/quote.h"
#include "godwit/util/error.h"

namespace godwit::rehearsal {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kThink{10};  // between two transactions
constexpr std::size_t kSamplesMax = 4096;        // of each session, the newest
constexpr std::size_t kErrorsMax = 8;            // of each session; it ends at its first

double ms_since(Clock::time_point began) { return std::chrono::duration<double, std::milli>(Clock::now() - began).count(); }

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

}  // namespace

std::vector<std::string> client_tables(const std::string& schema, unsigned sessions) {
  const std::string ledger = sql::quote_table(schema, kLedger);
  const std::string counter = sql::quote_table(schema, kCounter);
  std::vector<std::string> statements{
      fmt::format("CREATE TABLE {} (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, session INT NOT NULL, number BIGINT NOT NULL, UNIQUE KEY (session, number)) ENGINE=InnoDB", ledger),
      fmt::format("CREATE TABLE {} (session INT PRIMARY KEY, number BIGINT NOT NULL) ENGINE=InnoDB", counter)};
  for (unsigned i = 0; i < sessions; ++i) statements.push_back(fmt::format("INSERT INTO {} VALUES ({}, 0)", counter, i));
  return statements;
}

struct Client::Session {
  unsigned number = 0;
  mutable std::mutex mutex;
  Books books;                  // these under mutex
  std::vector<double> samples;
  std::size_t samples_seen = 0;
  double longest_ms = 0;
  Clock::time_point asked{};    // of what has no answer yet; else 0
  std::thread thread;
};

Client::Client(Options options) : options_(std::move(options)) {
  for (unsigned i = 0; i < options_.sessions; ++i) {
    auto session = std::make_unique<Session>();
    session->number = i;
    sessions_.push_back(std::move(session));
  }
  for (auto& session : sessions_) session->thread = std::thread([this, it = session.get()] { work(*it); });
}

Client::~Client() { end(); }

void Client::end() {
  is_ending_ = true;
  for (auto& session : sessions_) {
    if (session->thread.joinable()) session->thread.join();
  }
}

// An error is what a switch must not cause: it is written down, and the session ends, as an application's would.
void Client::work(Session& session) {
  try {
    db::Connection server = db::Connection::open_bare(options_.proxy);
    server.execute("USE " + sql::quote_identifier(options_.schema));
    while (!is_ending_) {
      go_through(session, server);
      std::this_thread::sleep_for(kThink);
    }
  } catch (const std::exception& error) {
    std::lock_guard lock(session.mutex);
    if (session.books.errors.size() < kErrorsMax) session.books.errors.emplace_back(error.what());
  }
}

// An application's transaction: several statements, two tables, a key that the server makes.
void Client::go_through(Session& session, db::Connection& server) {
  std::uint64_t next = 0;
  const auto began = Clock::now();
  {
    std::lock_guard lock(session.mutex);
    next = session.books.acknowledged + 1;
    session.asked = began;
  }
  server.execute("BEGIN");
  server.execute(fmt::format("INSERT INTO {} (session, number) VALUES ({}, {})", sql::quote_identifier(kLedger), session.number, next));
  server.execute(fmt::format("UPDATE {} SET number = {} WHERE session = {}", sql::quote_identifier(kCounter), next, session.number));
  server.execute("COMMIT");
  const double took = ms_since(began);
  std::lock_guard lock(session.mutex);
  session.books.acknowledged = next;
  session.asked = {};
  session.longest_ms = std::max(session.longest_ms, took);
  if (session.samples.size() < kSamplesMax) session.samples.push_back(took);
  else session.samples[session.samples_seen % kSamplesMax] = took;
  ++session.samples_seen;
}

std::uint64_t Client::acknowledged() const {
  std::uint64_t sum = 0;
  for (const auto& session : sessions_) {
    std::lock_guard lock(session->mutex);
    sum += session->books.acknowledged;
  }
  return sum;
}

std::vector<double> Client::take_waits_ms() {
  std::vector<double> waits;
  for (const auto& session : sessions_) {
    std::lock_guard lock(session->mutex);
    const bool waits_still = session->asked != Clock::time_point{};
    waits.push_back(std::max(session->longest_ms, waits_still ? ms_since(session->asked) : 0.0));
    session->longest_ms = 0;
  }
  std::sort(waits.begin(), waits.end());
  return waits;
}

double Client::usual_ms() const {
  std::vector<double> all;
  for (const auto& session : sessions_) {
    std::lock_guard lock(session->mutex);
    all.insert(all.end(), session->samples.begin(), session->samples.end());
  }
  return median(std::move(all));
}

std::vector<std::string> Client::errors() const {
  std::vector<std::string> all;
  for (const auto& session : sessions_) {
    std::lock_guard lock(session->mutex);
    all.insert(all.end(), session->books.errors.begin(), session->books.errors.end());
  }
  return all;
}

std::uint64_t Client::lost_on(db::Connection& server) const {
  std::uint64_t lost = 0;
  for (const auto& session : sessions_) {
    const db::Rows rows = server.query(fmt::format("SELECT COUNT(*) AS rows_there FROM {} WHERE session = {} AND number <= {}", sql::quote_table(options_.schema, kLedger), session->number, session->books.acknowledged));
    const std::uint64_t there = rows.u64(0, "rows_there");
    lost += session->books.acknowledged - std::min(session->books.acknowledged, there);
  }
  return lost;
}

}  // namespace godwit::rehearsal
