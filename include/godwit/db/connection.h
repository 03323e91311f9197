// One session with a MySQL or MariaDB server, over MariaDB Connector/C. One thread at a time, but cancel(), and an
// Interrupter's interrupt(), may come from any. Every failure is an Error; the server's errno becomes a Code in one table (src/db/errno.cpp).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "godwit/db/dsn.h"
#include "godwit/gtid/position.h"

namespace godwit::db {

using gtid::Flavour;

// Which side of a migration a session is with; used in messages ("source 127.0.0.1:3306").
enum class Side { source, target };
std::string_view to_string(Side side);

struct Version {
  unsigned major = 0;
  unsigned minor = 0;
  unsigned patch = 0;
  auto operator<=>(const Version&) const = default;
};

struct Server {
  Flavour flavour = Flavour::mysql;
  Version version;
  std::string version_text;  // as SELECT VERSION() prints it
  std::string identity;      // @@server_uuid on MySQL, "server_id:<n>" on MariaDB
  std::uint64_t max_allowed_packet = 0;
  int lower_case_table_names = 0;
  bool is_mariadb() const { return flavour == Flavour::mariadb; }
};

struct Endpoint {
  Side side = Side::source;  // its role: read from, or written to
  bool is_reversed = false;  // that role is the other side's in the migration: messages name the migration's
  Dsn dsn;
  std::chrono::seconds connect_timeout{10};
  // Longest wait for an answer, or for room to send. None by default, since an ALTER may take hours: a peer that is gone without a word is
  // noticed by TCP keepalive on every session. A server that is there and answers nothing is noticed by this alone.
  std::chrono::seconds read_timeout{0};
  bool is_applier = false;  // takes many statements at once, and counts rows found instead of rows changed
  bool has_database = false;  // statements may name tables alone: the session's database is the DSN's
};
// "source 127.0.0.1:3306"
std::string describe(const Endpoint& endpoint);

// What godwit sets on every session: UTC, NO_AUTO_VALUE_ON_ZERO (+ ALLOW_INVALID_DATES on the target's writers), names binary or
// utf8mb4, short lock waits. `text`: utf8mb4, for metadata. `bytes`: nothing is transcoded, for rows.
enum class Encoding { text, bytes };

struct Value {  // one column of one row; data is nullptr for SQL NULL; valid until the next row
  const char* data = nullptr;
  std::size_t size = 0;
  bool is_null() const { return data == nullptr; }
  std::string_view view() const { return {data, size}; }
  std::string text() const { return data == nullptr ? std::string() : std::string(data, size); }
};
using Row = std::span<const Value>;

// A buffered result: small ones only (metadata).
class Rows {
 public:
  using Cell = std::optional<std::string>;
  std::vector<std::string> columns;
  std::vector<std::vector<Cell>> rows;

  bool empty() const { return rows.empty(); }
  std::size_t size() const { return rows.size(); }
  // By column name; "" for NULL. A name that is not there is a programmer's mistake.
  std::string text(std::size_t row, std::string_view column) const;
  bool is_null(std::size_t row, std::string_view column) const;
  std::uint64_t u64(std::size_t row, std::string_view column) const;
  // First column of the first row; "" when there is none.
  std::string scalar() const;
};

// Rows as they arrive (mysql_use_result). Destroying it before the end drains what is left.
class RowStream {
 public:
  RowStream(RowStream&&) noexcept;
  ~RowStream();
  std::size_t column_count() const;
  // The next row, or nothing at the end. Throws when the query fails in the middle.
  std::optional<Row> next();

