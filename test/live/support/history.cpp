#include "history.h"

#include <algorithm>
#include <chrono>
#include <set>
#include <stdexcept>

#include "compare.h"

namespace godwit::test {
namespace {

struct Layout {
  const char* name;
  const char* columns;   // of the key
  const char* key_text;  // an expression whose value names the key
  unsigned slots;
  bool may_vanish;  // rows are deleted and keys are changed
};

// Slots are numbers; each table makes a key of one in its own way.
const std::vector<Layout>& layouts() {
  static const std::vector<Layout> all{
      {"parents", "id", "CAST(id AS CHAR)", 240, false},
      {"children", "tenant, n", "CONCAT(tenant, ':', n)", 300, true},
      {"texts", "k", "LOWER(k)", 240, true},
      {"skewed", "id", "CAST(id AS CHAR)", 500, true},
  };
  return all;
}

const Layout& layout(const std::string& table) {
  for (const auto& one : layouts()) {
    if (table == one.name) return one;
  }
  throw std::runtime_error("no stamped table " + table);
}

std::vector<std::string> key_of(const std::string& table, unsigned slot) {
  const std::string number = std::to_string(slot);
  if (table == "parents") return {std::to_string(slot * 7 + 1)};
  if (table == "children") return {slot % 10 == 0 ? "-2" : "1", number};  // nearly all rows share the first column
  if (table == "texts") return {literal((slot % 2 == 0 ? "K" : "k") + number)};
  return {slot == 0 ? "1" : "1000000000" + std::string(3 - std::min<std::size_t>(3, number.size()), '0') + number};
}

std::string key_text(const std::string& table, unsigned slot) {
  const auto key = key_of(table, slot);
  if (table == "children") return key[0] + ":" + key[1];
  if (table == "texts") return "k" + std::to_string(slot);
  return key[0];
}

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const auto& part : parts) text += (text.empty() ? "" : ", ") + part;
  return text;
}

std::string where(const std::string& table, unsigned slot) {
  const auto key = key_of(table, slot);
  if (table == "children") return "tenant = " + key[0] + " AND n = " + key[1];
  return std::string(layout(table).columns) + " = " + key[0];
}

std::string pad(const std::string& key, const std::string& stamp) { return "SHA2(" + literal(key + "#" + stamp) + ", 256)"; }

std::string upsert(const std::string& table, unsigned slot, const std::string& stamp) {
  const std::string text = pad(key_text(table, slot), stamp);
  const bool is_child = table == "children";
  const bool has_name = table == "parents";
  const std::string more_columns = is_child ? ", parent" : has_name ? ", name" : "";
  const std::string more_values = is_child ? ", " + key_of("parents", slot % 100)[0] : has_name ? ", " + literal("name " + key_text(table, slot) + " " + stamp) : "";
  return "INSERT INTO " + table + " (" + layout(table).columns + more_columns + ", stamp, pad) VALUES (" + joined(key_of(table, slot)) + more_values + ", " + stamp + ", " + text +
         ") ON DUPLICATE KEY UPDATE stamp = " + stamp + ", pad = " + text + (has_name ? ", name = " + more_values.substr(2) : "");
}

// The number in a GTID: within one server's history it is the order of the binlog.
std::uint64_t number_of(const std::string& gtid) { return std::stoull(gtid.substr(gtid.find_last_of(":-") + 1)); }

std::string blanks_removed(std::string text) {
  std::erase_if(text, [](char c) { return c == ' ' || c == '\n'; });
  return text;
}

