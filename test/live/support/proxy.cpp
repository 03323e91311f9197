#include "proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <stdexcept>
#include <thread>

namespace godwit::test {
namespace {

const std::string kAdmin = "gadmin";
const std::string kAdminPassword = "gate-keeper";

std::string binary() {
  const char* path = std::getenv("GODWIT_BIN");
  if (path == nullptr) throw std::runtime_error("GODWIT_BIN is not set");
  return path;
}

std::string tls_folder() {
  const char* path = std::getenv("GODWIT_SERVERS_DIR");
  if (path == nullptr) throw std::runtime_error("GODWIT_SERVERS_DIR is not set: run by scripts/servers run … --");
  return std::string(path) + "/tls";
}

std::string new_file() {
  std::string path = "/tmp/godwit-test-XXXXXX";
  const int file = ::mkstemp(path.data());
  if (file < 0) throw std::runtime_error("no temporary file");
  ::close(file);
  return path;
}

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

}  // namespace

int free_port() {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  const bool is_bound = ::bind(socket, reinterpret_cast<sockaddr*>(&address), size) == 0 && ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  ::close(socket);
  if (!is_bound) throw std::runtime_error("no free port");
  return ntohs(address.sin_port);
}

Proxy::Proxy(const Server& source, const Server& target, Setup setup) : port_(setup.port != 0 ? setup.port : free_port()), has_tls_(setup.has_tls), admin_from_(setup.admin_from), own_state_(setup.state.empty() ? std::make_unique<ProxyState>() : nullptr) {
  std::vector<std::string> arguments{binary(),   "proxy",    "test",
                                     "--state",  own_state_ ? own_state_->path() : setup.state,     "--source",
                                     setup.source_dsn.empty() ? source.dsn(setup.schema) : setup.source_dsn,
                                     "--listen", "127.0.0.1:" + std::to_string(port_), "--admin-user",
                                     kAdmin};
  if (setup.target_options.empty()) arguments.insert(arguments.end(), {"--target", target.dsn(setup.schema)});
  arguments.insert(arguments.end(), setup.target_options.begin(), setup.target_options.end());
  if (has_tls_) arguments.insert(arguments.end(), {"--tls-cert", tls_folder() + "/server-cert.pem", "--tls-key", tls_folder() + "/server-key.pem"});
  arguments.insert(arguments.end(), setup.options.begin(), setup.options.end());
  process_ = std::make_unique<Process>(
      arguments, std::map<std::string, std::string>{{"GODWIT_SOURCE_PASSWORD", "godwit"}, {"GODWIT_TARGET_PASSWORD", "godwit"}, {"GODWIT_ADMIN_PASSWORD", kAdminPassword}});
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (process_->log().find("listening on") == std::string::npos) {
    if (!process_->is_running()) throw std::runtime_error("the proxy has ended: " + process_->wait().err);
    if (std::chrono::steady_clock::now() > end) throw std::runtime_error("the proxy does not listen: " + process_->log());
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

Proxy::~Proxy() {
  admin_.reset();
  process_.reset();
}

ProxyState::ProxyState() : path_(new_file()) {}

ProxyState::~ProxyState() {
  for (const char* suffix : {"", "-wal", "-shm"}) ::unlink((path_ + suffix).c_str());
}

AppClient::Options Proxy::app(const std::string& schema) const { return {.port = port_, .schema = schema, .has_tls = has_tls_}; }
RawClient::Options Proxy::raw(const std::string& schema) const { return {.port = port_, .schema = schema}; }
AppClient::Options Proxy::admin_login() const { return {.port = port_, .user = kAdmin, .password = kAdminPassword, .has_tls = has_tls_, .from = admin_from_}; }

AppAnswer Proxy::command(const std::string& sql) {
  if (!admin_) admin_ = std::make_unique<AppClient>(admin_login());
  return admin_->ask(sql);
}

void Proxy::must(const std::string& sql) {
  const auto answer = command(sql);
  if (!answer.is_ok()) throw std::runtime_error(sql + ": " + answer.message);
}

void Proxy::switch_to(const std::string& side) {
  must("PAUSE");
  const auto moved = command("MOVE TO " + side);
  if (!moved.is_ok()) must("RESUME");
  if (!moved.is_ok()) throw std::runtime_error("MOVE TO " + side + ": " + moved.message);
  must("RESUME");
}

std::vector<Proxy::Row> Proxy::show(const std::string& what) {
  if (!admin_) admin_ = std::make_unique<AppClient>(admin_login());
  MYSQL* handle = admin_->handle();
  if (mysql_query(handle, what.c_str()) != 0) throw std::runtime_error(what + ": " + mysql_error(handle));
  MYSQL_RES* result = mysql_store_result(handle);
  std::vector<Row> rows;
  const unsigned count = mysql_num_fields(result);
  const MYSQL_FIELD* fields = mysql_fetch_fields(result);
  while (MYSQL_ROW row = mysql_fetch_row(result)) {
    Row named;
    for (unsigned i = 0; i < count; ++i) named[fields[i].name] = row[i] == nullptr ? "NULL" : row[i];
    rows.push_back(std::move(named));
  }
  mysql_free_result(result);
  return rows;
}

std::vector<Proxy::Row> Proxy::route() { return show("SHOW ROUTE"); }
std::vector<Proxy::Row> Proxy::sessions() { return show("SHOW SESSIONS"); }

Proxy::Row Proxy::session(std::uint32_t id) {
  for (auto& row : sessions()) {
    if (row["id"] == std::to_string(id)) return row;
  }
  return {};
}

std::uint64_t Proxy::stat(const std::string& name) {
  for (auto& row : show("SHOW STATS")) {
    if (row["name"] == name) return std::stoull(row["value"]);
  }
  throw std::runtime_error("no figure is called " + name);
}

std::string Proxy::serving() {
  for (auto& row : show("SHOW ROUTE")) {
    if (row["serving"] == "yes") return row["side"];
  }
  return "";
}

bool Proxy::is_closed() { return show("SHOW ROUTE").at(0)["gate"] == "closed"; }

SecretFile::SecretFile(const std::string& text) : path_(new_file()) { std::ofstream(path_) << text; }
SecretFile::~SecretFile() { ::unlink(path_.c_str()); }

}  // namespace godwit::test
