#include "ledger_judge.h"

#include <map>
#include <set>
#include <unordered_map>

namespace godwit::test {
namespace {

using std::to_string;

std::uint64_t number(const std::optional<std::string>& cell) { return cell ? std::stoull(*cell) : 0; }

// Who wrote a row, in which turn.
using Key = std::pair<int, std::uint64_t>;
struct Row {
  std::uint64_t id = 0;
  std::vector<std::string> rest;
};
using Rows = std::multimap<Key, Row>;

class Judge {
 public:
  Judge(const Evidence& evidence, Client& server) : evidence_(evidence), server_(server) {}

  std::string run() {
    books_ = evidence_.ledger->books();
    for (const auto part : {&Judge::judge_orders, &Judge::judge_lines, &Judge::judge_transfers, &Judge::judge_notes, &Judge::judge_clocks, &Judge::judge_balances, &Judge::judge_bypasses, &Judge::judge_audit, &Judge::judge_keys}) {
      faults_ = 0;
      (this->*part)();
      if (faults_ > kShown) text_ += "and " + to_string(faults_ - kShown) + " more of these\n";
    }
    return text_;
  }

 private:
  static constexpr std::size_t kShown = 4;  // of one part: many of one kind hide no other
  struct Handed {
    std::uint64_t id = 0;
    int client = 0;
    std::uint64_t turn = 0;
    Fate fate = Fate::undone;
  };

  void fault(const std::string& text) {
    if (++faults_ <= kShown) text_ += text + "\n";
  }
  static std::string name(int client, std::uint64_t turn) { return " of client " + to_string(client) + ", turn " + to_string(turn); }

  // The first three columns are id, client and turn.
  Rows read(const std::string& sql) {
    Rows rows;
    for (const auto& cells : server_.query(sql)) {
      Row row{.id = number(cells[0]), .rest = {}};
      for (std::size_t i = 3; i < cells.size(); ++i) row.rest.push_back(cells[i].value_or("NULL"));
      rows.emplace(Key{std::stoi(cells[1].value()), number(cells[2])}, std::move(row));
    }
    return rows;
  }

  // Whether the rows of one write are as its fate allows; those found are taken out, so that what is left was never sent.
  std::vector<Row> take(Rows& rows, int client, std::uint64_t turn, Fate fate, std::size_t wanted, const std::string& what) {
    const auto [first, last] = rows.equal_range({client, turn});
    std::vector<Row> found;
    for (auto at = first; at != last; ++at) found.push_back(at->second);
    rows.erase(first, last);
    const bool is_right = (fate == Fate::acknowledged && found.size() == wanted) || (fate == Fate::undone && found.empty()) || (fate == Fate::unheard && (found.empty() || found.size() == wanted));
    if (!is_right) {
      const char* word = fate == Fate::acknowledged ? "acknowledged " : fate == Fate::undone ? "undone " : "unheard ";
      fault(word + what + name(client, turn) + ": " + to_string(found.size()) + " rows instead of " + to_string(wanted));
    }
    return found;
  }
  void judge_rest(const Rows& rows, const std::string& what) {
    for (const auto& [key, row] : rows) fault(what + " " + to_string(row.id) + name(key.first, key.second) + ", which nobody sent");
  }

  void judge_orders() {
    Rows rows = read("SELECT id, client, turn, words FROM trade.orders");
    for (const auto* book : books_) {
      for (const auto& order : book->orders) {
        const auto found = take(rows, book->client, order.turn, order.fate, 1, "order");
        if (order.id != 0) handed_["orders"].push_back({order.id, book->client, order.turn, order.fate});
        if (found.size() != 1) continue;
        is_there_.emplace(order.id, &order);
        if (found[0].id != order.id) fault("order" + name(book->client, order.turn) + " has the key " + to_string(found[0].id) + " and was told " + to_string(order.id));
        if (found[0].rest[0] != "order " + to_string(order.turn)) fault("order" + name(book->client, order.turn) + " reads " + found[0].rest[0]);
      }
    }
    judge_rest(rows, "order");
  }

  void judge_lines() {
    std::map<std::uint64_t, std::vector<std::array<std::uint64_t, 3>>> lines;  // id, line, amount, by order
    for (const auto& cells : server_.query("SELECT order_id, id, line, amount FROM trade.order_lines ORDER BY order_id, line")) lines[number(cells[0])].push_back({number(cells[1]), number(cells[2]), number(cells[3])});
    for (const auto* book : books_) {
      for (const auto& order : book->orders) {
        for (const auto id : order.lines) {
          if (id != 0) handed_["order_lines"].push_back({id, book->client, order.turn, order.fate});
        }
      }
    }
    for (const auto& [id, order] : is_there_) {
      const auto found = lines.extract(id);
      bool is_right = !found.empty() && found.mapped().size() == kLines;
      for (unsigned i = 0; is_right && i < kLines; ++i) is_right = found.mapped()[i] == std::array<std::uint64_t, 3>{order->lines[i], i, static_cast<std::uint64_t>(order->amount) + i};
      if (!is_right) fault("order " + to_string(id) + " does not have its lines");
    }
    for (const auto& [id, more] : lines) fault(to_string(more.size()) + " lines of an order " + to_string(id) + " that is not there");
  }

