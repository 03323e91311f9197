// An application's connection: Connector/C with whatever account, character set and options a test wants, and errors as values. One thread.
#pragma once

#include <mysql.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "servers.h"

namespace godwit::test {

struct AppAnswer {
  unsigned error = 0;
  std::string message;
  std::vector<Cells> rows;
  std::uint64_t affected_rows = 0;
  std::uint64_t insert_id = 0;
  unsigned warnings = 0;
  bool is_ok() const { return error == 0; }
  std::string scalar() const { return rows.empty() || rows[0].empty() ? "" : rows[0][0].value_or("NULL"); }
};

std::string to_string(const std::vector<Cells>& rows);

class AppClient {
 public:
  struct Options {
    int port = 0;
    std::string user = "godwit";
    std::string password = "godwit";
    std::string schema;
    bool has_tls = false;
    std::string charset = "utf8mb4";
    std::string compression{};  // "zlib" or "zstd"
    bool takes_several_statements = false;
    std::vector<std::pair<std::string, std::string>> attributes{};
    unsigned seconds_max = 60;  // for an answer
    std::string from{};         // its own address: any of 127.0.0.0/8; else what the system takes
    std::string cert{};         // its certificate, with has_tls
    std::string key{};
  };
  // Throws std::runtime_error with the server's words.
  explicit AppClient(const Options& options);

  AppAnswer ask(const std::string& sql);
  // Throws where the server answers with an error.
  std::vector<Cells> rows(const std::string& sql);
  std::string scalar(const std::string& sql);
  void run(const std::vector<std::string>& statements);
  std::uint32_t id() const { return static_cast<std::uint32_t>(mysql_thread_id(handle_.get())); }
  MYSQL* handle() { return handle_.get(); }

 private:
  struct Close {
    void operator()(MYSQL* handle) const { mysql_close(handle); }
  };
  std::unique_ptr<MYSQL, Close> handle_;
};

// A statement of the binary protocol whose parameters and columns are strings.
class AppStatement {
 public:
  AppStatement(AppClient& client, const std::string& sql);  // throws
  // Throws; the rows are all read.
  std::vector<Cells> execute(const std::vector<std::string>& parameters = {});
  MYSQL_STMT* handle() { return handle_.get(); }

 private:
  struct Close {
    void operator()(MYSQL_STMT* handle) const { mysql_stmt_close(handle); }
  };
  std::unique_ptr<MYSQL_STMT, Close> handle_;
};

}  // namespace godwit::test
