#include "ledger.h"

#include <chrono>
#include <memory>
#include <stdexcept>

#include "compare.h"

namespace godwit::test {
namespace {

constexpr unsigned kAccounts = 400;
constexpr unsigned kSeats = 300;

std::string number(std::uint64_t value) { return std::to_string(value); }

}  // namespace

void create_ledger(Client& source) {
  source.script(R"(
DROP DATABASE IF EXISTS ledger;
CREATE DATABASE ledger CHARACTER SET utf8mb4;
CREATE TABLE ledger.account (id INT NOT NULL PRIMARY KEY, balance BIGINT NOT NULL, turns INT NOT NULL, note VARCHAR(40) NULL);
CREATE TABLE ledger.entry (id BIGINT NOT NULL PRIMARY KEY, account INT NOT NULL, amount INT NOT NULL, KEY (account));
CREATE TABLE ledger.slip (number BIGINT NOT NULL, words VARCHAR(40) NULL);
CREATE TABLE ledger.seat (id INT NOT NULL PRIMARY KEY, code INT NULL, holder VARCHAR(40) NULL, UNIQUE KEY (code), UNIQUE KEY (holder));
CREATE TABLE ledger.tag (name VARCHAR(40) NOT NULL, part INT NOT NULL, uses INT NOT NULL, PRIMARY KEY (name, part));
)");
  std::string accounts;
  std::string seats;
  for (unsigned i = 1; i <= kAccounts; ++i) accounts += (i > 1 ? ",(" : "(") + number(i) + ", 1000, 0, NULL)";
  for (unsigned i = 1; i <= kSeats; ++i) seats += (i > 1 ? ",(" : "(") + number(i) + ", " + number(i) + ", 'holder " + number(i) + "')";
  source.execute("INSERT INTO ledger.account VALUES " + accounts);
  source.execute("INSERT INTO ledger.seat VALUES " + seats);
  source.execute("INSERT INTO ledger.slip VALUES (0, 'first'), (0, NULL)");
  source.execute("INSERT INTO ledger.tag VALUES ('Ärger', 1, 0), ('b', 1, 0)");
  source.execute("INSERT INTO ledger.entry VALUES (0, 1, 0)");
}

LedgerWriter::LedgerWriter(const Server& source, LedgerOptions options) : source_(source), options_(options), thread_([this] { run(); }) {}

LedgerWriter::~LedgerWriter() {
  is_ending_ = true;
  thread_.join();
}

void LedgerWriter::pause() {
  is_paused_ = true;
  while (!rests_ && !has_failed_) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  if (has_failed_) throw std::runtime_error("the writer failed: " + failure_);
}

void LedgerWriter::go_on() {
  is_paused_ = false;
  while (rests_ && !has_failed_) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

void LedgerWriter::run() {
  std::unique_ptr<Client> client;
  // Numbers are taken before they are written: one whose commit was not heard of is never used again.
  for (unsigned turn = static_cast<unsigned>(std::chrono::steady_clock::now().time_since_epoch().count() / 1'000'000 % 2'000'000'000); !is_ending_; ++turn) {
    rests_ = is_paused_.load();
    if (rests_) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      continue;
    }
    try {
      if (!client) client = std::make_unique<Client>(source_.client(kLedger));
      write(*client, turn);
      ++transactions_;
      // Before and after a burst the applier may come to rest, so that it meets rows without a key apart.
      const bool is_turning = options_.is_bursting && (turn % 64 == 47 || turn % 64 == 63);
      std::this_thread::sleep_for(std::chrono::milliseconds(is_turning ? 200 : 4));
    } catch (const std::exception& error) {
      client.reset();
      if (!tolerates_) {
        failure_ = error.what();
        has_failed_ = true;
        return;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  }
}

// Phases: rows without a key keep a window in one piece, so that there must be times without them.
void LedgerWriter::write(Client& client, unsigned turn) {
  const unsigned phase = turn % 64;
  if (options_.is_bursting && phase >= 48) return phase % 4 == 0 ? burst(client, turn) : change_seats(client, turn);
  if (options_.has_xa && phase % 8 == 7) return xa(client, turn);
  if (phase % 8 == 3) return change_seats(client, turn);
  transfer(client, turn);
}

void LedgerWriter::transfer(Client& client, unsigned turn) {
  const std::string from = number(turn % kAccounts + 1);
  const std::string to = number((turn * 7U + 3) % kAccounts + 1);
  client.execute("BEGIN");
  client.execute("UPDATE account SET balance = balance - 5, turns = turns + 1 WHERE id = " + from);
  client.execute("UPDATE account SET balance = balance + 5, note = 'turn " + number(turn) + "' WHERE id = " + to);
  client.execute("INSERT INTO entry VALUES (" + number(turn * std::uint64_t{1000}) + ", " + from + ", 5)");
  if (options_.has_keyless) {
    client.execute("INSERT INTO slip VALUES (" + number(turn) + ", 'slip')");
    if (turn % 3 == 0) client.execute("INSERT INTO slip VALUES (" + number(turn) + ", 'slip')");  // its like: twice the same row
    if (turn % 4 == 0) client.execute("UPDATE slip SET words = 'changed' WHERE number = " + number(turn - 2));
    client.execute("DELETE FROM slip WHERE number BETWEEN 1 AND " + number(turn - 200) + " LIMIT 3");
  }
  client.execute("INSERT INTO tag (name, part, uses) VALUES ('tag " + number(turn % 9) + "', " + number(turn % 5) + ", 1) ON DUPLICATE KEY UPDATE uses = uses + 1");
  client.execute(turn % 11 == 0 ? "ROLLBACK" : "COMMIT");
}

void LedgerWriter::burst(Client& client, unsigned turn) {
  client.execute("BEGIN");
  client.execute("UPDATE account SET balance = balance + 1, turns = turns + 1");
  std::string entries;
  for (unsigned i = 1; i <= 150; ++i) entries += (i > 1 ? ",(" : "(") + number(turn * std::uint64_t{1000} + i) + ", " + number(i) + ", 1)";
  client.execute("INSERT INTO entry VALUES " + entries);
  client.execute("DELETE FROM entry ORDER BY id LIMIT 160");
  client.execute("UPDATE tag SET uses = uses + 1");
  client.execute("COMMIT");
}

void LedgerWriter::change_seats(Client& client, unsigned turn) {
  const std::string a = number(turn % kSeats + 1);
  const std::string b = number((turn * 13U + 1) % kSeats + 1);
  client.execute("BEGIN");
  if (a == b) {
    client.execute("UPDATE seat SET holder = NULL WHERE id = " + a);
  } else {
    // Two rows exchange a unique value, by way of NULL; a third one leaves and comes back under another key and with the same code.
    const std::string code_a = client.scalar("SELECT code FROM seat WHERE id = " + a);
    const std::string code_b = client.scalar("SELECT code FROM seat WHERE id = " + b);
    client.execute("UPDATE seat SET code = NULL WHERE id = " + a);
    if (!code_a.empty()) client.execute("UPDATE seat SET code = " + code_a + ", holder = CONCAT('h', " + number(turn) + ") WHERE id = " + b);
    if (!code_b.empty()) client.execute("UPDATE seat SET code = " + code_b + " WHERE id = " + a);
  }
  client.execute("COMMIT");
  client.execute("DELETE FROM seat WHERE id = " + number(1000 + turn % 50));
  client.execute("INSERT INTO seat VALUES (" + number(1000 + turn % 50) + ", " + number(100000 + turn % 50) + ", NULL)");
}

void LedgerWriter::xa(Client& client, unsigned turn) {
  const std::string xid = "'ledger " + number(turn) + "'";
  client.execute("XA START " + xid);
  client.execute("UPDATE account SET balance = balance + 2, turns = turns + 1 WHERE id = " + number(turn % kAccounts + 1));
  client.execute("INSERT INTO slip VALUES (" + number(turn) + ", 'xa')");
  client.execute("XA END " + xid);
  client.execute("XA PREPARE " + xid);
  client.execute((turn % 16 == 15 ? "XA ROLLBACK " : "XA COMMIT ") + xid);
}

std::string ledger_difference(const Server& source, const Server& target, int limit_s) {
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(limit_s);
  std::string text;
  while (true) {
    try {
      Client from = source.client();
      Client to = target.client();
      text = difference(from, kLedger, to, kLedger);
    } catch (const std::exception& error) {
      text = error.what();
    }
    if (text.empty() || std::chrono::steady_clock::now() > limit) return text;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

}  // namespace godwit::test
