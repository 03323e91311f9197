#include "switch_ledger.h"

#include <algorithm>
#include <stdexcept>
#include <thread>

#include "ledger_client.h"
#include "waiting.h"

namespace godwit::test {
namespace {

constexpr std::size_t kComplaintsMax = 200;

std::string rows_of(unsigned count, const std::string& rest) {
  std::string text;
  for (unsigned i = 0; i < count; ++i) text += (i == 0 ? "(" : ", (") + std::to_string(i) + ", " + rest + ")";
  return text;
}

std::string text_of(const std::string& kind, const std::vector<Complaint>& complaints) {
  std::string text;
  for (std::size_t i = 0; i < complaints.size() && i < 10; ++i) text += kind + " of client " + std::to_string(complaints[i].client) + " at port " + std::to_string(complaints[i].port) + ": " + complaints[i].text + "\n";
  if (complaints.size() > 10) text += "and " + std::to_string(complaints.size() - 10) + " more\n";
  return text;
}

}  // namespace

void create_teller(const Server& server) {
  Client client = server.client();
  client.execute("DROP USER IF EXISTS teller@'%'");
  client.execute("CREATE USER teller@'%' IDENTIFIED BY 'teller'");
  client.execute("GRANT ALL ON trade.* TO teller@'%'");
}

void create_trade(Client& server, unsigned clients) {
  server.script(R"(
DROP DATABASE IF EXISTS trade;
CREATE DATABASE trade CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;
CREATE TABLE trade.accounts (id INT NOT NULL PRIMARY KEY, balance BIGINT NOT NULL) ENGINE=InnoDB;
CREATE TABLE trade.clocks (client INT NOT NULL PRIMARY KEY, n BIGINT NOT NULL) ENGINE=InnoDB;
CREATE TABLE trade.orders (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, client INT NOT NULL, turn BIGINT NOT NULL, words VARCHAR(60) NOT NULL, KEY by_client (client, turn)) ENGINE=InnoDB;
CREATE TABLE trade.order_lines (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, order_id BIGINT NOT NULL, line INT NOT NULL, amount INT NOT NULL, KEY by_order (order_id),
  CONSTRAINT line_of FOREIGN KEY (order_id) REFERENCES trade.orders (id)) ENGINE=InnoDB;
CREATE TABLE trade.transfers (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, client INT NOT NULL, turn BIGINT NOT NULL, from_account INT NOT NULL, to_account INT NOT NULL, amount INT NOT NULL) ENGINE=InnoDB;
CREATE TABLE trade.notes (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, client INT NOT NULL, turn BIGINT NOT NULL, part INT NOT NULL, words VARCHAR(60) NOT NULL, KEY by_client (client, turn)) ENGINE=InnoDB;
CREATE TABLE trade.bypass (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, writer INT NOT NULL, turn BIGINT NOT NULL) ENGINE=InnoDB;
)");
  server.execute("INSERT INTO trade.accounts VALUES " + rows_of(kAccounts, std::to_string(kBalance)));
  server.execute("INSERT INTO trade.clocks VALUES " + rows_of(clients, "0"));
}

SwitchLedger::SwitchLedger(Options options) : options_(std::move(options)) {
  for (unsigned i = 0; i < options_.clients; ++i) clients_.push_back(std::make_unique<LedgerClient>(*this, static_cast<int>(i), options_.ports[i % options_.ports.size()]));
}

SwitchLedger::~SwitchLedger() {
  tell(is_ending_, true);
  clients_.clear();
}

void SwitchLedger::tell(std::atomic<bool>& what, bool value) {
  const std::lock_guard lock(told_mutex_);
  what = value;
  told_.notify_all();
}

void SwitchLedger::pause() {
  tell(is_paused_, true);
  const auto rest = [&] { return std::all_of(clients_.begin(), clients_.end(), [](const auto& client) { return client->is_resting(); }); };
  if (!holds_within(std::chrono::seconds(90), rest)) throw std::runtime_error("a client has waited for an answer for 90 s");
}

// Until all have seen it: the next pause() must not take an old rest for a new one.
void SwitchLedger::go_on() {
  tell(is_paused_, false);
  const auto is_awake = [&] { return std::none_of(clients_.begin(), clients_.end(), [](const auto& client) { return client->is_resting() && !client->has_ended(); }); };
  if (!holds_within(std::chrono::seconds(30), is_awake)) throw std::runtime_error("a client does not go on");
}

void SwitchLedger::await_busy() {
  const auto is_busy = [&] { return std::all_of(clients_.begin(), clients_.end(), [](const auto& client) { return client->statements() > 3 || client->has_ended(); }); };
  const auto patience = std::chrono::seconds(30) + std::chrono::duration_cast<std::chrono::seconds>(8 * options_.think_max);
  if (!holds_within(patience, is_busy)) throw std::runtime_error("not all clients are at work after " + std::to_string(patience.count()) + " s\n" + complaints());
}

std::uint64_t SwitchLedger::statements() const {
  std::uint64_t sum = 0;
  for (const auto& client : clients_) sum += client->statements();
  return sum;
}

std::uint64_t SwitchLedger::acknowledged() const {
  std::uint64_t sum = 0;
  for (const auto& client : clients_) sum += client->acknowledged();
  return sum;
}

std::vector<double> SwitchLedger::take_waits_ms() {
  std::vector<double> waits;
  for (const auto& client : clients_) {
    if (const double wait = client->take_wait_ms(); wait > 0) waits.push_back(wait);
  }
  return waits;
}

double SwitchLedger::usual_ms() const {
  std::vector<std::uint64_t> slots(LedgerClient::kSlots);
  for (const auto& client : clients_) client->add_to(slots);
  std::uint64_t all = 0;
  for (const auto count : slots) all += count;
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < slots.size(); ++i) {
    sum += slots[i];
    if (sum * 2 >= all) return static_cast<double>(i) * 0.05 + 0.025;
  }
  return 0;
}

void SwitchLedger::complain(std::vector<Complaint>& where, Complaint complaint) {
  const std::lock_guard lock(mutex_);
  if (where.size() < kComplaintsMax) where.push_back(std::move(complaint));
}

std::vector<Complaint> SwitchLedger::errors() const {
  const std::lock_guard lock(mutex_);
  return errors_;
}

std::vector<Complaint> SwitchLedger::faults() const {
  const std::lock_guard lock(mutex_);
  return faults_;
}

std::string SwitchLedger::complaints() const { return text_of("error", errors()) + text_of("wrong answer", faults()); }

std::vector<const Books*> SwitchLedger::books() const {
  std::vector<const Books*> all;
  for (const auto& client : clients_) all.push_back(&client->books());
  return all;
}

Waits pauses(std::vector<double> waits_ms, double usual_ms) {
  if (waits_ms.empty()) return {};
  std::sort(waits_ms.begin(), waits_ms.end());
  return {.median_ms = std::max(0.0, waits_ms[waits_ms.size() / 2] - usual_ms), .longest_ms = std::max(0.0, waits_ms.back() - usual_ms)};
}

}  // namespace godwit::test
