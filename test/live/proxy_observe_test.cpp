// servers: a=mariadb-10.11:--proxy-protocol-networks=* b=mariadb-10.11:--proxy-protocol-networks=*
// alone: it measures
// What is seen of a proxy and of its clients from outside: addresses, from load balancers too, the access log, metrics, holds that took long, certificates.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <regex>
#include <sstream>
#include <thread>

#include "catch.h"
#include "godwit/layer/proxy_header.h"
#include "live/support/login_client.h"
#include "live/support/proxy.h"
#include "live/support/waiting.h"

using namespace godwit;
using namespace godwit::test;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

const std::string kClient = "127.0.0.2";
const std::string kAdminHost = "127.0.0.3";

// A folder of files, gone at the end.
struct Folder {
  Folder() {
    std::string pattern = "/tmp/godwit-observe-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path = pattern;
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string at(const std::string& name) const { return path + "/" + name; }
  std::string path;
};

std::string text_of_file(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string http(int port, const std::string& path) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  std::string text;
  const std::string request = "GET " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
  if (::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 && ::send(socket, request.data(), request.size(), MSG_NOSIGNAL) > 0) {
    char buffer[4096];
    for (ssize_t size; (size = ::recv(socket, buffer, sizeof buffer, 0)) > 0;) text.append(buffer, static_cast<std::size_t>(size));
  }
  ::close(socket);
  return text;
}

int metrics_port(const Proxy& proxy) {
  const std::string log = proxy.log();
  std::smatch found;
  if (!std::regex_search(log, found, std::regex("metrics at http://127\\.0\\.0\\.1:([0-9]+)/metrics"))) throw std::runtime_error("the log names no port of --metrics: " + log);
  return std::stoi(found[1]);
}

// The text format of Prometheus: each metric is explained, typed, and has its value, in that order. Throws where a line is none of these.
std::map<std::string, double> scraped(const Proxy& proxy) {
  const std::string answer = http(metrics_port(proxy), "/metrics");
  const auto body_at = answer.find("\r\n\r\n");
  if (answer.rfind("HTTP/1.1 200", 0) != 0 || body_at == std::string::npos) throw std::runtime_error("no answer: " + answer);
  if (answer.find("text/plain; version=0.0.4") > body_at) throw std::runtime_error("not the type of Prometheus: " + answer);
  static const std::regex help("# HELP (godwit_proxy_[a-z_]+) [A-Z0-9].+");
  static const std::regex type("# TYPE (godwit_proxy_[a-z_]+) (counter|gauge)");
  static const std::regex sample("(godwit_proxy_[a-z_]+) ([0-9.e+-]+)");
  std::map<std::string, double> values;
  std::istringstream lines(answer.substr(body_at + 4));
  for (std::string first, second, third; std::getline(lines, first) && std::getline(lines, second) && std::getline(lines, third);) {
    std::smatch of_help;
    std::smatch of_type;
    std::smatch of_sample;
    const bool is_one = std::regex_match(first, of_help, help) && std::regex_match(second, of_type, type) && std::regex_match(third, of_sample, sample);
    if (!is_one || of_help[1] != of_type[1] || of_help[1] != of_sample[1]) throw std::runtime_error("no metric: " + first + "\n" + second + "\n" + third);
    const std::string name = of_sample[1];
    const bool is_total = name.size() > 6 && name.compare(name.size() - 6, 6, "_total") == 0;
    if (is_total != (of_type[2] == "counter")) throw std::runtime_error("a counter is called _total, and nothing else is: " + third);
    if (!values.emplace(name.substr(std::string("godwit_proxy_").size()), std::stod(of_sample[2])).second) throw std::runtime_error("twice: " + name);
  }
  return values;
}

AppClient::Options from(AppClient::Options options, const std::string& address) {
  options.from = address;
  return options;
}

// --- certificates -------------------------------------------------------------------------------------------------------

std::string tls_folder() { return std::string(std::getenv("GODWIT_SERVERS_DIR")) + "/tls"; }

void openssl(const std::string& arguments) {
  if (std::system(("openssl " + arguments + " >/dev/null 2>&1").c_str()) != 0) throw std::runtime_error("openssl " + arguments);
}

// app.pem, of the test servers' authority, and stranger.pem, of its own.
void make_certificates(const Folder& folder) {
  openssl("req -newkey rsa:2048 -nodes -subj /CN=app -keyout " + folder.at("app.key") + " -out " + folder.at("app.csr"));
  openssl("x509 -req -in " + folder.at("app.csr") + " -CA " + tls_folder() + "/ca.pem -CAkey " + tls_folder() + "/ca-key.pem -set_serial 77 -days 2 -out " + folder.at("app.pem"));
  openssl("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=stranger -keyout " + folder.at("stranger.key") + " -out " + folder.at("stranger.pem"));
}

std::string answer_with(const Proxy& proxy, const std::string& cert, const std::string& key) {
  try {
    auto options = proxy.app();
    options.cert = cert;
    options.key = key;
    return AppClient(options).scalar("SELECT 'let in'");
  } catch (const std::exception& error) {
    return error.what();
  }
}

std::string words_of(const std::function<void()>& act) {
  try {
    act();
    return "nothing";
  } catch (const std::exception& error) {
    return error.what();
  }
}

// What it says as it ends: it does not come to listen.
std::string refusal_of(const Server& a, const Server& b, const Proxy::Setup& setup) {
  return words_of([&] { const Proxy proxy(a, b, setup); });
}

}  // namespace

