#include "servers.h"

#include <cstdlib>
#include <fstream>
#include <stdexcept>

namespace godwit::test {
namespace {

// Before main, for the tests' clients and for what they start: Connector/C would read the system's authorities for each connection, some hundred.
const int kNoBundle = ::setenv("SSL_CERT_FILE", "/dev/null", 1);

std::string read_word(const std::string& path) {
  std::ifstream file(path);
  std::string word;
  if (!(file >> word)) throw std::runtime_error("no test server: cannot read " + path);
  return word;
}

std::string directory() {
  const char* value = std::getenv("GODWIT_SERVERS_DIR");
  if (value == nullptr) throw std::runtime_error("GODWIT_SERVERS_DIR is not set: run by scripts/servers run … --");
  return value;
}

void servers_command(const std::string& command) {
  const std::string line = std::string(GODWIT_SOURCE_DIR) + "/scripts/servers " + command + " >/dev/null";
  if (std::system(line.c_str()) != 0) throw std::runtime_error("failed: " + line);
}

}  // namespace

Client::Client(int port, const std::string& schema, const std::string& user) : handle_(mysql_init(nullptr)) {
  mysql_options(handle_.get(), MYSQL_SET_CHARSET_NAME, "utf8mb4");
  const my_bool enforce = 1;
  const my_bool verify = 0;
  mysql_ssl_set(handle_.get(), nullptr, nullptr, nullptr, nullptr, nullptr);
  mysql_options(handle_.get(), MYSQL_OPT_SSL_ENFORCE, &enforce);
  mysql_options(handle_.get(), MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
  const auto number = static_cast<unsigned>(port);
  if (mysql_real_connect(handle_.get(), "127.0.0.1", user.c_str(), "godwit", schema.empty() ? nullptr : schema.c_str(), number, nullptr, 0) == nullptr) {
    throw std::runtime_error(mysql_error(handle_.get()));
  }
  execute("SET SESSION time_zone = '+00:00'");
}

std::vector<Cells> Client::query(const std::string& sql) {
  const auto fail = [&] { throw std::runtime_error(std::string(mysql_error(handle_.get())) + " in: " + sql.substr(0, 300)); };
  if (mysql_real_query(handle_.get(), sql.data(), sql.size()) != 0) fail();
  std::vector<Cells> rows;
  MYSQL_RES* result = mysql_store_result(handle_.get());
  if (result == nullptr) {
    if (mysql_field_count(handle_.get()) != 0) fail();
    affected_rows_ = mysql_affected_rows(handle_.get());
    return rows;
  }
  const unsigned count = mysql_num_fields(result);
  while (MYSQL_ROW row = mysql_fetch_row(result)) {
    const unsigned long* lengths = mysql_fetch_lengths(result);
    Cells cells(count);
    for (unsigned i = 0; i < count; ++i) {
      if (row[i] != nullptr) cells[i] = std::string(row[i], lengths[i]);
    }
    rows.push_back(std::move(cells));
  }
  mysql_free_result(result);
  return rows;
}

std::string Client::scalar(const std::string& sql) {
  const auto rows = query(sql);
  return rows.empty() ? "" : rows[0][0].value_or("");
}

std::string Client::commit() {
  execute("COMMIT");
  if (mariadb_connection(handle_.get()) != 0) return scalar("SELECT @@last_gtid");
  const char* data = nullptr;
  std::size_t size = 0;
  if (mysql_session_track_get_first(handle_.get(), SESSION_TRACK_GTIDS, &data, &size) != 0) throw std::runtime_error("the server told no GTID");
  return {data, size};
}

void Client::script(const std::string& sql) {
  std::size_t begin = 0;
  while (begin < sql.size()) {
    const auto end = sql.find(";\n", begin);
    const std::string statement = sql.substr(begin, end - begin);
    if (statement.find_first_not_of(" \n\t") != std::string::npos) execute(statement);
    if (end == std::string::npos) return;
    begin = end + 2;
  }
}

Server::Server(const std::string& name)
    : name_(name),
      flavour_(read_word(directory() + "/" + name + "/flavour")),
      port_(std::stoi(read_word(directory() + "/" + name + "/port"))) {}

std::string Server::dsn(const std::string& schema) const {
  return "mysql://godwit@127.0.0.1:" + std::to_string(port_) + "/" + schema;
}

void Server::kill_server() const { servers_command("kill " + name_); }
void Server::restart() const { servers_command("restart " + name_); }

}  // namespace godwit::test
