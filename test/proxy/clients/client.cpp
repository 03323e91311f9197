// The scenario of README.md in C's API.
#include "client.h"

#include <chrono>
#include <cstring>
#include <functional>
#include <iostream>
#include <thread>

namespace {

const char* const kSetState =
    "SET @word='naïve 😀', @number=42, @ratio=2.5e0, @nothing=NULL, "
    "SESSION sql_mode='ANSI_QUOTES,STRICT_TRANS_TABLES', SESSION time_zone='+03:00'";
std::string state_sql() {
  return std::string("SELECT CONCAT_WS('|', @word, @number, @ratio, @nothing IS NULL, @@group_concat_max_len, @@sql_mode, @@time_zone, ") +
         (is_mysql ? "@@transaction_isolation)" : "@@tx_isolation)");
}
const char* const kState = "naïve 😀|42|2.5|1|12345|ANSI_QUOTES,STRICT_TRANS_TABLES|+03:00|READ-COMMITTED";
const char* const kKinds =
    "SELECT CONCAT_WS('|',i8,u8,i16,i32,i64,u64,f,d,n,s,HEX(b),dt,ts,tm,y,e,st,js) FROM kinds WHERE id=";
const char* const kKindsText =
    "-128|255|-32768|-2147483648|-9223372036854775807|18446744073709551615|0.5|2.25|12345678901234.567891|naïve 😀|00FF80|"
    "2024-02-29|2024-02-29 23:59:58.123456|-12:34:56.789012|2024|green|a,c|{\"a\": 1}";

void connect(Client& c) {
  expect((mysql_get_ssl_cipher(c.raw()) != nullptr) == is_asked("tls"), "TLS is not as asked for");
  expect_same(c.one("SELECT DATABASE()"), env("CLIENT_DATABASE"));
  c.check(mysql_ping(c.raw()));
  expect(mysql_stat(c.raw()) && std::strstr(mysql_stat(c.raw()), "Uptime"), "no statistics");
}

void state(Client& c) {
  c.query(kSetState);
  c.query("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED");
  c.query("SET @@group_concat_max_len=12345");  // in this form no server tells of the change
  expect_same(c.one(state_sql()), kState);
}

void text(Client& c) {
  expect_same(c.one("SELECT 1+1"), "2");
  expect_same(c.one("SELECT '😀'"), "😀");
  expect_same(c.one("SELECT NULL"), "NULL");
  expect(c.query("SELECT id, v FROM many ORDER BY id").size() == 1000, "not 1000 rows");
  expect(c.query("SELECT id FROM many WHERE id < 0").empty(), "rows where none are");
  expect_same(c.one("SELECT COUNT(*) FROM many"), "1000");
#ifndef GODWIT_LIBMYSQL
  MYSQL_RES* fields = mysql_list_fields(c.raw(), "many", "%");
  expect(fields && mysql_num_fields(fields) == 2, "no list of fields");
  mysql_free_result(fields);
#endif
}

void types(Client& c) {
  std::string marks = "?";
  for (int i = 0; i < 18; ++i) marks += ",?";
  Statement insert(c, "INSERT INTO kinds VALUES (" + marks + ")");
  insert.execute({1LL, -128LL, 255LL, -32768LL, -2147483648LL, -9223372036854775807LL, "18446744073709551615", 0.5, 2.25,
                  "12345678901234.567891", "naïve 😀", std::string("\0\xff\x80", 3), "2024-02-29", "2024-02-29 23:59:58.123456",
                  "-12:34:56.789012", 2024LL, "green", "a,c", "{\"a\": 1}"});
  std::vector<Value> nothing(19, nullptr);
  nothing[0] = 2LL;
  insert.execute(nothing);
  expect_same(c.one(std::string(kKinds) + "1"), kKindsText);
  Statement select(c, "SELECT i8,u8,i16,i32,i64,u64,f,d,n,s,HEX(b),dt,ts,tm,y,e,st,js FROM kinds WHERE id=?");
  std::string joined;
  const Row whole = select.execute({1LL}).row();
  for (const auto& column : whole) joined += (joined.empty() ? "" : "|") + column.value_or("NULL");
  expect_same(joined, kKindsText);
  const Row empty = select.execute({2LL}).row();
  for (const auto& column : empty) expect(!column, "a value where NULL is");
}

// Open to the end of the scenario.
struct Held {
  explicit Held(Client& c) : by_id(c, "SELECT v FROM many WHERE id=?"), sum(c, "SELECT ? + ?"), echo(c, "SELECT ?") {}
  void use(int turn) {
    expect_same(by_id.execute({static_cast<long long>(turn)}).one(), "row " + std::to_string(turn));
    expect_same(sum.execute({40LL, static_cast<long long>(turn)}).one(), std::to_string(40 + turn));
    expect_same(echo.execute({turn % 2 ? Value(nullptr) : Value("naïve 😀")}).one(), turn % 2 ? "NULL" : "naïve 😀");
  }
  Statement by_id, sum, echo;
};

void prepared(Client& c, Held& held) {
  for (int turn = 1; turn <= 5; ++turn) held.use(turn);
  Statement again(c, "SELECT v FROM many WHERE id=?");
  int id = 0;
  MYSQL_BIND bind{};
  bind.buffer_type = MYSQL_TYPE_LONG;
  bind.buffer = &id;
  again.bind_once(&bind);
  for (id = 7; id <= 11; ++id) {
    expect_same(again.execute_again().one(), "row " + std::to_string(id));
    expect_same(c.one("SELECT 'between'"), "between");
  }
  again.check(mysql_stmt_reset(again.raw()));
  id = 12;
  expect_same(again.execute_again().one(), "row 12");
#ifndef GODWIT_LIBMYSQL
  // Prepare and execute in one go, with the id that stands for "the last prepared".
  MYSQL_STMT* direct = mysql_stmt_init(c.raw());
  unsigned none = 0;
  mysql_stmt_attr_set(direct, STMT_ATTR_PREBIND_PARAMS, &none);
  const int status = mariadb_stmt_execute_direct(direct, "SELECT id FROM many WHERE id=3", static_cast<size_t>(-1));
  expect(!is_mysql || status == 0 || mysql_stmt_errno(direct), "direct execution");
  if (!is_mysql) expect(status == 0 && mysql_stmt_store_result(direct) == 0 && mysql_stmt_num_rows(direct) == 1, "direct execution");
  mysql_stmt_close(direct);
#endif
}

void long_data(Client& c) {
  Statement echo(c, "SELECT CRC32(?), ?");
  std::string ignored = "x";
  MYSQL_BIND binds[2]{};
  binds[0].buffer_type = binds[1].buffer_type = MYSQL_TYPE_BLOB;
  binds[1].buffer = ignored.data();
  binds[1].buffer_length = 1;
  echo.bind_once(binds);
  for (const char* part : {"one ", "two ", "three"}) echo.check(mysql_stmt_send_long_data(echo.raw(), 0, part, std::strlen(part)));
  expect_same(echo.execute_again().one(), c.one("SELECT CRC32('one two three')"));
}

void cursor(Client& c) {
  Statement select(c, "SELECT id, v FROM many WHERE id > ? ORDER BY id");
  unsigned long kind = CURSOR_TYPE_READ_ONLY, rows = 7;
  mysql_stmt_attr_set(select.raw(), STMT_ATTR_CURSOR_TYPE, &kind);
  mysql_stmt_attr_set(select.raw(), STMT_ATTR_PREFETCH_ROWS, &rows);
  for (int turn = 0; turn < 2; ++turn) {
    select.execute({0LL});
    Rows some = select.rows(20);
    expect_same(c.one("SELECT 'in between'"), "in between");
    Rows rest = select.rows();
    expect(some.size() == 20 && rest.size() == 980, "not 1000 rows");
    expect_same(rest.back().at(1).value(), "row 1000");
  }
  // Half read, then closed.
  select.execute({0LL});
  select.rows(3);
  select.check(mysql_stmt_free_result(select.raw()));
  expect_same(c.one("SELECT 'closed'"), "closed");
}

void big(Client& c) {
  const std::string body = big_text();
  const std::string size = std::to_string(body.size());
  expect_same(c.one("SELECT LENGTH('" + body + "')"), size);
  expect(c.one("SELECT REPEAT('abcdefghijklmnopqrstuvwxyz', " + std::to_string(body.size() / 26) + ")") == body, "another text came back");
  Statement echo(c, "SELECT ?, LENGTH(?)");
  const Row row = echo.execute({body, body}).row();
  expect(row.at(0) == body, "another parameter came back");
  expect_same(row.at(1).value(), size);
  expect_same(c.one("SELECT 'after'"), "after");
}

void transaction(Client& c) {
  c.query("DELETE FROM money");
  c.check(mysql_autocommit(c.raw(), 0));
  c.query("INSERT INTO money VALUES (1, 10)");
  c.check(mysql_commit(c.raw()));
  c.query("INSERT INTO money VALUES (2, 20)");
  c.check(mysql_rollback(c.raw()));
  c.query("INSERT INTO money VALUES (3, 30)");
  c.query("SAVEPOINT here");
  c.query("INSERT INTO money VALUES (4, 40)");
  c.query("ROLLBACK TO SAVEPOINT here");
  c.query("COMMIT");
  c.check(mysql_autocommit(c.raw(), 1));
  expect_same(c.one("SELECT GROUP_CONCAT(id ORDER BY id) FROM money"), "1,3");
}

void multi(Client& c) {
  const auto results = c.all("SELECT 1; SELECT id FROM many WHERE id <= 3; UPDATE money SET amount = 11 WHERE id = 1; SELECT amount FROM money WHERE id = 1");
  expect(results.size() == 4 && results[1].size() == 3, "not four results");
  expect_same(results[3].at(0).at(0).value(), "11");
  expect(mysql_real_query(c.raw(), "SELECT 1; NO SUCH STATEMENT", 27) == 0, "the first part fails");
  c.result();
  expect(mysql_next_result(c.raw()) > 0 && mysql_errno(c.raw()) == 1064, "the second part does not fail");
  expect_same(c.one("SELECT 'on'"), "on");
}

void procedure(Client& c) {
  const auto results = c.all("CALL two_results(3)");
  expect(results.size() == 3 && results[0].at(0).at(0) == "3" && results[1].size() == 3, "not two results");
  Statement call(c, "CALL doubled(?, ?, ?)");
  for (long long turn = 1; turn <= 3; ++turn) {
    const Row out = call.execute({turn, nullptr, "so"}).row();
    expect_same(out.at(0).value() + out.at(1).value(), std::to_string(2 * turn) + "so!");
    while (mysql_stmt_next_result(call.raw()) == 0) mysql_stmt_free_result(call.raw());
  }
}

void infile(Client& c) {
  c.query("DELETE FROM loaded");
  c.query("LOAD DATA LOCAL INFILE '" + env("CLIENT_INFILE") + "' INTO TABLE loaded FIELDS TERMINATED BY ','");
  expect_same(c.one("SELECT CONCAT(COUNT(*), ' ', SUM(id), ' ', MAX(v)) FROM loaded"), "1000 500500 zz 😀");
  const char* missing = "LOAD DATA LOCAL INFILE '/no/such/file' INTO TABLE loaded";
  expect(mysql_real_query(c.raw(), missing, std::strlen(missing)) != 0, "a file that is not there was loaded");
  expect_same(c.one("SELECT COUNT(*) FROM loaded"), "1000");
}

void errors(Client& c) {
  c.query("DELETE FROM counted");
  c.query("INSERT INTO counted (v) VALUES ('once')");
  c.fails("INSERT INTO counted (v) VALUES ('once')", 1062);
  c.fails("NO SUCH STATEMENT", 1064);
  MYSQL_STMT* stmt = mysql_stmt_init(c.raw());
  expect(mysql_stmt_prepare(stmt, "SELECT * FROM missing", 21) != 0 && mysql_stmt_errno(stmt) == 1146, "a missing table was prepared");
  mysql_stmt_close(stmt);
  Statement insert(c, "INSERT INTO counted (v) VALUES (?)");
  for (const char* v : {"once", "twice"}) {
    try {
      insert.execute({v});
      expect_same(v, "twice");
    } catch (const std::runtime_error& error) {
      expect_same(std::string(error.what()).substr(0, 4), "1062");
    }
  }
  c.query("SELECT 'x' + 1, 1/0");
  expect_same(c.one("SELECT COUNT(*) FROM counted"), "2");
}

void insert_id(Client& c) {
  c.query("INSERT INTO counted (v) VALUES ('of this session')");
  const std::string id = std::to_string(mysql_insert_id(c.raw()));
  expect(id != "0", "no insert id");
  c.query("SELECT id FROM many");
  c.query("UPDATE money SET amount = amount + 1");
  expect_same(c.one("SELECT LAST_INSERT_ID()"), id);
  c.query("INSERT INTO counted (id, v) VALUES (LAST_INSERT_ID() + 7, 'from the last')");
  expect_same(c.one("SELECT MAX(id) FROM counted"), std::to_string(std::stoul(id) + 7));
}

void attributes(Client& c) {
  expect_same(c.one("SELECT ATTR_VALUE FROM performance_schema.session_connect_attrs WHERE PROCESSLIST_ID = CONNECTION_ID() AND ATTR_NAME = 'scenario'"),
              "every client");
}

void kill_query(Client& c) {
  const unsigned long id = mysql_thread_id(c.raw());
  std::thread killer([id] {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    Client().query("KILL QUERY " + std::to_string(id));
  });
  const auto began = std::chrono::steady_clock::now();
  mysql_query(c.raw(), "SELECT SLEEP(8)");
  mysql_free_result(mysql_store_result(c.raw()));
  killer.join();
  expect(std::chrono::steady_clock::now() - began < std::chrono::seconds(6), "the statement was not killed");
  expect_same(c.one("SELECT 'alive'"), "alive");
}

void kept(Client& c, Held& held) {
  expect_same(c.one(state_sql()), kState);
  for (int turn = 1; turn <= 5; ++turn) held.use(turn);
}

void reset(Client& c) {
  c.check(mysql_reset_connection(c.raw()));
  expect_same(c.one("SELECT @word IS NULL"), "1");
  expect_same(c.one("SELECT DATABASE()"), env("CLIENT_DATABASE"));
  Statement again(c, "SELECT ? + 1");
  expect_same(again.execute({1LL}).one(), "2");
}

void change_user(Client& c) {
  c.query("SET @word='before'");
  c.check(mysql_change_user(c.raw(), "app", "app", nullptr));
  expect_same(c.one("SELECT CONCAT(SUBSTRING_INDEX(CURRENT_USER(), '@', 1), IF(@word IS NULL, ' with nothing', ' with a word'))"), "app with nothing");
  Statement again(c, "SELECT ? + 1");
  expect_same(again.execute({1LL}).one(), "2");
  c.check(mysql_change_user(c.raw(), env("CLIENT_USER").c_str(), env("CLIENT_PASSWORD").c_str(), env("CLIENT_DATABASE").c_str()));
  expect_same(c.one("SELECT COUNT(*) FROM many"), "1000");
  expect_same(c.one("SELECT '😀'"), "😀");
}

}  // namespace