TEST_CASE("proxy_observe: the address that a client connects from goes on to the server, the log and the list of sessions", "[proxy_observe]") {
  const Server a("a");
  const Server b("b");
  const Folder folder;
  Proxy proxy(a, b, {.options = {"--send-proxy-protocol", "--access-log", folder.at("access")}});
  std::string line;
  {
    AppClient client(from(proxy.app(), kClient));
    CHECK(client.scalar("SELECT USER()") == "godwit@" + kClient);
    const std::string address = client.scalar("SELECT HOST FROM information_schema.PROCESSLIST WHERE ID = CONNECTION_ID()");
    CHECK(address.rfind(kClient + ":", 0) == 0);
    CHECK(proxy.session(client.id())["client"] == address);
    proxy.switch_to("target");
    CHECK(client.scalar("SELECT USER()") == "godwit@" + kClient);
    line = "[0-9]+\\.[0-9]{3} " + std::to_string(client.id()) + " " + address + " godwit@% [0-9]+\\.[0-9]{3} [3-9]\n";
  }
  const bool is_logged = holds_within(seconds(10), [&] { return std::regex_search(text_of_file(folder.at("access")), std::regex(line)); });
  INFO(line << text_of_file(folder.at("access")));
  CHECK(is_logged);
}

TEST_CASE("proxy_observe: what a load balancer says of its client goes through the proxy to the server", "[proxy_observe]") {
  const Server a("a");
  const Server b("b");
  Proxy proxy(a, b, {.options = {"--proxy-protocol-from", "127.0.0.1", "--send-proxy-protocol"}, .admin_from = kAdminHost});
  const auth::Credentials credentials{.password = auth::Secret("godwit"), .has_password = true, .stage1 = {}};
  for (const std::string address : {"192.0.2.77", "2001:db8::7"}) {
    const auto header = layer::make_proxy_header({.address = address, .port = 40000}, {.address = address, .port = 3306});
    LoginClient client(proxy.port(), {.user = "godwit", .credentials = &credentials, .proxy_header = header});
    REQUIRE(client.error() == "");
    CHECK(client.scalar("SELECT USER()") == "godwit@" + address);
    const auto sessions = proxy.sessions();
    CHECK(std::any_of(sessions.begin(), sessions.end(), [&](const Proxy::Row& row) { return row.at("client") == address + ":40000"; }));
  }
  auto malformed = proxy.raw();
  malformed.before = "PROXY TCP4 not an address\r\n";
  CHECK_THAT(words_of([&] { RawClient client(malformed); }), Catch::Contains("GW1001") && Catch::Contains("[127.0.0.1]: its PROXY header is malformed => --proxy-protocol-from"));
  // One that is not from there says nothing in front; and what it says is not believed.
  CHECK(AppClient(from(proxy.app(), kAdminHost)).scalar("SELECT USER()") == "godwit@" + kAdminHost);
}

TEST_CASE("proxy_observe: metrics are Prometheus text, and move with what happens", "[proxy_observe]") {
  const Server a("a");
  const Server b("b");
  Proxy proxy(a, b, {.options = {"--metrics", "127.0.0.1:0"}});
  CHECK_THAT(http(metrics_port(proxy), "/other"), Catch::StartsWith("HTTP/1.1 404"));
  const auto before = scraped(proxy);
  for (const auto& [name, value] : before) {
    INFO(name);
    const bool is_admins = name == "connections";
    CHECK((value == 0 || is_admins));
  }
  AppClient client(proxy.app());
  for (int i = 0; i < 10; ++i) client.scalar("SELECT 1");
  CHECK(proxy.stat("statements") == 10);  // the session goes on
  auto wrong = proxy.app();
  wrong.password = "wrong";
  CHECK_THROWS(AppClient(wrong));
  const auto value = [&](const std::string& name) { return scraped(proxy).at(name); };
  CHECK(holds_within(seconds(10), [&] { return value("statements_total") == 10; }));
  CHECK(value("sessions") == 1);
  CHECK(value("sessions_total") == 1);
  CHECK(holds_within(seconds(10), [&] { return value("logins_failed_total") == 1; }));
  proxy.must("PAUSE");
  CHECK(value("gate_closed") == 1);
  proxy.must("MOVE TO target");
  proxy.must("RESUME");
  const auto after = scraped(proxy);
  CHECK(after.size() == before.size());
  CHECK(after.at("gate_closed") == 0);
  CHECK(after.at("serving_target") == 1);
  CHECK(after.at("moves_total") == 1);
  CHECK(after.at("holds_total") == 1);
  CHECK(after.at("hold_seconds_last") > 0);
  CHECK(after.at("session_hold_seconds_max") > 0);
  { const AppClient gone(std::move(client)); }
  CHECK(holds_within(seconds(10), [&] { return value("sessions") == 0; }));
  CHECK(value("statements_total") == 11);  // each once, and that it leaves
  CHECK(proxy.stat("statements") == 11);
}

