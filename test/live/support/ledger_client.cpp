#include "ledger_client.h"

#include <signal.h>

#include <algorithm>
#include <stdexcept>

namespace godwit::test {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::microseconds;
using std::chrono::milliseconds;

enum Prepared : unsigned { insert_order, insert_line, insert_note, tick_clock, read_clocks };
const std::vector<std::string> kTexts{"INSERT INTO orders (client, turn, words) VALUES (?, ?, ?)", "INSERT INTO order_lines (order_id, line, amount) VALUES (?, ?, ?)",
                                      "INSERT INTO notes (client, turn, part, words) VALUES (?, ?, ?, ?)", "UPDATE clocks SET n = n + 1 WHERE client = ?",
                                      "SELECT client, n FROM clocks WHERE client IN (?, ?) ORDER BY client"};

std::string text_of(std::uint64_t value) { return std::to_string(value); }
std::uint64_t number_in(const std::vector<Cells>& rows) { return rows.empty() || !rows[0][0] ? 0 : std::stoull(*rows[0][0]); }

// std::system() blocks SIGCHLD in its own thread alone: here it would interrupt a read, which the client library then takes for one that has timed out.
void block_child_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGCHLD);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

}  // namespace

LedgerClient::LedgerClient(SwitchLedger& ledger, int number, int port)
    : ledger_(ledger), number_(number), port_(port), random_(ledger.options_.seed * 1'000'003 + static_cast<unsigned>(number)) {
  books_.client = number;
  thread_ = std::thread([this] { run(); });
}

void LedgerClient::run() {
  block_child_signals();
  while (!ledger_.is_ending_) {
    rest();
    if (ledger_.is_ending_) break;
    try {
      if (!client_) connect();
      deed();
      ++turn_;
    } catch (const std::exception& error) {
      ledger_.complain(ledger_.errors_, {.client = number_, .port = port_, .at = Clock::now(), .text = error.what()});
      statements_prepared_.clear();
      client_.reset();
      ++turn_;
      if (!ledger_.options_.reconnects) break;
      std::this_thread::sleep_for(milliseconds(50));
    }
  }
  has_ended_ = true;
}

void LedgerClient::rest() {
  const auto end = Clock::now() + microseconds(random_() % static_cast<std::uint64_t>(ledger_.options_.think_max.count() + 1));
  std::unique_lock lock(ledger_.told_mutex_);
  while (!ledger_.is_ending_ && (ledger_.is_paused_ || Clock::now() < end)) {
    rests_ = ledger_.is_paused_.load();
    rests_ ? ledger_.told_.wait(lock) : static_cast<void>(ledger_.told_.wait_until(lock, end));
  }
  rests_ = false;
}

void LedgerClient::connect() {
  ledger_.logins_.acquire();
  const std::unique_ptr<std::counting_semaphore<>, void (*)(std::counting_semaphore<>*)> turn(&ledger_.logins_, [](auto* logins) { logins->release(); });
  client_ = std::make_unique<AppClient>(AppClient::Options{.port = port_, .user = kTeller, .password = kTeller, .schema = kTrade, .has_tls = ledger_.options_.has_tls});
  client_->run({"SET @me = " + std::to_string(number_)});
  for (const auto& text : kTexts) statements_prepared_.push_back(std::make_unique<AppStatement>(*client_, text));
}

void LedgerClient::deed() {
  const auto kind = random_() % 16;
  if (kind < 4) return place(kind != 3);
  if (kind < 6) return note();
  if (kind < 7) return note_several();
  if (kind < 8) return erase_note();
  if (kind < 10) return tick();
  look();
}

template <typename Deed>
auto LedgerClient::timed(const Deed& deed) {
  const auto began = Clock::now();
  auto result = deed();
  const auto took = std::chrono::duration_cast<microseconds>(Clock::now() - began).count();
  if (took > longest_us_) longest_us_ = took;
  ++waits_[std::min<std::size_t>(static_cast<std::size_t>(took / 50), kSlots - 1)];
  ++statements_;
  return result;
}