 private:
  friend class Connection;
  struct Impl;
  explicit RowStream(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

struct Executed {
  std::uint64_t affected_rows = 0;
  std::uint64_t warnings = 0;
  std::string message;  // "Records: 3  Deleted: 0  Skipped: 0  Warnings: 0"
  std::optional<std::string> scalar;  // of execute_many: the first cell, where the statement was a query
};

// Gives the bytes of a LOAD DATA LOCAL INFILE: fills at most `size`, returns how many, 0 at the end. May throw: the load
// then fails with that exception, and the server rolls the statement back.
using InfileReader = std::function<std::size_t(char* buffer, std::size_t size)>;

class Connection {
 public:
  static Connection open(const Endpoint& endpoint, Encoding encoding = Encoding::text);
  // Says nothing to it but what logs in, and knows nothing of it: for what speaks the protocol, and is no database.
  static Connection open_bare(const Endpoint& endpoint);
  Connection(Connection&&) noexcept;
  Connection& operator=(Connection&&) noexcept;
  ~Connection();

  const Server& server() const;
  const Endpoint& endpoint() const;
  std::uint64_t id() const;  // the server's connection id
  bool is_tls() const;

  Executed execute(std::string_view sql);
  // Of a statement that holds a password, or the hash of one: no error quotes it. The caller wipes what it has of it.
  Executed execute_unquoted(std::string_view sql);
  Rows query(std::string_view sql);
  // execute() in two steps, for several sessions that are to do something in one instant: nothing else may be asked in between.
  void send(std::string_view sql);
  void await_sent(std::string_view sql);  // the same statement, for the error
  RowStream stream(std::string_view sql);
  // Statements joined by ';', in one round trip; an answer each. Only on a session of an applier. The first that fails ends them; its
  // Error is thrown, and how many succeeded before it is statements_done().
  std::vector<Executed> execute_many(std::string_view sql);
  std::size_t statements_done() const;
  Executed load_data(std::string_view sql, const InfileReader& reader);
  // Whether the server offers what a BulkInsert needs.
  bool takes_bulk_insert() const;
  // The first SHOW WARNINGS lines of the statement just run, for messages.
  std::string warnings_text();
  std::string scalar(std::string_view sql) { return query(sql).scalar(); }
  bool ping() noexcept;
  // The raw error number of the last failed statement (0 if none): for the few callers that know an errno's meaning.
  unsigned last_errno() const;

  // The replication protocol, raw. Sends a command (COM_BINLOG_DUMP, COM_BINLOG_DUMP_GTID) that is answered by packets
  // without end: from then on only next_packet() may be called, and the session is of no other use.
  void begin_dump(std::uint8_t command, std::string_view arguments);
  // A packet without its status byte, valid until the next call; packets of more than 16 MiB come joined. Nothing when the
  // server says that it was the last. A packet that does not come within the endpoint's read_timeout is connection_lost.
  std::optional<std::string_view> next_packet();

  // Ends the connection itself: the server sees it at once, and it is of no use any more.
  void shut() const noexcept;

  // Ends what the server does for this session, from any thread, by KILL QUERY through a session of its own.
  void cancel() const noexcept;

 private:
  friend class BulkInsert;
  friend class Interrupter;
  struct Impl;
  explicit Connection(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Ends a connection from any thread, also while it is being lost or closed: what waits in it, or comes later, fails with connection_lost at once. It has
// the socket a second time, so that the server sees it closed when both are gone; without a descriptor left it does nothing. Its connection outlives it.
class Interrupter {
 public:
  explicit Interrupter(const Connection& connection);
  Interrupter(const Interrupter&) = delete;
  ~Interrupter();
  void interrupt() const noexcept;

 private:
  const int socket_;
};

// A prepared INSERT that takes many rows at a time: MariaDB's COM_STMT_BULK_EXECUTE (its Knowledge Base has the packet). Its connection outlives it.
class BulkInsert {
 public:
  // `sql` has one row of placeholders.
  BulkInsert(Connection& connection, std::string_view sql);
  BulkInsert(BulkInsert&&) noexcept;
  ~BulkInsert();
  // One statement. Each value is an indicator byte (0, or 1 for NULL, which ends it) and a length-encoded string, of the session's charset.
  Executed execute(std::string_view rows);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace godwit::db