std::vector<std::string> split_at(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  while (begin <= text.size()) {
    const auto end = std::min(text.find(separator, begin), text.size());
    if (end > begin) parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

bool is_mariadb_gtid(const std::string& gtid) { return gtid.find(':') == std::string::npos; }

}  // namespace

// --- positions ----------------------------------------------------------------------------------------------------

GtidSet::GtidSet(const std::string& text) {
  for (const auto& part : split_at(blanks_removed(text), ',')) {
    if (is_mariadb_gtid(part)) {
      intervals_[part.substr(0, part.find('-'))].push_back({.first = 1, .last = number_of(part)});
      continue;
    }
    const auto pieces = split_at(part, ':');
    for (std::size_t i = 1; i < pieces.size(); ++i) {
      const auto dash = pieces[i].find('-');
      const std::uint64_t first = std::stoull(pieces[i]);
      const std::uint64_t last = dash == std::string::npos ? first : std::stoull(pieces[i].substr(dash + 1));
      intervals_[pieces[0]].push_back({.first = first, .last = last});
    }
  }
}

bool GtidSet::contains(const std::string& gtid) const {
  const std::string name = gtid.substr(0, gtid.find(is_mariadb_gtid(gtid) ? '-' : ':'));
  const auto found = intervals_.find(name);
  if (found == intervals_.end()) return false;
  const std::uint64_t number = number_of(gtid);
  return std::any_of(found->second.begin(), found->second.end(), [&](const Interval& i) { return i.first <= number && number <= i.last; });
}

// --- history ------------------------------------------------------------------------------------------------------

void History::load(const std::string& table, const std::string& key) {
  std::lock_guard lock(mutex_);
  tables_[table][key][0] = {.gtid = "", .stamp = "0"};
}

void History::commit(const std::string& gtid, const std::vector<Touch>& touches) {
  std::lock_guard lock(mutex_);
  const std::uint64_t number = number_of(gtid);
  gtids_[number] = gtid;
  for (const auto& touch : touches) tables_[touch.table][touch.key][number] = {.gtid = gtid, .stamp = touch.stamp};
}

std::size_t History::transactions() {
  std::lock_guard lock(mutex_);
  return gtids_.size();
}

std::size_t History::between(const std::string& low_text, const std::string& high_text) {
  const GtidSet low(low_text);
  const GtidSet high(high_text);
  std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(std::count_if(gtids_.begin(), gtids_.end(), [&](const auto& entry) { return high.contains(entry.second) && !low.contains(entry.second); }));
}

std::string History::judge(const std::string& table, const Rows& rows, const std::string& low_text, const std::string& high_text) {
  const GtidSet low(low_text);
  const GtidSet high(high_text);
  std::lock_guard lock(mutex_);
  if (table == "log") return judge_log(rows, low, high);
  const auto& keys = tables_[table];
  for (const auto& [key, stamp] : rows.stamps) {
    if (keys.find(key) == keys.end()) return table + ": key " + key + " was never on the source";
  }
  for (const auto& [key, changes] : keys) {
    const auto found = rows.stamps.find(key);
    const std::string seen = found == rows.stamps.end() ? "" : found->second;
    std::set<std::string> allowed{""};  // a key that was not loaded was absent at first
    for (const auto& [number, change] : changes) {
      const bool is_initial = change.gtid.empty();
      if (!is_initial && !high.contains(change.gtid)) break;
      if (is_initial || low.contains(change.gtid)) allowed.clear();
      allowed.insert(change.stamp);
    }
    if (allowed.count(seen) != 0) continue;
    std::string text = table + ": key " + key + " has stamp '" + seen + "', allowed:";
    for (const auto& one : allowed) text += " '" + one + "'";
    text += "; its history:";
    for (const auto& [number, change] : changes) text += " " + change.gtid + "='" + change.stamp + "'";
    return text + "; low " + low_text + " high " + high_text;
  }
  return "";
}

// Rows are only ever added: what is there must be all that was added up to one instant, once each.
std::string History::judge_log(const Rows& rows, const GtidSet& low, const GtidSet& high) {
  std::set<std::string> seen;
  for (const auto& stamp : rows.log) {
    if (!seen.insert(stamp).second) return "log: the row of stamp " + stamp + " is there twice";
  }
  std::map<std::uint64_t, Change> added;
  for (const auto& [stamp, changes] : tables_["log"]) {
    for (const auto& [number, change] : changes) added[number] = {.gtid = change.gtid, .stamp = stamp};
  }
  bool is_beyond = false;
  std::size_t matched = 0;
  for (const auto& [number, change] : added) {
    const bool is_seen = seen.count(change.stamp) != 0;
    matched += is_seen ? 1U : 0U;
    if (is_seen && is_beyond) return "log: " + change.gtid + " is there, an earlier transaction is not";
    if (is_seen && !high.contains(change.gtid)) return "log: " + change.gtid + " is there and not in high";
    if (!is_seen && low.contains(change.gtid)) return "log: " + change.gtid + " is in low and not there";
    is_beyond = is_beyond || !is_seen;
  }
  return matched == seen.size() ? "" : "log: a row that nobody wrote";
}

// --- the schema ---------------------------------------------------------------------------------------------------

void create_stamped(Client& client, const std::string& schema, History& history) {
  const std::string common = "stamp BIGINT NOT NULL, pad CHAR(64) CHARACTER SET ascii NOT NULL";
  client.execute("DROP DATABASE IF EXISTS " + schema);
  client.execute("CREATE DATABASE " + schema + " CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci");
  client.execute("USE " + schema);
  client.execute("CREATE TABLE parents (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, name VARCHAR(80) NOT NULL, " + common + ", UNIQUE KEY by_name (name), KEY by_stamp (stamp))");
  client.execute("CREATE TABLE children (tenant INT NOT NULL, n INT NOT NULL, parent BIGINT NOT NULL, " + common +
                 ", PRIMARY KEY (tenant, n), KEY by_parent (parent), KEY by_stamp (stamp, n), CONSTRAINT of_parent FOREIGN KEY (parent) REFERENCES parents (id))");
  client.execute("CREATE TABLE texts (k VARCHAR(30) NOT NULL PRIMARY KEY, " + common + ", KEY by_stamp (stamp))");
  client.execute("CREATE TABLE skewed (id BIGINT UNSIGNED NOT NULL PRIMARY KEY, " + common + ", KEY by_stamp (stamp))");
  client.execute("CREATE TABLE log (" + common + ")");
  client.execute("CREATE VIEW upon AS SELECT c.n, p.name FROM children c JOIN parents p ON p.id = c.parent");
  client.execute("CREATE VIEW above AS SELECT n FROM upon");
  client.execute("CREATE FUNCTION twice(x INT) RETURNS INT DETERMINISTIC RETURN x * 2");
  client.execute("CREATE PROCEDURE twice(x INT) SELECT twice(twice(x))");
  client.execute("START TRANSACTION");
  for (const auto& one : layouts()) {
    for (unsigned slot = 0; slot < one.slots; ++slot) {
      const bool is_left_out = one.may_vanish && slot % 3 == 2;
      if (is_left_out) continue;
      client.execute(upsert(one.name, slot, "0"));
      history.load(one.name, key_text(one.name, slot));
    }
  }
  client.execute("COMMIT");
  for (const auto& one : layouts()) client.execute(std::string("ANALYZE TABLE ") + one.name);
}

std::vector<std::string> stamped_tables() { return {"parents", "children", "texts", "skewed", "log"}; }

Rows read_stamped(Client& client, const std::string& schema, const std::string& table) {
  Rows rows;
  if (table == "log") {
    for (const auto& row : client.query("SELECT stamp FROM " + schema + ".log")) rows.log.push_back(row[0].value());
    return rows;
  }
  for (const auto& row : client.query(std::string("SELECT ") + layout(table).key_text + ", stamp FROM " + schema + "." + table)) {
    if (!rows.stamps.emplace(row[0].value(), row[1].value()).second) throw std::runtime_error(table + ": key " + *row[0] + " is there twice");
  }
  return rows;
}

std::size_t torn_rows(Client& client, const std::string& schema, const std::string& table) {
  const std::string key = table == "log" ? "'log'" : layout(table).key_text;
  return std::stoull(client.scalar("SELECT COUNT(*) FROM " + schema + "." + table + " WHERE HEX(pad) <> HEX(SHA2(CONCAT(" + key + ", '#', stamp), 256))"));
}

std::string definitions(Client& client, const std::string& schema) {
  const std::string in = " WHERE TABLE_SCHEMA = " + literal(schema);
  const std::vector<std::string> questions{
      "SELECT CONCAT_WS('.', TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX, COLUMN_NAME, NON_UNIQUE) FROM information_schema.STATISTICS" + in + " ORDER BY 1",
      "SELECT CONCAT_WS('.', TABLE_NAME, CONSTRAINT_NAME, CONSTRAINT_TYPE) FROM information_schema.TABLE_CONSTRAINTS" + in + " ORDER BY 1",
      "SELECT CONCAT('view ', TABLE_NAME) FROM information_schema.VIEWS" + in + " ORDER BY 1",
      "SELECT CONCAT(ROUTINE_TYPE, ' ', ROUTINE_NAME) FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = " + literal(schema) + " ORDER BY 1"};
  std::string text;
  for (const auto& question : questions) {
    for (const auto& row : client.query(question)) text += row[0].value_or("NULL") + "\n";
  }
  return text;
}

// --- writers ------------------------------------------------------------------------------------------------------

Writers::Writers(const Server& server, std::string schema, History& history, WriterOptions options)
    : server_(server), schema_(std::move(schema)), history_(history), options_(options) {
  for (unsigned i = 0; i < options_.threads; ++i) {
    threads_.emplace_back([this, i] {
      try {
        work(i);
      } catch (const std::exception& error) {
        std::lock_guard lock(mutex_);
        failure_ = error.what();
      }
    });
  }
}

Writers::~Writers() {
  {
    std::lock_guard lock(mutex_);
    is_stopped_ = true;
    changed_.notify_all();
  }
  for (auto& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

void Writers::pause() {
  std::unique_lock lock(mutex_);
  is_paused_ = true;
  changed_.wait(lock, [&] { return busy_ == 0; });
  if (!failure_.empty()) throw std::runtime_error("a writer ended: " + failure_);
}

void Writers::resume() {
  std::lock_guard lock(mutex_);
  is_paused_ = false;
  changed_.notify_all();
}

void Writers::stop() {
  pause();
  std::lock_guard lock(mutex_);
  is_stopped_ = true;
  changed_.notify_all();
}

// True: go on, and this thread counts as busy.
bool Writers::wait_while_paused() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !is_paused_ || is_stopped_; });
  if (is_stopped_) return false;
  ++busy_;
  return true;
}