  void judge_transfers() {
    Rows rows = read("SELECT id, client, turn, from_account, to_account, amount FROM trade.transfers");
    for (const auto* book : books_) {
      for (const auto& order : book->orders) {
        if (order.transfer != 0) handed_["transfers"].push_back({order.transfer, book->client, order.turn, order.fate});
        const auto found = take(rows, book->client, order.turn, order.fate, 1, "transfer");
        // A server that was killed may hand out the key of a transaction that it has forgotten once more.
        const auto at = is_there_.find(order.id);
        const bool is_there = at != is_there_.end() && at->second == &order;
        if (is_there != (found.size() == 1)) fault("half a transaction is there" + name(book->client, order.turn));
        if (found.size() != 1) continue;
        const std::vector<std::string> sent{to_string(order.from), to_string(order.to), to_string(order.amount)};
        if (found[0].id != order.transfer || found[0].rest != sent) fault("transfer" + name(book->client, order.turn) + " is not as it was sent");
      }
    }
    judge_rest(rows, "transfer");
  }

  void judge_notes() {
    Rows rows = read("SELECT id, client, turn, part FROM trade.notes ORDER BY id");
    for (const auto* book : books_) {
      for (const auto& note : book->notes) {
        for (unsigned part = 0; note.first_id != 0 && part < note.count; ++part) handed_["notes"].push_back({note.first_id + part, book->client, note.turn, note.fate});
        Fate fate = note.fate;
        if (note.is_erasing) fate = note.erased == Fate::acknowledged ? Fate::undone : note.erased == Fate::unheard ? Fate::unheard : fate;
        const auto found = take(rows, book->client, note.turn, fate, note.count, note.is_erasing ? "note, erased," : "note");
        for (unsigned part = 0; note.first_id != 0 && part < found.size(); ++part) {
          if (found[part].id != note.first_id + part) fault("note" + name(book->client, note.turn) + " has the key " + to_string(found[part].id) + " and was told " + to_string(note.first_id + part));
        }
      }
    }
    judge_rest(rows, "note");
  }

  void judge_clocks() {
    std::map<int, std::uint64_t> clocks;
    for (const auto& cells : server_.query("SELECT client, n FROM trade.clocks")) clocks[std::stoi(cells[0].value())] = number(cells[1]);
    for (const auto* book : books_) {
      const auto found = clocks.at(book->client);
      const auto highest = book->ticks_acknowledged + book->ticks_unheard;
      if (found < book->ticks_acknowledged || found > highest) fault("the clock of client " + to_string(book->client) + " says " + to_string(found) + ", and must say " + to_string(book->ticks_acknowledged) + " to " + to_string(highest));
    }
  }

  // By what its own table of transfers says: a change that is lost, or applied twice, shows in a balance.
  void judge_balances() {
    const auto wrong = server_.query(
        "SELECT a.id, a.balance, " + to_string(kBalance) + " + COALESCE((SELECT SUM(t.amount) FROM trade.transfers t WHERE t.to_account = a.id), 0) - COALESCE((SELECT SUM(t.amount) FROM trade.transfers t WHERE t.from_account = a.id), 0) AS due "
        "FROM trade.accounts a HAVING balance <> due");
    for (const auto& cells : wrong) fault("account " + cells[0].value() + " has " + cells[1].value() + " and must have " + cells[2].value());
  }

  void judge_bypasses() {
    Rows rows = read("SELECT id, writer, turn FROM trade.bypass");
    for (const auto* bypass : evidence_.bypasses) {
      for (const auto& line : bypass->lines()) {
        const Fate fate = line.fate == Bypass::Line::Fate::acknowledged ? Fate::acknowledged : line.fate == Bypass::Line::Fate::refused ? Fate::undone : Fate::unheard;
        take(rows, bypass->writer(), line.turn, fate, 1, "direct write");
      }
    }
    judge_rest(rows, "direct write");
  }

  void judge_audit() {
    if (!evidence_.has_trigger) return;
    for (const auto& cells : server_.query("SELECT o.id, COUNT(a.order_id) FROM trade.orders o LEFT JOIN trade.audit a ON a.order_id = o.id GROUP BY o.id HAVING COUNT(a.order_id) <> 1")) {
      fault("the trigger has fired " + cells[1].value() + " times for order " + cells[0].value());
    }
    const std::string more = server_.scalar("SELECT COUNT(*) FROM trade.audit a LEFT JOIN trade.orders o ON o.id = a.order_id WHERE o.id IS NULL");
    if (more != "0") fault("the trigger has fired for " + more + " orders that are not there");
  }

  void judge_keys() {
    for (const char* table : {"orders", "order_lines", "transfers", "notes"}) judge_keys_of(table);
  }

  void judge_keys_of(const std::string& table) {
    std::unordered_map<std::uint64_t, const Handed*> owners;
    for (const auto& handed : handed_[table]) {
      if (evidence_.has_server_died && handed.fate != Fate::acknowledged) continue;
      const auto [at, is_new] = owners.emplace(handed.id, &handed);
      if (!is_new) fault(table + ": the key " + to_string(handed.id) + " was handed out twice:" + name(at->second->client, at->second->turn) + ", and" + name(handed.client, handed.turn));
    }
  }

  const Evidence& evidence_;
  Client& server_;
  std::vector<const Books*> books_;
  std::map<std::uint64_t, const Order*> is_there_;  // orders, by key
  std::map<std::string, std::vector<Handed>> handed_;
  std::string text_;
  std::size_t faults_ = 0;
};

}  // namespace

std::string judge(const Evidence& evidence, Client& server) { return Judge(evidence, server).run(); }

}  // namespace godwit::test
