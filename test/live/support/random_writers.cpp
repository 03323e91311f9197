#include "random_writers.h"

#include <unistd.h>

#include <chrono>
#include <fstream>
#include <iostream>
#include <set>
#include <stdexcept>

#include "compare.h"

namespace godwit::test {
namespace {

// Small numbers of keys, so that sessions meet; those of bursts lie above.
constexpr unsigned kKeys = 40;
constexpr unsigned kBurstBase = 1000;
constexpr unsigned kBurstKeys = 900;

std::string number(unsigned value) { return std::to_string(value); }

bool contains_any(const std::string& text, const std::vector<std::string>& parts) {
  for (const auto& part : parts) {
    if (text.find(part) != std::string::npos) return true;
  }
  return false;
}

// What random statements run into by nature: duplicates, constraints, deadlocks, lock waits, XA branches a deadlock has rolled back.
// "Failed to read auto-increment" is a deadlock too, one about the counter's lock.
bool is_expected(const std::string& message) {
  return contains_any(message, {"Duplicate entry", "foreign key constraint", "eadlock", "Lock wait timeout", "XA_RB", "XAER", "Record has changed", "has no partition", "Failed to read auto-increment"});
}

std::string text_value(Dice& dice) {
  static const std::vector<std::string> all{"''", "'a'", "'A '", "'it''s'", "'back\\\\slash'", "'tab\\tnew\\nline'", "'😀 emoji'", "'ärger'", "NULL", "REPEAT('xyz', 9)", "'%_'", "'NULL'"};
  return dice.of(all);
}

// A key of collated text: upper and lower case are one key, and sometimes a change of key is one of case only.
std::string text_key(Dice& dice) {
  const unsigned n = dice.below(kKeys);
  return literal((dice.one_in(2) ? "Key" : "kEY") + std::string(n % 3 == 0 ? "é" : "") + number(n));
}

std::string document(Dice& dice) {
  static const std::vector<std::string> all{"'{\"a\": 1, \"b\": [1, 2.5, null, true], \"c\": \"x\\\\\"y\"}'", "'[1, 2, 3, {\"k\": \"v\"}]'", "'null'", "'{}'", "'\"text\"'", "NULL",
                                            "CONCAT('{\"a\": \"', REPEAT('long ', 60), '\", \"n\": 5}')"};
  return dice.of(all);
}

struct WideColumn {
  const char* name;
  std::vector<std::string> values;
};

const std::vector<WideColumn>& wide_columns() {
  static const std::vector<WideColumn> all{
      {"ti", {"-128", "0", "127", "NULL"}},
      {"su", {"0", "65535", "7"}},
      {"mi", {"-8388608", "8388607", "0"}},
      {"bu", {"0", "18446744073709551615", "9223372036854775808", "NULL"}},
      {"de", {"0", "-99999999999999.999999", "0.000001", "1.5", "NULL"}},
      {"fl", {"0", "1.1", "-3.4e38", "1.234567", "16777217", "NULL"}},
      {"db", {"0", "0.1", "1.7976931348623157e308", "2.2250738585072014e-308", "NULL"}},
      {"bt", {"b'0'", "b'1111111111111'", "b'101'", "NULL"}},
      {"yr", {"1901", "2155", "2024", "NULL"}},
      {"da", {"'1000-01-01'", "'9999-12-31'", "'2024-02-29'", "NULL"}},
      {"dt", {"'1000-01-01 00:00:00'", "'9999-12-31 23:59:59.999999'", "'2024-02-29 12:00:00.000001'", "NULL"}},
      {"ts", {"'1970-01-01 00:00:01'", "'2038-01-19 03:14:07.999999'", "'2021-03-28 02:30:00.5'", "NULL"}},
      {"tm", {"'-838:59:59'", "'838:59:59'", "'-00:00:00.001'", "'12:34:56.789'", "NULL"}},
      {"ch", {"''", "'abc'", "'ß'", "NULL"}},
      {"la", {"''", "'\\xe4'", "'abc '", "'ÄÖÜ'", "NULL"}},
      {"tx", {"''", "REPEAT('line\\n', 50)", "'short'", "NULL"}},
      {"bl", {"''", "X'00010A0D5C27221A00'", "REPEAT(X'FF00', 300)", "NULL"}},
      {"bn", {"X'00'", "X'0102030000'", "'abc'", "NULL"}},
      {"vb", {"X''", "X'0000'", "X'5C27'", "NULL"}},
      {"en", {"'one'", "'two'", "''", "NULL"}},
      {"se", {"''", "'x'", "'x,z'", "'y'", "NULL"}},
      {"hidden", {"1", "2", "NULL"}},
  };
  return all;
}

}  // namespace

void roll_back_prepared_xa(Client& client) {
  // A session that has just been cut off still owns its branch for a moment.
  for (int attempt = 0; attempt < 50; ++attempt) {
    const auto rows = client.query("XA RECOVER");
    if (rows.empty()) return;
    for (const auto& row : rows) {
      try {
        client.execute("XA ROLLBACK " + literal(row[3].value()));
      } catch (const std::runtime_error& error) {
        if (!is_expected(error.what())) throw;
      }
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

void create_random_schema(Client& client, const std::string& schema) {
  client.execute("DROP DATABASE IF EXISTS " + schema);
  client.execute("CREATE DATABASE " + schema + " CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci");
  client.execute("USE " + schema);
  client.execute("CREATE TABLE seqs (n INT PRIMARY KEY)");
  client.execute("CREATE TABLE ints (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, v INT, s VARCHAR(60) DEFAULT 'none', "
                 "touched TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, KEY by_v (v))");
  client.execute("CREATE TABLE pairs (a INT NOT NULL, b VARBINARY(8) NOT NULL, v INT, pad TEXT, PRIMARY KEY (a, b))");
  client.execute("CREATE TABLE texts (k VARCHAR(20) NOT NULL PRIMARY KEY, v INT, note TEXT)");
  client.execute("CREATE TABLE uniques (id INT NOT NULL PRIMARY KEY, u INT NULL, w INT NULL, x VARCHAR(10) NULL, v INT, pad BLOB, UNIQUE KEY by_u (u), UNIQUE KEY by_wx (w, x))");
  client.execute("CREATE TABLE logs (a INT, b VARCHAR(40), f FLOAT, d DECIMAL(10,3), t DATETIME(3))");
  client.execute("CREATE TABLE parents (id INT NOT NULL PRIMARY KEY, code VARCHAR(10) NOT NULL, v INT, UNIQUE KEY by_code (code))");
  client.execute("CREATE TABLE children (id INT NOT NULL PRIMARY KEY, parent INT NULL, v INT, touched TIMESTAMP NULL ON UPDATE CURRENT_TIMESTAMP, "
                 "CONSTRAINT of_parent FOREIGN KEY (parent) REFERENCES parents (id) ON DELETE CASCADE ON UPDATE CASCADE)");
  client.execute("CREATE TABLE grandchildren (id INT NOT NULL PRIMARY KEY, child INT NULL, code VARCHAR(10) NULL, v INT, "
                 "CONSTRAINT of_child FOREIGN KEY (child) REFERENCES children (id) ON DELETE CASCADE ON UPDATE CASCADE, "
                 "CONSTRAINT of_code FOREIGN KEY (code) REFERENCES parents (code) ON DELETE SET NULL ON UPDATE SET NULL)");
  client.execute("CREATE TABLE wide (id INT NOT NULL PRIMARY KEY, ti TINYINT, su SMALLINT UNSIGNED NOT NULL DEFAULT 3, mi MEDIUMINT, bu BIGINT UNSIGNED, de DECIMAL(20,6), fl FLOAT, db DOUBLE, "
                 "bt BIT(13), yr YEAR, da DATE, dt DATETIME(6), ts TIMESTAMP(6) NULL, tm TIME(3), ch CHAR(10), la VARCHAR(40) CHARACTER SET latin1, tx TEXT, bl BLOB, bn BINARY(6), "
                 "vb VARBINARY(40), en ENUM('one','two',''), se SET('x','y','z'), js JSON, gv INT GENERATED ALWAYS AS (ti * 2) VIRTUAL, "
                 "gs VARCHAR(40) GENERATED ALWAYS AS (CONCAT('su', su)) STORED, hidden INT DEFAULT 7 INVISIBLE, "
                 "touched TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3), KEY by_gs (gs))");
  client.execute("CREATE TABLE parts (id INT NOT NULL, v INT, s VARCHAR(30), PRIMARY KEY (id)) PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (10), "
                 "PARTITION p1 VALUES LESS THAN (1200), PARTITION p2 VALUES LESS THAN MAXVALUE)");
  std::string rows;
  for (unsigned n = 0; n < kBurstKeys; ++n) rows += (n == 0 ? "(" : ",(") + number(n) + ")";
  client.execute("INSERT INTO seqs VALUES " + rows);
  client.execute("INSERT INTO ints (id, v, s) SELECT n + 1, n, CONCAT('row ', n) FROM seqs WHERE n < 30");
  client.execute("INSERT INTO ints (id, v) SELECT n + " + number(kBurstBase) + ", n FROM seqs WHERE n < 150");
  client.execute("INSERT INTO pairs SELECT n % 3, CONCAT('b', n), n, REPEAT('p', n) FROM seqs WHERE n < 60");
  client.execute("INSERT INTO texts SELECT CONCAT('Key', IF(n % 3 = 0, 'é', ''), n), n, 'first' FROM seqs WHERE n < 30");
  client.execute("INSERT INTO uniques SELECT n, n, n % 7, CONCAT('x', n), n, REPEAT('b', n) FROM seqs WHERE n < 30");
  client.execute("INSERT INTO logs SELECT n % 10, 'first', n * 1.1, n / 7, '2024-01-01 00:00:00.123' FROM seqs WHERE n < 30");
  client.execute("INSERT INTO parents SELECT n, CONCAT('c', n), n FROM seqs WHERE n < 30");
  client.execute("INSERT INTO children (id, parent, v) SELECT n, n % 30, n FROM seqs WHERE n < 60");
  client.execute("INSERT INTO grandchildren SELECT n, n % 60, CONCAT('c', n % 30), n FROM seqs WHERE n < 90");
  client.execute("INSERT INTO wide (id, ti, js) SELECT n, n, '{\"a\": 1}' FROM seqs WHERE n < 30");
  client.execute("INSERT INTO parts SELECT n * 3, n, 'first' FROM seqs WHERE n < 30");
  for (const auto& table : tables_of(client, schema)) client.execute("ANALYZE TABLE " + table);
}

// --- one session ----------------------------------------------------------------------------------------------------

class RandomWriters::Session {
 public:
  Session(RandomWriters& owner, unsigned index)
      : owner_(owner),
        options_(owner.options_),
        client_(owner.server_.client(owner.schema_)),
        dice_(owner.options_.seed * 1000 + index),
        file_("/tmp/godwit-load-" + std::to_string(::getpid()) + "-" + std::to_string(owner.options_.seed) + "-" + std::to_string(index)),
        xid_("x" + std::to_string(owner.options_.seed) + "." + std::to_string(index) + ".") {
    client_.execute("SET SESSION innodb_lock_wait_timeout = 2");
    std::ofstream lines(file_);
    for (unsigned i = 0; i < 12; ++i) lines << dice_.below(2 * kKeys) + 1 << "\t" << i << "\tloaded \\\\ " << index << "\n";
  }
  ~Session() { ::unlink(file_.c_str()); }
  Session(const Session&) = delete;

  void transaction();

 private:
  bool is_mariadb() const { return owner_.server_.is_mariadb(); }
  std::string key() { return number(dice_.below(kKeys)); }
  std::string burst_range() {
    const unsigned from = kBurstBase + dice_.below(kBurstKeys);
    return " BETWEEN " + number(from) + " AND " + number(from + dice_.below(kBurstKeys));
  }
  bool may_move_exact_keys() const { return is_image_full_ || owner_.may_move_partially_; }
  bool may_move_keys() const { return is_image_full_ || (owner_.may_move_partially_ && !is_mariadb()); }

  void choose_settings();
  bool run(const std::string& sql);
  void statement();
  void change_ints();
  void change_pairs();
  void change_texts();
  void change_uniques();
  void swap_uniques();
  void change_logs();
  void change_family();
  void change_wide();
  void change_parts();
  void change_several();
  void burst();
  void rotate_keys(const std::string& table, const std::string& column, const std::string& a, const std::string& b, const std::string& spare);
  void xa_transaction();

  RandomWriters& owner_;
  const RandomOptions& options_;
  Client client_;
  Dice dice_;
  const std::string file_;
  const std::string xid_;
  unsigned xa_count_ = 0;
  bool is_image_full_ = true;
};

void RandomWriters::Session::choose_settings() {
  if (is_mariadb()) {
    // The variable is global: compressed events come and go for everybody.
    if (dice_.one_in(20)) client_.execute(std::string("SET GLOBAL log_bin_compress = ") + (dice_.one_in(2) ? "ON" : "OFF"));
  } else if (dice_.one_in(5)) {
    client_.execute(std::string("SET SESSION binlog_transaction_compression = ") + (dice_.one_in(2) ? "ON" : "OFF"));
  }
  if (!options_.has_partial_images || !dice_.one_in(4)) return;
  const std::string image = dice_.of(std::vector<std::string>{"FULL", "FULL", "MINIMAL", is_mariadb() ? "MINIMAL" : "NOBLOB"});
  client_.execute("SET SESSION binlog_row_image = " + image);
  is_image_full_ = image == "FULL";
  // A JSON diff is one to the before image, which the others leave out.
  if (!is_mariadb()) client_.execute(std::string("SET SESSION binlog_row_value_options = ") + (is_image_full_ && dice_.one_in(2) ? "'PARTIAL_JSON'" : "''"));
}

// False: the server refused it, as it may.
bool RandomWriters::Session::run(const std::string& sql) {
  // MariaDB leaves out of the partial image of a REPLACE what got its default: godwit refuses it, and what looks like it.
  if (is_mariadb() && !is_image_full_ && contains_any(sql, {"REPLACE", "ON DUPLICATE KEY"})) return false;
  try {
    client_.execute(sql);
    return true;
  } catch (const std::runtime_error& error) {
    if (!is_expected(error.what())) throw;
    return false;
  }
}

// Values that go around by way of one that nobody has.
void RandomWriters::Session::rotate_keys(const std::string& table, const std::string& column, const std::string& a, const std::string& b, const std::string& spare) {
  const auto move = [&](const std::string& from, const std::string& to) { return run("UPDATE " + table + " SET " + column + " = " + to + " WHERE " + column + " = " + from); };
  if (move(a, spare) && move(b, a)) move(spare, b);
}

void RandomWriters::Session::change_ints() {
  const std::string id = number(dice_.below(kKeys) + 1);
  switch (dice_.below(9)) {
    case 0: run("INSERT INTO ints (v, s) VALUES (" + key() + ", " + text_value(dice_) + "), (NULL, 'second')"); return;
    case 1: run("INSERT INTO ints (id, v) VALUES (" + id + ", " + key() + ")"); return;
    case 2: run("DELETE FROM ints WHERE id = " + id); return;
    case 3: run("UPDATE ints SET v = v + 1 WHERE id = " + id); return;
    case 4: run("UPDATE ints SET s = " + text_value(dice_) + " WHERE v = " + key()); return;
    case 5: run("REPLACE INTO ints (id, v, s) VALUES (" + id + ", " + key() + ", " + text_value(dice_) + ")"); return;
    case 6: run("INSERT INTO ints (id, v) VALUES (" + id + ", 1), (" + number(dice_.below(kKeys) + 1) + ", 2) ON DUPLICATE KEY UPDATE v = v + 10"); return;
    case 7: run("LOAD DATA INFILE " + literal(file_) + (dice_.one_in(2) ? " REPLACE" : " IGNORE") + " INTO TABLE ints (id, v, s)"); return;
    default:
      if (!may_move_exact_keys()) return;
      if (dice_.one_in(2)) {
        rotate_keys("ints", "id", id, number(dice_.below(kKeys) + 1), number(500 + dice_.below(400)));
      } else {
        run("UPDATE ints SET id = id + 1, v = v - 1 WHERE id BETWEEN " + id + " AND " + id + " + 4 ORDER BY id DESC");
      }
  }
}

void RandomWriters::Session::change_pairs() {
  const std::string b = literal("b" + key());
  const std::string where = " WHERE a = " + number(dice_.below(3)) + " AND b = " + b;
  switch (dice_.below(5)) {
    case 0: run("REPLACE INTO pairs VALUES (" + number(dice_.below(3)) + ", " + b + ", " + key() + ", REPEAT('q', " + key() + "))"); return;
    case 1: run("DELETE FROM pairs" + where); return;
    case 2: run("UPDATE pairs SET v = v + 1" + where); return;
    case 3: run("UPDATE pairs SET pad = CONCAT(COALESCE(pad, ''), '!') WHERE v = " + key()); return;
    default:
      if (may_move_exact_keys()) run("UPDATE pairs SET a = " + number(dice_.below(3)) + ", b = " + literal("b" + key()) + where);
  }
}

void RandomWriters::Session::change_texts() {
  const std::string k = text_key(dice_);
  switch (dice_.below(6)) {
    case 0: run("INSERT INTO texts VALUES (" + k + ", 1, 'new')"); return;
    case 1: run("DELETE FROM texts WHERE k = " + k); return;
    case 2: run("UPDATE texts SET v = v + 1, note = " + text_value(dice_) + " WHERE k = " + k); return;
    case 3: run("INSERT INTO texts VALUES (" + k + ", 0, NULL) ON DUPLICATE KEY UPDATE v = v + 5"); return;
    case 4:
      if (may_move_keys()) run("UPDATE texts SET k = UPPER(k) WHERE k = " + k);
      return;
    default:
      if (may_move_keys()) run("UPDATE texts SET k = " + text_key(dice_) + " WHERE k = " + k);
  }
}

void RandomWriters::Session::swap_uniques() {
  const std::string a = key();
  const std::string b = key();
  if (a == b) return;
  const auto set = [&](const std::string& value, const std::string& id) { return run("UPDATE uniques SET u = " + value + " WHERE id = " + id); };
  const auto unique_of = [&](const std::string& id) -> std::string {
    try {
      return client_.scalar("SELECT COALESCE(u, 'NULL') FROM uniques WHERE id = " + id);
    } catch (const std::runtime_error& error) {
      if (!is_expected(error.what())) throw;
      return "";
    }
  };
  const std::string u_a = unique_of(a);
  const std::string u_b = unique_of(b);
  if (u_a.empty() || u_b.empty()) return;
  if (set(dice_.one_in(2) ? "NULL" : "-" + number(1 + dice_.below(100000)), a) && set(u_a, b)) set(u_b, a);
}

void RandomWriters::Session::change_uniques() {
  const std::string id = key();
  const std::string x = literal("x" + key());
  switch (dice_.below(7)) {
    case 0: run("INSERT INTO uniques VALUES (" + id + ", " + (dice_.one_in(3) ? "NULL" : key()) + ", " + number(dice_.below(7)) + ", " + x + ", 1, NULL)"); return;
    case 1: run("REPLACE INTO uniques VALUES (" + id + ", " + key() + ", NULL, " + x + ", 2, 'r')"); return;
    case 2: run("DELETE FROM uniques WHERE u = " + key()); return;
    case 3: run("UPDATE uniques SET u = " + key() + " WHERE id = " + id); return;
    case 4: run("UPDATE uniques SET w = " + number(dice_.below(7)) + ", x = " + x + ", pad = REPEAT('z', 40) WHERE id = " + id); return;
    case 5:
      if (may_move_keys()) rotate_keys("uniques", "id", id, key(), number(500 + dice_.below(400)));
      return;
    default: swap_uniques();
  }
}

void RandomWriters::Session::change_logs() {
  switch (dice_.below(3)) {
    case 0: run("INSERT INTO logs VALUES (" + key() + ", " + text_value(dice_) + ", 1.1, 2.125, NULL), (1, 'Twice', 0.3, 0, '2024-01-01 00:00:00.5'), (1, 'twice', 0.3, 0, '2024-01-01 00:00:00.5')"); return;
    case 1: run("UPDATE logs SET f = f + 0.1, b = " + text_value(dice_) + " WHERE a = " + key() + " LIMIT 2"); return;
    default: run("DELETE FROM logs WHERE a = " + key() + " LIMIT 1");
  }
}

void RandomWriters::Session::change_family() {
  if (!may_move_keys()) return;  // a cascade is told from the parent's whole row
  const std::string id = key();
  const std::string code = literal("c" + number(dice_.below(kKeys)));
  switch (dice_.below(10)) {
    case 0: run("INSERT INTO parents VALUES (" + id + ", " + code + ", 1)"); return;
    case 1: run("DELETE FROM parents WHERE id = " + id); return;
    case 2: run("UPDATE parents SET v = v + 1 WHERE id = " + id); return;
    case 3: run("UPDATE parents SET code = " + code + " WHERE id = " + id); return;
    case 4:
      if (may_move_keys()) run("UPDATE parents SET id = " + key() + " WHERE id = " + id);
      return;
    case 5: run("INSERT INTO children (id, parent, v) VALUES (" + number(dice_.below(2 * kKeys)) + ", " + id + ", 1) ON DUPLICATE KEY UPDATE parent = " + id); return;
    case 6: run("REPLACE INTO grandchildren VALUES (" + number(dice_.below(3 * kKeys)) + ", " + key() + ", " + code + ", 1)"); return;
    case 7:
      if (may_move_keys()) run("UPDATE children SET id = " + number(dice_.below(2 * kKeys)) + " WHERE id = " + id);
      return;
    case 8: run("DELETE FROM children WHERE id = " + id); return;
    default: run("UPDATE grandchildren SET v = v + 1, code = NULL WHERE child = " + id);
  }
}

void RandomWriters::Session::change_wide() {
  const std::string id = key();
  const auto value_of = [&](const WideColumn& column) { return dice_.of(column.values); };
  std::string columns = "id";
  std::string values = id;
  std::string assignments;
  for (const auto& column : wide_columns()) {
    if (!dice_.one_in(4)) continue;
    const std::string value = value_of(column);
    columns += std::string(", ") + column.name;
    values += ", " + value;
    assignments += (assignments.empty() ? "" : ", ") + std::string(column.name) + " = " + value;
  }
  switch (dice_.below(5)) {
    case 0: run("REPLACE INTO wide (" + columns + ", js) VALUES (" + values + ", " + document(dice_) + ")"); return;
    case 1: run("INSERT INTO wide (" + columns + ") VALUES (" + values + ")"); return;
    case 2: run("DELETE FROM wide WHERE id = " + id); return;
    case 3: run("UPDATE wide SET js = JSON_SET(js, '$.a', " + key() + ", '$.new', 'text') WHERE id = " + id); return;
    default:
      if (!assignments.empty()) run("UPDATE wide SET " + assignments + " WHERE id = " + id);
  }
}

void RandomWriters::Session::change_parts() {
  const std::string id = number(dice_.below(3 * kKeys));
  switch (dice_.below(4)) {
    case 0: run("REPLACE INTO parts VALUES (" + id + ", 1, " + text_value(dice_) + ")"); return;
    case 1: run("DELETE FROM parts WHERE id = " + id); return;
    case 2: run("UPDATE parts SET v = v + 1 WHERE id < " + number(dice_.below(30))); return;
    default:
      if (may_move_exact_keys()) run("UPDATE parts SET id = " + number(dice_.below(3 * kKeys)) + " WHERE id = " + id);
  }
}

void RandomWriters::Session::change_several() {
  switch (dice_.below(4)) {
    case 0: run("UPDATE ints i JOIN parts p ON p.id = i.id SET i.v = i.v + 1, p.v = p.v + 1 WHERE i.id < " + key()); return;
    case 1: run("DELETE p, t FROM parts p JOIN texts t ON t.v = p.v WHERE p.id = " + key()); return;
    case 2: run("INSERT IGNORE INTO parts SELECT id + " + key() + ", v, LEFT(s, 30) FROM ints WHERE id < 10"); return;
    default: run("DELETE c FROM children c JOIN parents p ON p.id = c.parent WHERE p.v = " + key());
  }
}

void RandomWriters::Session::burst() {
  switch (dice_.below(8)) {
    case 0:
    case 1: run("INSERT IGNORE INTO ints (id, v, s) SELECT n + " + number(kBurstBase) + ", n, CONCAT('burst ', n) FROM seqs WHERE n + 1000" + burst_range()); return;
    case 2: run("UPDATE ints SET v = v + 1 WHERE id" + burst_range()); return;
    case 3: run("DELETE FROM ints WHERE id % 3 = " + number(dice_.below(3)) + " AND id" + burst_range()); return;
    case 4: run("INSERT IGNORE INTO uniques SELECT n + " + number(kBurstBase) + ", n + 1000, NULL, NULL, n, NULL FROM seqs WHERE n + 1000" + burst_range()); return;
    case 5: run("UPDATE uniques SET u = IF(u >= 5000, u - 4000, u + 4000) WHERE id" + burst_range()); return;
    case 6: run("REPLACE INTO pairs SELECT n % 5, CONCAT('B', n), n, 'burst' FROM seqs WHERE n + 1000" + burst_range()); return;
    default:
      if (may_move_exact_keys()) run("UPDATE ints SET id = IF(id >= 2000, id - 1000, id + 1000) WHERE id" + burst_range());
  }
}

void RandomWriters::Session::statement() {
  if (options_.has_bursts && dice_.one_in(30)) return burst();
  switch (dice_.below(10)) {
    case 0:
    case 1: return change_ints();
    case 2: return change_pairs();
    case 3: return change_texts();
    case 4:
    case 5: return change_uniques();
    case 6: return change_logs();
    case 7: return options_.has_cascades ? change_family() : change_parts();
    case 8: return change_wide();
    default: return dice_.one_in(2) ? change_parts() : change_several();
  }
}

// The outcome may come from another session, as it does after a failure of the first.
void RandomWriters::Session::xa_transaction() {
  const std::string id = literal(xid_ + number(++xa_count_));
  const auto ended = [&](const std::string& sql) {
    try {
      client_.execute(sql);
      return true;
    } catch (const std::runtime_error& error) {
      if (!is_expected(error.what())) throw;
      return false;
    }
  };
  client_.execute("XA START " + id);
  for (unsigned i = 0; i <= dice_.below(3); ++i) statement();
  if (!ended("XA END " + id)) {
    ended("XA ROLLBACK " + id);
    return;
  }
  if (dice_.one_in(4)) {
    if (!ended("XA COMMIT " + id + " ONE PHASE")) ended("XA ROLLBACK " + id);
    return;
  }
  if (!ended("XA PREPARE " + id)) {
    ended("XA ROLLBACK " + id);
    return;
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(dice_.below(60)));
  ended((dice_.one_in(3) ? "XA ROLLBACK " : "XA COMMIT ") + id);
}

void RandomWriters::Session::transaction() {
  choose_settings();
  if (options_.has_xa && dice_.one_in(15)) return xa_transaction();
  if (dice_.one_in(3)) return statement();
  client_.execute("START TRANSACTION");
  bool has_savepoint = false;
  for (unsigned i = 0; i <= dice_.below(5); ++i) {
    statement();
    if (dice_.one_in(5)) has_savepoint = run("SAVEPOINT here");
    // A deadlock has rolled the savepoint back too.
    if (has_savepoint && dice_.one_in(5)) {
      try {
        client_.execute("ROLLBACK TO SAVEPOINT here");
      } catch (const std::runtime_error&) {
        has_savepoint = false;
      }
    }
  }
  client_.execute(dice_.one_in(8) ? "ROLLBACK" : "COMMIT");
}

// --- all of them ------------------------------------------------------------------------------------------------------

RandomWriters::RandomWriters(const Server& server, std::string schema, RandomOptions options)
    : server_(server), schema_(std::move(schema)), options_(options) {
  for (unsigned i = 0; i < options_.threads; ++i) {
    threads_.emplace_back([this, i] {
      try {
        Session session(*this, i);
        while (!is_stopped_) {
          session.transaction();
          ++transactions_;
          std::this_thread::sleep_for(std::chrono::microseconds(options_.pause_us));
        }
      } catch (const std::exception& error) {
        std::lock_guard lock(mutex_);
        failure_ = error.what();
        std::cerr << "a writer ended: " << failure_ << "\n";
      }
    });
  }
}

RandomWriters::~RandomWriters() { join(); }

void RandomWriters::join() {
  is_stopped_ = true;
  for (auto& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

void RandomWriters::stop() {
  join();
  if (!failure_.empty()) throw std::runtime_error("a writer ended: " + failure_);
}

}  // namespace godwit::test