int main() {
  std::optional<Client> client;
  std::optional<Held> held;
  const std::vector<std::pair<const char*, std::function<void()>>> steps = {
      {"connect", [&] { connect(client.emplace()); }},
      {"state", [&] { state(*client); }},
      {"text", [&] { text(*client); }},
      {"types", [&] { types(*client); }},
      {"prepared", [&] { prepared(*client, held.emplace(*client)); }},
      {"long_data", [&] { long_data(*client); }},
      {"cursor", [&] { cursor(*client); }},
      {"big", [&] { big(*client); }},
      {"transaction", [&] { transaction(*client); }},
      {"multi", [&] { multi(*client); }},
      {"procedure", [&] { procedure(*client); }},
      {"infile", [&] { infile(*client); }},
      {"errors", [&] { errors(*client); }},
      {"insert_id", [&] { insert_id(*client); }},
      {"attributes", [&] { attributes(*client); }},
      {"kill", [&] { kill_query(*client); }},
      {"kept", [&] { kept(*client, *held); }},
      {"reset", [&] { held.reset(); reset(*client); }},
      {"change_user", [&] { change_user(*client); }},
  };
  for (const auto& [name, run] : steps) {
    try {
      run();
    } catch (const std::exception& error) {
      std::cout << "failed " << name << ": " << error.what() << "\n";
      return 1;
    }
    std::cout << "ok " << name << "\n" << std::flush;
  }
}