void Writers::work(unsigned number) {
  Client client = server_.client(schema_);
  client.execute("SET SESSION innodb_lock_wait_timeout = 5");
  if (!server_.is_mariadb()) client.execute("SET SESSION session_track_gtids = OWN_GTID");
  std::mt19937_64 random(options_.seed * 1000 + number);
  while (wait_while_paused()) {
    struct Idle {
      Writers& writers;
      ~Idle() {
        std::lock_guard lock(writers.mutex_);
        --writers.busy_;
        writers.changed_.notify_all();
      }
    };
    {
      const Idle idle{*this};
      transaction(client, random);
    }
    std::this_thread::sleep_for(options_.pause);
  }
}

void Writers::transaction(Client& client, std::mt19937_64& random) {
  const auto any = [&](std::size_t below) { return static_cast<unsigned>(random() % below); };
  const std::string stamp = std::to_string(next_stamp_++);
  std::vector<Touch> touches;
  std::uint64_t changed = 0;
  const auto run = [&](const std::string& sql) {
    client.execute(sql);
    changed += client.affected_rows();
    return client.affected_rows();
  };
  try {
    client.execute("START TRANSACTION");
    for (unsigned i = 0; i <= any(3); ++i) {
      const Layout& table = layouts()[any(layouts().size())];
      const unsigned slot = any(table.slots);
      const std::string name = table.name;
      const unsigned deed = table.may_vanish ? any(4) : 3;
      if (deed == 0) {
        run("DELETE FROM " + name + " WHERE " + where(name, slot));
        touches.push_back({name, key_text(name, slot), ""});
      } else if (deed == 1) {
        const unsigned other = (slot + 1 + any(table.slots - 1)) % table.slots;
        const auto key = key_of(name, other);
        run("DELETE FROM " + name + " WHERE " + where(name, other));
        const std::string set = name == "children" ? "tenant = " + key[0] + ", n = " + key[1] : std::string(table.columns) + " = " + key[0];
        std::uint64_t moved = 0;
        if (options_.are_keys_updated) {
          moved = run("UPDATE " + name + " SET " + set + ", stamp = " + stamp + ", pad = " + pad(key_text(name, other), stamp) + " WHERE " + where(name, slot));
        } else {
          moved = run("DELETE FROM " + name + " WHERE " + where(name, slot));
          if (moved != 0) run(upsert(name, other, stamp));
        }
        touches.push_back({name, key_text(name, slot), ""});
        touches.push_back({name, key_text(name, other), moved == 0 ? "" : stamp});
      } else {
        run(upsert(name, slot, stamp));
        touches.push_back({name, key_text(name, slot), stamp});
      }
    }
    if (options_.is_log_written && any(8) == 0) {
      run("INSERT INTO log (stamp, pad) VALUES (" + stamp + ", " + pad("log", stamp) + ")");
      touches.push_back({"log", stamp, stamp});
    }
    if (changed == 0) {
      client.execute("ROLLBACK");  // it would get no GTID
      return;
    }
  } catch (const std::runtime_error& error) {
    const std::string text = error.what();
    const bool is_passing = text.find("eadlock") != std::string::npos || text.find("timeout") != std::string::npos;
    if (!is_passing) throw;
    client.execute("ROLLBACK");
    return;
  }
  history_.commit(client.commit(), touches);
}

}  // namespace godwit::test
