// A running test server, and a client of its own for the tests: Connector/C used directly, so that a mistake of godwit's db
// module cannot hide behind itself. A server that is missing fails the test.
#pragma once

#include <mysql.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace godwit::test {

using Cells = std::vector<std::optional<std::string>>;

class Client {
 public:
  Client(int port, const std::string& schema, const std::string& user = "godwit");  // its password is "godwit"
  // Throws std::runtime_error with the server's words.
  std::vector<Cells> query(const std::string& sql);
  void execute(const std::string& sql) { query(sql); }
  std::string scalar(const std::string& sql);
  std::uint64_t affected_rows() const { return affected_rows_; }  // by the last statement
  // Commits a transaction that has changed something, and gives its GTID as the server tells this session alone: @@last_gtid, or
  // the session tracker (session_track_gtids = OWN_GTID).
  std::string commit();
  // Statements that end with ";\n".
  void script(const std::string& sql);

 private:
  struct Close {
    void operator()(MYSQL* handle) const { mysql_close(handle); }
  };
  std::unique_ptr<MYSQL, Close> handle_;
  std::uint64_t affected_rows_ = 0;
};

class Server {
 public:
  explicit Server(const std::string& name);
  int port() const { return port_; }
  bool is_mariadb() const { return flavour_.rfind("mariadb", 0) == 0; }
  const std::string& flavour() const { return flavour_; }
  std::string dsn(const std::string& schema) const;
  Client client(const std::string& schema = "") const { return Client(port_, schema); }
  Client client_of(const std::string& user, const std::string& schema = "") const { return Client(port_, schema, user); }
  void kill_server() const;
  void restart() const;

 private:
  std::string name_;
  std::string flavour_;
  int port_ = 0;
};

}  // namespace godwit::test
