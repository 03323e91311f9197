// What the scenario of README.md needs of C's API, MariaDB's libmariadb or, with GODWIT_LIBMYSQL, MySQL's libmysqlclient: a connection
// and a prepared statement that throw what goes wrong.
#pragma once

#include <mysql.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <optional>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

#ifdef GODWIT_LIBMYSQL
using Flag = bool;
#else
using Flag = my_bool;
#endif

using Row = std::vector<std::optional<std::string>>;
using Rows = std::vector<Row>;
using Value = std::variant<std::nullptr_t, long long, double, std::string>;

inline std::string env(const char* name) { return std::getenv(name) ? std::getenv(name) : ""; }
inline bool is_asked(const std::string& flag) { return env("CLIENT_FLAGS").find(flag) != std::string::npos; }
inline const bool is_mysql = env("CLIENT_SERVER") == "mysql";

inline std::string big_text() {
  std::string text;
  while (text.size() < 17u << 20) text += "abcdefghijklmnopqrstuvwxyz";
  return text;
}

inline void expect(bool is_so, const std::string& what) {
  if (!is_so) throw std::runtime_error(what);
}
inline void expect_same(const std::string& got, const std::string& wanted) {
  expect(got == wanted, "got " + got.substr(0, 300) + " instead of " + wanted.substr(0, 300));
}