TEST_CASE("proxy_observe: sessions that were held for longer than --slow-hold are in the log, with their account", "[proxy_observe]") {
  const Server a("a");
  const Server b("b");
  for (const bool is_asked : {true, false}) {
    Proxy proxy(a, b, {.options = is_asked ? std::vector<std::string>{"--slow-hold", "100ms"} : std::vector<std::string>{}});
    AppClient client(proxy.app());
    client.scalar("SELECT 1");
    proxy.must("PAUSE");
    std::thread waiting([&] { client.ask("SELECT 2"); });
    std::this_thread::sleep_for(milliseconds(400));
    proxy.must("RESUME");
    waiting.join();
    const std::string words = "session " + std::to_string(client.id()) + " of godwit@% was held for ";
    CHECK(has_logged(proxy.process(), words, seconds(is_asked ? 10 : 1)) == is_asked);
    const std::string log = proxy.log();
    const auto at = log.find(words);
    if (at != std::string::npos) CHECK(std::stod(log.substr(at + words.size())) >= 400);
  }
}

TEST_CASE("proxy_observe: with --tls-ca, clients' certificates are of that authority; files that cannot be used are refused at the start", "[proxy_observe]") {
  const Server a("a");
  const Server b("b");
  const Folder folder;
  make_certificates(folder);
  {
    Proxy proxy(a, b, {.options = {"--tls-ca", tls_folder() + "/ca.pem", "--verbose"}, .has_tls = true});
    CHECK(answer_with(proxy, folder.at("app.pem"), folder.at("app.key")) == "let in");
    CHECK(answer_with(proxy, "", "") == "let in");
    CHECK(proxy.stat("logins_failed") == 0);
    CHECK(answer_with(proxy, folder.at("stranger.pem"), folder.at("stranger.key")) != "let in");
    CHECK(has_logged(proxy.process(), "GW0105"));
    CHECK(holds_within(seconds(10), [&] { return proxy.stat("logins_failed") == 1; }));
  }
  {  // of another authority
    Proxy proxy(a, b, {.options = {"--tls-ca", folder.at("stranger.pem"), "--verbose"}, .has_tls = true});
    CHECK(answer_with(proxy, folder.at("stranger.pem"), folder.at("stranger.key")) == "let in");
    CHECK(answer_with(proxy, folder.at("app.pem"), folder.at("app.key")) != "let in");
    CHECK(has_logged(proxy.process(), "GW0105"));
  }
  CHECK_THAT(refusal_of(a, b, {.options = {"--tls-ca", folder.at("app.key")}, .has_tls = true}), Catch::Contains("GW1020") && Catch::Contains("app.key"));
  CHECK_THAT(refusal_of(a, b, {.options = {"--tls-ca", folder.at("missing")}, .has_tls = true}), Catch::Contains("GW1020"));
  CHECK_THAT(refusal_of(a, b, {.options = {"--tls-ca", tls_folder() + "/ca.pem"}}), Catch::Contains("GW0002") && Catch::Contains("--tls-cert"));
}

TEST_CASE("proxy_observe: what it cannot listen at, or write to, is refused at the start", "[proxy_observe]") {
  const Server a("a");
  const Server b("b");
  const std::string taken = "127.0.0.1:" + std::to_string(a.port());
  CHECK_THAT(refusal_of(a, b, {.port = a.port()}), Catch::Contains("GW1002") && Catch::Contains("[" + taken + "]: Address already in use => --listen another address"));
  for (const std::string& address : {taken, std::string("192.0.2.1:0")}) {
    CHECK_THAT(refusal_of(a, b, {.options = {"--metrics", address}}), Catch::Contains("GW0002") && Catch::Contains("[--metrics " + address + "]: it cannot be listened at"));
  }
  CHECK_THAT(refusal_of(a, b, {.options = {"--access-log", "/no/such/folder/access"}}), Catch::Contains("GW0002") && Catch::Contains("[--access-log /no/such/folder/access]: it cannot be written => name a file"));
}