AppAnswer LedgerClient::ask(const std::string& sql) {
  auto answer = timed([&] { return client_->ask(sql); });
  if (!answer.is_ok()) throw std::runtime_error(std::to_string(answer.error) + " " + answer.message + " in: " + sql);
  return answer;
}

std::vector<Cells> LedgerClient::execute(unsigned statement, const std::vector<std::string>& parameters) {
  try {
    return timed([&] { return statements_prepared_[statement]->execute(parameters); });
  } catch (const std::exception& error) {
    throw std::runtime_error(std::string(error.what()) + " in: " + kTexts[statement]);
  }
}

std::uint64_t LedgerClient::made_key(unsigned statement) { return mysql_stmt_insert_id(statements_prepared_[statement]->handle()); }

template <typename Deed>
void LedgerClient::commit(Fate& fate, const Deed& deed) {
  fate = Fate::unheard;
  deed();
  fate = Fate::acknowledged;
  ++acknowledged_;
}

void LedgerClient::place(bool is_committing) {
  auto& order = books_.orders.emplace_back();
  order.turn = turn_;
  order.from = static_cast<unsigned>(random_() % kAccounts);
  order.to = static_cast<unsigned>((order.from + 1 + random_() % (kAccounts - 1)) % kAccounts);
  order.amount = static_cast<int>(random_() % 100) + 1;
  ask("BEGIN");
  order.id = write_order(order);
  write_lines(order);
  move_money(order);
  execute(tick_clock, {std::to_string(number_)});
  if (!is_committing) {
    ask("ROLLBACK");
    return;
  }
  ++books_.ticks_unheard;
  commit(order.fate, [&] { ask("COMMIT"); });
  --books_.ticks_unheard;
  ++books_.ticks_acknowledged;
  check_order(order);
}

std::uint64_t LedgerClient::write_order(const Order& order) {
  execute(insert_order, {std::to_string(number_), text_of(order.turn), "order " + text_of(order.turn)});
  const auto id = made_key(insert_order);
  wants("LAST_INSERT_ID() of an order", ask("SELECT LAST_INSERT_ID()").rows, text_of(id));
  return id;
}

void LedgerClient::write_lines(Order& order) {
  for (unsigned i = 0; i < kLines; ++i) {
    execute(insert_line, {text_of(order.id), std::to_string(i), std::to_string(order.amount + static_cast<int>(i))});
    order.lines[i] = made_key(insert_line);
  }
}

// In the order of their numbers, so that two clients never wait for each other.
void LedgerClient::move_money(Order& order) {
  for (const unsigned account : {std::min(order.from, order.to), std::max(order.from, order.to)}) {
    const std::string sign = account == order.from ? "-" : "+";
    ask("UPDATE accounts SET balance = balance " + sign + " " + std::to_string(order.amount) + " WHERE id = " + std::to_string(account));
  }
  order.transfer = ask("INSERT INTO transfers (client, turn, from_account, to_account, amount) VALUES (" + std::to_string(number_) + ", " + text_of(order.turn) + ", " + std::to_string(order.from) + ", " +
                       std::to_string(order.to) + ", " + std::to_string(order.amount) + ")")
                       .insert_id;
}

void LedgerClient::check_order(const Order& order) {
  const auto rows = ask("SELECT o.turn, COUNT(l.id) FROM orders o JOIN order_lines l ON l.order_id = o.id WHERE o.id = " + text_of(order.id) + " AND o.client = " + std::to_string(number_) + " GROUP BY o.turn").rows;
  if (to_string(rows) != text_of(order.turn) + ", " + std::to_string(kLines)) fault("its order " + text_of(order.id) + " of turn " + text_of(order.turn) + " reads as " + to_string(rows));
}

// A statement of its own; what LAST_INSERT_ID() says of it must hold for as long as the session asks, wherever it is then.
void LedgerClient::note() {
  auto& note = books_.notes.emplace_back();
  note.turn = turn_;
  note.count = 1;
  commit(note.fate, [&] { execute(insert_note, {std::to_string(number_), text_of(turn_), "0", "note"}); });
  note.first_id = made_key(insert_note);
  wants("LAST_INSERT_ID() of a note", ask("SELECT LAST_INSERT_ID()").rows, text_of(note.first_id));
  check_note(note, 0);
}