inline void set_options(MYSQL* my) {
  const unsigned on = 1;
  mysql_options(my, MYSQL_SET_CHARSET_NAME, "utf8mb4");
  mysql_options(my, MYSQL_OPT_LOCAL_INFILE, &on);
  mysql_options4(my, MYSQL_OPT_CONNECT_ATTR_ADD, "scenario", "every client");
  const unsigned long packet = 64ul << 20;
  mysql_options(my, MYSQL_OPT_MAX_ALLOWED_PACKET, &packet);
  if (is_asked("tls")) mysql_options(my, MYSQL_OPT_SSL_CA, env("CLIENT_CA").c_str());
#ifdef GODWIT_LIBMYSQL
  const unsigned mode = is_asked("tls") ? SSL_MODE_VERIFY_CA : SSL_MODE_DISABLED;
  mysql_options(my, MYSQL_OPT_SSL_MODE, &mode);
  const bool key = true;
  mysql_options(my, MYSQL_OPT_GET_SERVER_PUBLIC_KEY, &key);
  const char* algorithm = is_asked("zstd") ? "zstd" : is_asked("zlib") ? "zlib" : "uncompressed";
  mysql_options(my, MYSQL_OPT_COMPRESSION_ALGORITHMS, algorithm);
#else
  const Flag verify = is_asked("tls");
  mysql_options(my, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
  if (is_asked("tls")) mysql_options(my, MYSQL_OPT_SSL_ENFORCE, &verify);
  if (is_asked("zlib")) mysql_options(my, MYSQL_OPT_COMPRESS, nullptr);
#endif
}

class Client {
 public:
  Client() : my_(mysql_init(nullptr)) {
    set_options(my_);
    const unsigned long flags = CLIENT_MULTI_STATEMENTS | CLIENT_MULTI_RESULTS | CLIENT_PS_MULTI_RESULTS;
    const MYSQL* done = mysql_real_connect(my_, env("CLIENT_HOST").c_str(), env("CLIENT_USER").c_str(), env("CLIENT_PASSWORD").c_str(),
                                           env("CLIENT_DATABASE").c_str(), unsigned(std::stoul(env("CLIENT_PORT"))), nullptr, flags);
    if (!done) throw std::runtime_error(mysql_error(my_));
  }
  ~Client() { mysql_close(my_); }
  Client(const Client&) = delete;
  MYSQL* raw() { return my_; }

  void check(int status) {
    if (status) throw std::runtime_error(std::to_string(mysql_errno(my_)) + " " + mysql_error(my_));
  }
  Rows result() {
    MYSQL_RES* stored = mysql_store_result(my_);
    if (!stored) return check(mysql_errno(my_) != 0), Rows{};
    Rows rows;
    while (MYSQL_ROW row = mysql_fetch_row(stored)) {
      const unsigned long* lengths = mysql_fetch_lengths(stored);
      Row& out = rows.emplace_back();
      for (unsigned i = 0; i < mysql_num_fields(stored); ++i)
        out.push_back(row[i] ? std::optional(std::string(row[i], lengths[i])) : std::nullopt);
    }
    mysql_free_result(stored);
    return rows;
  }
  Rows query(const std::string& sql) { return all(sql).at(0); }
  std::vector<Rows> all(const std::string& sql) {
    check(mysql_real_query(my_, sql.data(), sql.size()));
    std::vector<Rows> results{result()};
    int next;
    while ((next = mysql_next_result(my_)) == 0) results.push_back(result());
    check(next > 0);
    return results;
  }
  std::string one(const std::string& sql) { return query(sql).at(0).at(0).value_or("NULL"); }
  void fails(const std::string& sql, unsigned code) {
    const int status = mysql_real_query(my_, sql.data(), sql.size());
    if (!status) result();
    expect(mysql_errno(my_) == code, sql + ": error " + std::to_string(mysql_errno(my_)) + " instead of " + std::to_string(code));
    expect_same(one("SELECT 'on'"), "on");
  }

 private:
  MYSQL* my_;
};

// A prepared statement; every column is fetched as text.
class Statement {
 public:
  Statement(Client& client, const std::string& sql) : stmt_(mysql_stmt_init(client.raw())) {
    check(mysql_stmt_prepare(stmt_, sql.data(), sql.size()));
  }
  ~Statement() { mysql_stmt_close(stmt_); }
  Statement(const Statement&) = delete;
  MYSQL_STMT* raw() { return stmt_; }

  void check(int status) {
    if (status) throw std::runtime_error(std::to_string(mysql_stmt_errno(stmt_)) + " " + mysql_stmt_error(stmt_));
  }
  Statement& execute(std::vector<Value> values) {
    std::vector<MYSQL_BIND> binds(values.size());
    std::vector<unsigned long> lengths(values.size());
    for (size_t i = 0; i < values.size(); ++i) bind(binds[i], values[i], lengths[i]);
    if (!binds.empty()) check(mysql_stmt_bind_param(stmt_, binds.data()));
    check(mysql_stmt_execute(stmt_));
    return *this;
  }
  // The statement's own buffers stay bound: the types do not go over the wire again.
  Statement& bind_once(MYSQL_BIND* binds) { return check(mysql_stmt_bind_param(stmt_, binds)), *this; }
  Statement& execute_again() { return check(mysql_stmt_execute(stmt_)), *this; }

  Rows rows(size_t most = SIZE_MAX) {
    Rows out;
    const unsigned columns = mysql_stmt_field_count(stmt_);
    if (!columns) return out;
    std::vector<MYSQL_BIND> binds(columns);
    std::vector<unsigned long> lengths(columns);
    std::deque<Flag> nulls(columns), cut(columns);
    for (unsigned i = 0; i < columns; ++i) {
      binds[i].buffer_type = MYSQL_TYPE_STRING;
      binds[i].length = &lengths[i];
      binds[i].is_null = &nulls[i];
      binds[i].error = &cut[i];
    }
    check(mysql_stmt_bind_result(stmt_, binds.data()));
    int status = 0;
    while (out.size() < most && ((status = mysql_stmt_fetch(stmt_)) == 0 || status == MYSQL_DATA_TRUNCATED)) {
      Row& row = out.emplace_back();
      for (unsigned i = 0; i < columns; ++i) row.push_back(column(i, lengths[i], nulls[i]));
    }
    check(status == 1);
    return out;
  }
  Row row() { return rows().at(0); }
  std::string one() { return row().at(0).value_or("NULL"); }

 private:
  static void bind(MYSQL_BIND& bind, Value& value, unsigned long& length) {
    bind.buffer_type = MYSQL_TYPE_NULL;
    if (auto* number = std::get_if<long long>(&value)) bind.buffer_type = MYSQL_TYPE_LONGLONG, bind.buffer = number;
    if (auto* real = std::get_if<double>(&value)) bind.buffer_type = MYSQL_TYPE_DOUBLE, bind.buffer = real;
    if (auto* text = std::get_if<std::string>(&value)) {
      length = text->size();
      bind.buffer_type = MYSQL_TYPE_STRING, bind.buffer = text->data(), bind.buffer_length = length, bind.length = &length;
    }
  }
  std::optional<std::string> column(unsigned i, unsigned long length, Flag is_null) {
    if (is_null) return std::nullopt;
    // Room for numbers too: of those the length is that of the text only after the conversion.
    std::string text(std::max(length, 64ul), '\0');
    MYSQL_BIND bind{};
    bind.buffer_type = MYSQL_TYPE_STRING;
    bind.buffer = text.data();
    bind.buffer_length = text.size();
    bind.length = &length;
    check(mysql_stmt_fetch_column(stmt_, &bind, i, 0));
    text.resize(length);
    return text;
  }
  MYSQL_STMT* stmt_;
};