void LedgerClient::note_several() {
  auto& note = books_.notes.emplace_back();
  note.turn = turn_;
  note.count = kNotesMax;
  std::string values;
  for (unsigned part = 0; part < kNotesMax; ++part) values += (part == 0 ? "(" : ", (") + std::to_string(number_) + ", " + text_of(turn_) + ", " + std::to_string(part) + ", 'one of several')";
  commit(note.fate, [&] { note.first_id = ask("INSERT INTO notes (client, turn, part, words) VALUES " + values).insert_id; });
  check_note(note, kNotesMax - 1);
}

void LedgerClient::check_note(const Note& note, unsigned part) {
  wants("its note", ask("SELECT CONCAT(client, ' ', turn, ' ', part) FROM notes WHERE id = " + text_of(note.first_id + part)).rows, std::to_string(number_) + " " + text_of(note.turn) + " " + std::to_string(part));
}

void LedgerClient::erase_note() {
  while (to_erase_ < books_.notes.size() && books_.notes[to_erase_].fate != Fate::acknowledged) ++to_erase_;
  if (to_erase_ >= books_.notes.size()) return;
  auto& note = books_.notes[to_erase_++];
  note.is_erasing = true;
  std::uint64_t gone = 0;
  commit(note.erased, [&] { gone = ask("DELETE FROM notes WHERE client = " + std::to_string(number_) + " AND turn = " + text_of(note.turn)).affected_rows; });
  if (gone != note.count) fault("of its " + std::to_string(note.count) + " notes of turn " + text_of(note.turn) + " there were " + text_of(gone));
}

void LedgerClient::tick() {
  ++books_.ticks_unheard;
  auto fate = Fate::undone;
  commit(fate, [&] { execute(tick_clock, {std::to_string(number_)}); });
  --books_.ticks_unheard;
  ++books_.ticks_acknowledged;
  look();
}

// Its own clock says exactly what it has written; its neighbour's never goes back.
void LedgerClient::look() {
  const auto neighbour = (static_cast<unsigned>(number_) + 1) % ledger_.options_.clients;
  const auto rows = execute(read_clocks, {std::to_string(number_), std::to_string(neighbour)});
  std::uint64_t mine = 0;
  std::uint64_t neighbours = 0;
  for (const auto& row : rows) (row[0] == std::to_string(number_) ? mine : neighbours) = std::stoull(row[1].value());
  saw_clock(mine, neighbours);
  if (turn_ % 4 == 0) wants("@me", ask("SELECT @me").rows, std::to_string(number_));
  if (turn_ % 8 == 1) wants("all balances", ask("SELECT SUM(balance) FROM accounts").rows, std::to_string(kAccounts * kBalance));
}

void LedgerClient::saw_clock(std::uint64_t mine, std::uint64_t neighbours) {
  const auto lowest = std::max(clock_seen_, books_.ticks_acknowledged);
  const auto highest = books_.ticks_acknowledged + books_.ticks_unheard;
  if (mine < lowest || mine > highest) fault("its clock says " + text_of(mine) + ", and must say " + text_of(lowest) + " to " + text_of(highest));
  if (neighbours < neighbour_seen_) fault("its neighbour's clock went back from " + text_of(neighbour_seen_) + " to " + text_of(neighbours));
  clock_seen_ = std::max(clock_seen_, mine);
  neighbour_seen_ = std::max(neighbour_seen_, neighbours);
}

void LedgerClient::wants(const std::string& what, const std::vector<Cells>& rows, const std::string& value) {
  if (rows.size() != 1 || rows[0][0] != value) fault(what + ": wanted " + value + ", got " + (rows.empty() ? "nothing" : to_string(rows)));
}

void LedgerClient::fault(const std::string& text) { ledger_.complain(ledger_.faults_, {.client = number_, .port = port_, .at = Clock::now(), .text = text}); }

void LedgerClient::add_to(std::vector<std::uint64_t>& slots) const {
  for (unsigned i = 0; i < kSlots; ++i) slots[i] += waits_[i];
}

}  // namespace godwit::test
