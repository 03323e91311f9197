// servers: a=mariadb-10.11 b=mariadb-10.11 c=mysql-9.7
// The proxy and the authority: what becomes of a hold whose switch dies, is committed without a word, or is over; of a proxy that starts in the middle of a
// switch, or that a switch has forgotten. The coordinator is this test: it changes the authority and the fences by the modules' own steps, and says no more than
// each case has it say. Clients write all along, with an account that a fence keeps out, and none may see an error.
#include <signal.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <thread>

#include "catch.h"
#include "godwit/fence/fence.h"
#include "godwit/state/authority.h"
#include "godwit/state/proxy_registry.h"
#include "godwit/state/sidecar.h"
#include "live/support/proxy.h"
#include "live/support/sidecars.h"

using namespace godwit::test;
namespace db = godwit::db;
namespace fence = godwit::fence;
namespace state = godwit::state;
using db::Side;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;
using Strings = std::vector<std::string>;

namespace {

const std::string kSchema = "turns";

void prepare_server(const Server& server, const std::string& name) {
  Client client = server.client();
  client.execute("SET GLOBAL read_only = OFF");
  client.execute("DROP DATABASE IF EXISTS _godwit");
  client.execute("DROP DATABASE IF EXISTS turns");
  client.execute("CREATE DATABASE turns CHARACTER SET utf8mb4");
  client.execute("CREATE TABLE turns.side (name VARCHAR(10)) ENGINE=InnoDB");
  client.execute("INSERT INTO turns.side VALUES ('" + name + "')");
  client.execute("CREATE TABLE turns.log (client INT NOT NULL, n INT NOT NULL, PRIMARY KEY (client, n)) ENGINE=InnoDB");
  client.execute("DROP USER IF EXISTS app@'%'");
  client.execute("CREATE USER app@'%' IDENTIFIED BY 'app'");
  client.execute("GRANT ALL ON turns.* TO app@'%'");
  auto session = session_with(server, name == "target" ? Side::target : Side::source);
  state::Sidecar(session).create();
}

bool holds_within(milliseconds limit, const std::function<bool()>& holds) {
  const auto end = Clock::now() + limit;
  while (!holds()) {
    if (Clock::now() > end) return false;
    std::this_thread::sleep_for(milliseconds(10));
  }
  return true;
}

std::string folder_of(const std::string& server) { return std::string(std::getenv("GODWIT_SERVERS_DIR")) + "/" + server; }

// Stopped, it takes connections and answers nothing; goes on at the end.
class Standstill {
 public:
  explicit Standstill(const std::string& server) {
    std::ifstream(folder_of(server) + "/pid") >> pid_;
    if (pid_ <= 0 || ::kill(pid_, SIGSTOP) != 0) throw std::runtime_error("cannot stop " + server);
  }
  ~Standstill() { end(); }
  void end() { ::kill(pid_, SIGCONT); }

 private:
  pid_t pid_ = 0;
};

// Two servers, the authority on the second, which is fenced; the workflow is called "test", as the proxy's is.
struct Stage {
  Server source;
  Server target;
  std::string target_name;
  SecretFile accounts{"app:app\n"};
  std::unique_ptr<db::Connection> source_session;
  std::unique_ptr<db::Connection> target_session;
  std::unique_ptr<db::Connection> authority_session;
  std::unique_ptr<Proxy> proxy;
  int port = free_port();
  std::string source_dsn{};  // another account's

  explicit Stage(const std::string& target_server, const std::string& source_server = "a") : source(source_server), target(target_server), target_name(target_server) {
    prepare_server(source, "source");
    prepare_server(target, "target");
    connect();
    authority().create();
    authority().set_fence("read_only");
    follow(Side::target);
  }
  ~Stage() {
    proxy.reset();
    for (const auto* server : {&source, &target}) {
      auto client = server->client();
      client.execute("SET GLOBAL read_only = OFF");
      if (!server->is_mariadb()) client.execute("RESET PERSIST");
      client.execute("DROP DATABASE IF EXISTS _godwit");
    }
  }
  // Anew, where a server was restarted.
  void connect() {
    source_session = std::make_unique<db::Connection>(session_with(source, Side::source));
    target_session = std::make_unique<db::Connection>(session_with(target, Side::target));
    authority_session = std::make_unique<db::Connection>(session_with(target, Side::target));
  }
  std::unique_ptr<Proxy> new_proxy(int at, Strings options = {}) const {
    options.insert(options.end(), {"--accounts", accounts.path()});
    return std::make_unique<Proxy>(source, target, Proxy::Setup{.options = options, .schema = kSchema, .source_dsn = source_dsn, .port = at});
  }
  void start_proxy(const Strings& options = {}) { proxy = new_proxy(port, options); }
  void kill_proxy() {
    proxy->process().signal(SIGKILL);
    proxy.reset();
  }

  state::Authority authority() const { return state::Authority(*authority_session, "test"); }
  state::Route route() const { return authority().read().value(); }
  fence::Plan plan(Side side) const { return {.workflow = "test", .side = side, .kind = fence::Kind::read_only, .tables = {}}; }
  db::Connection& session(Side side) const { return side == Side::source ? *source_session : *target_session; }
  void follow(Side side) const {
    auto it = authority();
    fence::follow(session(side), it, plan(side), milliseconds(2000));
  }
  bool is_fenced(Side side) const { return fence::is_fenced(session(side), plan(side)); }

  // The steps of a coordinator.
  std::uint64_t begin() const { return authority().begin(route().epoch, "test").value().epoch; }
  void close_fence(std::uint64_t hold) const {
    auto it = authority();
    const Side serving = it.read()->serving;
    fence::close(session(serving), it, plan(serving), hold, milliseconds(2000));
  }
  void hold(Proxy& at, std::uint64_t epoch, const std::string& lease) const { at.must("PAUSE HOLD " + std::to_string(epoch) + " WITH LEASE " + lease); }

  AppClient::Options login(const Proxy& at) const {
    auto options = at.app(kSchema);
    options.user = options.password = "app";
    return options;
  }
  AppClient client() const { return AppClient(login(*proxy)); }
};

std::string side_of(AppClient& client) { return client.scalar("SELECT name FROM turns.side"); }

Proxy::Row row_of(const AppAnswer& answer, const Strings& columns) {
  Proxy::Row row;
  for (std::size_t i = 0; i < columns.size(); ++i) row[columns[i]] = answer.rows.at(0).at(i).value_or("NULL");
  return row;
}
const Strings kResumed{"released", "hold", "serving", "epoch", "ended_by", "waited", "held_ms_p50", "held_ms_p99", "held_ms_max", "closed_ms"};

// Each writes numbers one after another, until the end; none of them may ever be refused.
class Writers {
 public:
  Writers(const AppClient::Options& login, int count, int first = 0) : login_(login) {
    for (int i = first; i < first + count; ++i) threads_.emplace_back([this, i] { write(i); });
  }
  ~Writers() { stop(); }
  void stop() {
    is_stopped_ = true;
    for (auto& thread : threads_) {
      if (thread.joinable()) thread.join();
    }
  }
  std::string errors() {
    const std::lock_guard lock(mutex_);
    return errors_;
  }
  int written() const { return written_; }
  bool go_on_within(milliseconds limit) const {
    const int before = written_;
    return holds_within(limit, [&] { return written_ > before + static_cast<int>(threads_.size()); });
  }

 private:
  void write(int number) {
    try {
      AppClient client(login_);
      for (int n = 0; !is_stopped_; ++n) {
        const auto answer = client.ask("INSERT INTO turns.log VALUES (" + std::to_string(number) + ", " + std::to_string(n) + ")");
        if (!answer.is_ok()) throw std::runtime_error(std::to_string(answer.error) + " " + answer.message);
        ++written_;
        std::this_thread::sleep_for(milliseconds(2));
      }
    } catch (const std::exception& error) {
      const std::lock_guard lock(mutex_);
      errors_ += std::string(error.what()) + "\n";
    }
  }

  const AppClient::Options login_;
  std::atomic<bool> is_stopped_{false};
  std::atomic<int> written_{0};
  std::mutex mutex_;
  std::string errors_;
  std::vector<std::thread> threads_;
};

// What was acknowledged is on one of the two servers, once.
void check_nothing_is_lost(const Stage& stage, Writers& writers) {
  writers.stop();
  CHECK(writers.errors() == "");
  const auto count = [](const Server& server) { return std::stoi(server.client().scalar("SELECT COUNT(*) FROM turns.log")); };
  CHECK(count(stage.source) + count(stage.target) == writers.written());
}

Proxy::Row route_row(Proxy& proxy, const std::string& side = "source") {
  for (auto& row : proxy.route()) {
    if (row["side"] == side) return row;
  }
  return {};
}

}  // namespace

TEST_CASE("proxy_authority: a lease that ends before the commit makes the commit impossible, and all go on on the source", "[proxy_authority]") {
  const std::string target = GENERATE("b", "c");
  Stage stage(target);
  stage.start_proxy();
  Writers writers(stage.login(*stage.proxy), 8);
  REQUIRE(writers.go_on_within(seconds(5)));
  const auto hold = stage.begin();
  stage.hold(*stage.proxy, hold, "2");
  const auto began = Clock::now();
  SECTION("fenced") { stage.close_fence(hold); }
  SECTION("moved and fenced") {
    stage.proxy->must("MOVE TO target");
    stage.close_fence(hold);
  }
  const auto shown = route_row(*stage.proxy);
  CHECK(shown.at("hold") == std::to_string(hold));
  CHECK(shown.at("authority") == "known");
  CHECK(std::stoi(shown.at("lease_ms_left")) <= 2000);
  CHECK(writers.go_on_within(seconds(5)));
  CHECK(Clock::now() - began >= milliseconds(1900));
  CHECK(Clock::now() - began < seconds(4));
  CHECK_FALSE(stage.authority().commit(hold));
  CHECK(stage.route().serving == Side::source);
  CHECK(stage.route().epoch == hold + 1);
  CHECK_FALSE(stage.is_fenced(Side::source));
  CHECK(stage.is_fenced(Side::target));
  AppClient client = stage.client();
  CHECK(side_of(client) == "source");
  CHECK(stage.proxy->serving() == "source");
  // Who comes late hears what came of it.
  const auto late = stage.proxy->command("RESUME HOLD " + std::to_string(hold));
  REQUIRE(late.is_ok());
  CHECK(row_of(late, kResumed)["ended_by"] == "lease");
  CHECK(row_of(late, kResumed)["serving"] == "source");
  CHECK(row_of(late, kResumed)["epoch"] == std::to_string(hold + 1));
  CHECK_THAT(stage.proxy->command("PAUSE HOLD " + std::to_string(hold)).message, Catch::Contains("switch_fenced"));
  check_nothing_is_lost(stage, writers);
}

TEST_CASE("proxy_authority: committed without a word, all go to the target when the lease ends, and can write there", "[proxy_authority]") {
  const std::string target = GENERATE("b", "c");
  Stage stage(target);
  stage.start_proxy();
  Writers writers(stage.login(*stage.proxy), 8);
  REQUIRE(writers.go_on_within(seconds(5)));
  const auto hold = stage.begin();
  stage.hold(*stage.proxy, hold, "2");
  SECTION("moved") { stage.proxy->must("MOVE TO target"); }
  SECTION("not moved") {}
  stage.close_fence(hold);
  REQUIRE(stage.authority().commit(hold));
  CHECK(writers.go_on_within(seconds(6)));
  CHECK(stage.is_fenced(Side::source));
  CHECK_FALSE(stage.is_fenced(Side::target));
  AppClient client = stage.client();
  CHECK(side_of(client) == "target");
  CHECK(stage.proxy->serving() == "target");
  check_nothing_is_lost(stage, writers);
  CHECK(std::stoi(stage.target.client().scalar("SELECT COUNT(*) FROM turns.log")) > 0);
}

TEST_CASE("proxy_authority: RESUME HOLD ends its own hold only, and says how long clients waited", "[proxy_authority]") {
  const std::string target = GENERATE("b", "c");
  Stage stage(target);
  stage.start_proxy();
  Writers writers(stage.login(*stage.proxy), 8);
  AppClient idle = stage.client();
  REQUIRE(writers.go_on_within(seconds(5)));
  const auto hold = stage.begin();
  const std::string number = std::to_string(hold);
  const auto paused = stage.proxy->command("PAUSE HOLD " + number + " WITH LEASE 30");
  REQUIRE(paused.is_ok());
  CHECK(row_of(paused, {"hold", "held", "killed", "ms", "serving"})["hold"] == number);
  CHECK(row_of(paused, {"hold", "held"})["held"] == "9");
  for (const auto& command : Strings{"RESUME", "RESUME HOLD " + std::to_string(hold - 1), "RESUME HOLD " + std::to_string(hold + 2)}) {
    const auto refused = stage.proxy->command(command);
    CHECK_THAT(refused.message, Catch::Contains("gate_refused") && Catch::Contains("hold " + number));
  }
  CHECK_THAT(stage.proxy->command("RESUME HOLD " + number).message, Catch::Contains("gate_refused") && Catch::Contains("under way"));
  // Said again, it has its lease anew.
  CHECK(stage.proxy->command("PAUSE HOLD " + number + " WITH LEASE 40").is_ok());
  CHECK(std::stoi(route_row(*stage.proxy).at("lease_ms_left")) > 30000);
  const auto moved = stage.proxy->command("MOVE TO target");
  REQUIRE(moved.is_ok());
  CHECK(row_of(moved, {"side", "moved", "ms"})["moved"] == "9");
  CHECK(stage.proxy->command("PAUSE HOLD " + number + " WITH LEASE 40").is_ok());
  CHECK(stage.proxy->serving() == "target");  // and keeps what was done since
  stage.close_fence(hold);
  std::this_thread::sleep_for(milliseconds(300));
  REQUIRE(stage.authority().commit(hold));
  stage.follow(Side::target);
  const auto resumed = stage.proxy->command("RESUME HOLD " + number);
  REQUIRE(resumed.is_ok());
  auto row = row_of(resumed, kResumed);
  CHECK(row["released"] == "9");
  CHECK(row["waited"] == "8");
  CHECK(row["ended_by"] == "resume");
  CHECK(row["serving"] == "target");
  CHECK(row["epoch"] == std::to_string(hold + 1));
  CHECK(std::stod(row["held_ms_p50"]) >= 300);
  CHECK(std::stod(row["held_ms_max"]) >= std::stod(row["held_ms_p99"]));
  CHECK(std::stod(row["held_ms_p99"]) >= std::stod(row["held_ms_p50"]));
  CHECK(std::stod(row["held_ms_max"]) <= std::stod(row["closed_ms"]) + 1);
  CHECK(stage.proxy->command("RESUME HOLD " + number).is_ok());
  CHECK(side_of(idle) == "target");
  CHECK(writers.go_on_within(seconds(2)));
  // The way back is the same.
  const auto back = stage.begin();
  stage.hold(*stage.proxy, back, "30");
  stage.proxy->must("MOVE TO source");
  stage.close_fence(back);
  REQUIRE(stage.authority().commit(back));
  stage.follow(Side::source);
  const auto late = stage.proxy->command("RESUME HOLD " + number);  // what it has asked for has been: the present hold is none of its business
  REQUIRE(late.is_ok());
  CHECK(row_of(late, kResumed)["hold"] == number);
  CHECK(stage.proxy->is_closed());
  stage.proxy->must("RESUME HOLD " + std::to_string(back));
  CHECK(side_of(idle) == "source");
  CHECK(writers.go_on_within(seconds(2)));
  writers.stop();
  CHECK(writers.errors() == "");
}

TEST_CASE("proxy_authority: RESUME HOLD behind a coordinator that has not lifted the fence lifts it first", "[proxy_authority]") {
  const std::string target = GENERATE("b", "c");
  Stage stage(target);
  stage.start_proxy();
  Writers writers(stage.login(*stage.proxy), 4);
  REQUIRE(writers.go_on_within(seconds(5)));
  const auto hold = stage.begin();
  stage.hold(*stage.proxy, hold, "30");
  stage.close_fence(hold);
  SECTION("aborted") {
    stage.proxy->must("MOVE TO target");
    REQUIRE(stage.authority().abort(hold));
  }
  SECTION("committed, and not moved") { REQUIRE(stage.authority().commit(hold)); }
  stage.proxy->must("RESUME HOLD " + std::to_string(hold));
  CHECK(writers.go_on_within(seconds(2)));
  CHECK(stage.proxy->serving() == db::to_string(stage.route().serving));
  CHECK_FALSE(stage.is_fenced(stage.route().serving));
  check_nothing_is_lost(stage, writers);
}

TEST_CASE("proxy_authority: a hold for which the authority is in no switch is refused", "[proxy_authority]") {
  Stage stage("b");
  stage.start_proxy();
  AppClient client = stage.client();
  const auto epoch = stage.route().epoch;
  CHECK_THAT(stage.proxy->command("PAUSE HOLD " + std::to_string(epoch)).message, Catch::Contains("switch_fenced"));
  CHECK_THAT(stage.proxy->command("PAUSE HOLD " + std::to_string(epoch + 1)).message, Catch::Contains("switch_fenced"));
  const auto hold = stage.begin();
  CHECK_THAT(stage.proxy->command("PAUSE HOLD " + std::to_string(hold) + " WITH LEASE 0").message, Catch::Contains("bad_usage"));
  stage.authority().abort(hold);
  CHECK_THAT(stage.proxy->command("PAUSE HOLD " + std::to_string(hold)).message, Catch::Contains("switch_fenced"));
  stage.authority().forget();
  CHECK_THAT(stage.proxy->command("PAUSE HOLD " + std::to_string(hold)).message, Catch::Contains("authority_lost"));
  CHECK_FALSE(stage.proxy->is_closed());
  CHECK(side_of(client) == "source");
}

TEST_CASE("proxy_authority: a RESUME HOLD that comes while sessions are still awaited ends the PAUSE", "[proxy_authority]") {
  Stage stage("b");
  stage.start_proxy();
  AppClient busy = stage.client();
  AppClient idle = stage.client();
  busy.run({"BEGIN", "INSERT INTO turns.log VALUES (100, 1)"});
  const auto hold = stage.begin();
  auto paused = std::async(std::launch::async, [&] { return stage.proxy->command("PAUSE HOLD " + std::to_string(hold) + " WITH LEASE 30 DRAIN 30"); });
  AppClient other(stage.proxy->admin_login());
  REQUIRE(holds_within(seconds(5), [&] { return other.rows("SHOW ROUTE").at(0).at(3) == std::optional<std::string>("closed"); }));
  const auto resumed = other.ask("RESUME HOLD " + std::to_string(hold));
  CHECK(resumed.is_ok());
  CHECK_FALSE(paused.get().is_ok());
  CHECK(side_of(idle) == "source");
  CHECK(busy.ask("COMMIT").is_ok());
}

TEST_CASE("proxy_authority: a new switch takes over what an older one holds", "[proxy_authority]") {
  const std::string target = GENERATE("b", "c");
  Stage stage(target);
  stage.start_proxy();
  Writers writers(stage.login(*stage.proxy), 4);
  REQUIRE(writers.go_on_within(seconds(5)));
  const auto first = stage.begin();
  stage.hold(*stage.proxy, first, "30");
  stage.proxy->must("MOVE TO target");
  stage.close_fence(first);
  REQUIRE(stage.authority().abort(first));
  const auto second = stage.begin();
  stage.hold(*stage.proxy, second, "30");
  CHECK(stage.proxy->serving() == "source");
  CHECK_THAT(stage.proxy->command("RESUME HOLD " + std::to_string(first)).message, Catch::Contains("gate_refused") && Catch::Contains("hold " + std::to_string(second)));
  stage.proxy->must("MOVE TO target");
  stage.close_fence(second);
  REQUIRE(stage.authority().commit(second));
  stage.follow(Side::target);
  stage.proxy->must("RESUME HOLD " + std::to_string(second));
  CHECK(writers.go_on_within(seconds(2)));
  check_nothing_is_lost(stage, writers);
}

TEST_CASE("proxy_authority: while the authority does not answer nobody goes on, and when it does all go on", "[proxy_authority]") {
  const auto [target, is_moved] = GENERATE(table<std::string, bool>({{"b", false}, {"b", true}, {"c", true}}));
  Stage stage(target);
  stage.start_proxy();
  Writers writers(stage.login(*stage.proxy), 8);
  REQUIRE(writers.go_on_within(seconds(5)));
  const auto hold = stage.begin();
  stage.hold(*stage.proxy, hold, "1.5");
  const auto is_held = [&, &at = *stage.proxy] { return !writers.go_on_within(seconds(4)) && at.is_closed(); };
  SECTION("it stands still") {
    if (is_moved) stage.proxy->must("MOVE TO target");
    Standstill standstill(target);
    CHECK(is_held());
    standstill.end();
    CHECK(writers.go_on_within(seconds(10)));
    CHECK(stage.route().epoch == hold + 1);
  }
  SECTION("it is killed, and comes back") {
    if (is_moved) stage.proxy->must("MOVE TO target");
    stage.target.kill_server();
    CHECK(is_held());
    CHECK(route_row(*stage.proxy).at("authority") == "unreachable");
    stage.target.restart();
    CHECK(writers.go_on_within(seconds(10)));
    stage.connect();
    CHECK(stage.route().epoch == hold + 1);
  }
  SECTION("it is killed behind a commit, and comes back") {
    if (is_moved) stage.proxy->must("MOVE TO target");
    stage.close_fence(hold);
    REQUIRE(stage.authority().commit(hold));
    stage.target.kill_server();
    CHECK(is_held());
    stage.target.restart();
    CHECK(writers.go_on_within(seconds(10)));
    CHECK(stage.proxy->serving() == "target");
    stage.connect();
  }
  CHECK(holds_within(seconds(3), [&] { return !stage.proxy->is_closed(); }));
  CHECK_FALSE(stage.is_fenced(stage.route().serving));
  check_nothing_is_lost(stage, writers);
}

TEST_CASE("proxy_authority: RESUME FORCE is the operator's word where the authority gives none", "[proxy_authority]") {
  Stage stage("b");
  stage.start_proxy();
  Writers writers(stage.login(*stage.proxy), 4);
  REQUIRE(writers.go_on_within(seconds(5)));
  const auto hold = stage.begin();
  stage.hold(*stage.proxy, hold, "2.5");
  CHECK_THAT(stage.proxy->command("RESUME FORCE target").message, Catch::Contains("gate_refused"));
  CHECK_THAT(stage.proxy->command("RESUME FORCE source").message, Catch::Contains("gate_refused") && Catch::Contains("under way"));
  stage.target.kill_server();
  CHECK_FALSE(writers.go_on_within(seconds(3)));
  const auto forced = stage.proxy->command("RESUME FORCE source");
  CHECK(forced.message == "");
  CHECK(row_of(forced, kResumed)["ended_by"] == "force");
  CHECK(writers.go_on_within(seconds(2)));
  stage.target.restart();
  stage.connect();
  check_nothing_is_lost(stage, writers);
}

TEST_CASE("proxy_authority: a proxy that is killed and started again in the middle of a switch serves nobody until it is decided", "[proxy_authority]") {
  const std::string target = GENERATE("b", "c");
  Stage stage(target);
  stage.start_proxy();
  const auto hold = stage.begin();
  stage.hold(*stage.proxy, hold, "30");
  stage.kill_proxy();
  stage.close_fence(hold);
  stage.start_proxy({"--lease", "3s"});
  CHECK(stage.proxy->is_closed());
  CHECK(route_row(*stage.proxy).at("hold") == std::to_string(hold));
  auto login = std::async(std::launch::async, [&] {
    AppClient client = stage.client();
    client.run({"INSERT INTO turns.log VALUES (1, 1)"});
    return side_of(client);
  });
  CHECK(login.wait_for(seconds(1)) == std::future_status::timeout);
  SECTION("committed, and released by its coordinator") {
    REQUIRE(stage.authority().commit(hold));
    stage.follow(Side::target);
    CHECK(stage.proxy->command("RESUME HOLD " + std::to_string(hold)).is_ok());
    CHECK(login.get() == "target");
  }
  SECTION("committed, without a word") {
    REQUIRE(stage.authority().commit(hold));
    REQUIRE(login.wait_for(seconds(2)) == std::future_status::ready);  // nothing is left to be waited for
    CHECK(login.get() == "target");
  }
  SECTION("its coordinator is dead") {
    REQUIRE(login.wait_for(seconds(6)) == std::future_status::ready);
    CHECK(login.get() == "source");
    CHECK_FALSE(stage.authority().commit(hold));
  }
}

TEST_CASE("proxy_authority: a proxy serves the side that the authority names, whatever --serving says", "[proxy_authority]") {
  const std::string target = GENERATE("b", "c");
  Stage stage(target);
  const auto hold = stage.begin();
  stage.close_fence(hold);
  REQUIRE(stage.authority().commit(hold));
  stage.follow(Side::target);
  stage.start_proxy({"--serving", "source"});
  CHECK_THAT(stage.proxy->log(), Catch::Contains("--serving source is not obeyed"));
  {
    AppClient client = stage.client();
    CHECK(side_of(client) == "target");
    CHECK(client.ask("INSERT INTO turns.log VALUES (1, 1)").is_ok());
    // A MOVE that is no switch's would lead onto the fenced side.
    stage.proxy->must("PAUSE WITH LEASE 10");
    CHECK_THAT(stage.proxy->command("MOVE TO source").message, Catch::Contains("gate_refused"));
    stage.proxy->must("RESUME");
  }
  // The target out of reach, the source knows that there was a switch, and is not taken for the one that serves.
  stage.kill_proxy();
  stage.target.kill_server();
  stage.start_proxy();
  CHECK(stage.proxy->is_closed());
  auto login = std::async(std::launch::async, [&] {
    AppClient client = stage.client();
    return side_of(client);
  });
  CHECK(login.wait_for(seconds(2)) == std::future_status::timeout);
  stage.target.restart();
  CHECK(login.get() == "target");
  stage.connect();
}

TEST_CASE("proxy_authority: a proxy that a switch has forgotten follows it by itself", "[proxy_authority]") {
  const std::string target = GENERATE("b", "c");
  Stage stage(target);
  stage.start_proxy();
  AppClient idle = stage.client();
  AppClient writer = stage.client();
  AppClient busy = stage.client();
  idle.run({"SET @kept = 5"});
  busy.run({"BEGIN", "SELECT name FROM turns.side"});
  const auto hold = stage.begin();
  stage.close_fence(hold);
  const bool has_doubt = GENERATE(false, true);
  REQUIRE(stage.authority().commit(hold));
  stage.follow(Side::target);
  const auto began = Clock::now();
  if (has_doubt) CHECK(writer.ask("INSERT INTO turns.log VALUES (1, 1)").error == 1290);
  CHECK(holds_within(seconds(4), [&] { return stage.proxy->serving() == "target" && !stage.proxy->is_closed(); }));
  INFO(std::chrono::duration_cast<milliseconds>(Clock::now() - began).count() << " ms");
  CHECK(side_of(idle) == "target");
  CHECK(idle.scalar("SELECT @kept") == "5");
  CHECK(side_of(writer) == "target");
  CHECK(writer.ask("INSERT INTO turns.log VALUES (1, 2)").is_ok());
  CHECK(busy.ask("SELECT 1").error != 0);  // its transaction could not have been committed
  AppClient newcomer = stage.client();
  CHECK(side_of(newcomer) == "target");
}

// The proxy's account has lost a privilege when the source serves no more: what the sessions are made of cannot be read there any more.
TEST_CASE("proxy_authority: sessions that cannot be read are ended when the other side serves, and told so", "[proxy_authority]") {
  Stage stage("a", "c");
  const std::string all_of_it = "SELECT ON performance_schema.* TO watcher@'%'";
  Client source = stage.source.client();
  source.execute("DROP USER IF EXISTS watcher@'%'");
  source.execute("CREATE USER watcher@'%' IDENTIFIED BY 'godwit'");
  source.execute("GRANT PROCESS, CONNECTION_ADMIN, XA_RECOVER_ADMIN ON *.* TO watcher@'%'");
  for (const char* object : {"mysql.*", "_godwit.*", "turns.*", "performance_schema.variables_metadata", "performance_schema.setup_instruments"}) source.execute(std::string("GRANT SELECT ON ") + object + " TO watcher@'%'");
  source.execute("GRANT " + all_of_it);
  stage.source_dsn = "mysql://watcher@127.0.0.1:" + std::to_string(stage.source.port()) + "/turns";
  stage.start_proxy();
  auto login = stage.proxy->raw(kSchema);
  login.user = login.password = "app";
  RawClient idle(login);
  RawClient busy(login);
  busy.ask("BEGIN");
  busy.ask("SELECT name FROM turns.side");
  source.execute("REVOKE SELECT ON performance_schema.* FROM watcher@'%'");
  CHECK_THAT(stage.proxy->command("PAUSE").message, Catch::Contains("privilege_missing [source") && Catch::Contains("denied") && Catch::Contains("=> GRANT SELECT ON performance_schema.* to the proxy's account"));
  CHECK_FALSE(stage.proxy->is_closed());
  const auto hold = stage.begin();
  stage.close_fence(hold);
  REQUIRE(stage.authority().commit(hold));
  stage.follow(Side::target);
  CHECK(holds_within(seconds(6), [&] { return stage.proxy->serving() == "target" && !stage.proxy->is_closed(); }));
  for (auto* client : {&idle, &busy}) {
    const auto told = client->read_answer();
    CHECK(told.error == 1927);
    CHECK(told.message == "Connection was killed: the other side serves now, and it could not be moved there; connect again");
  }
  // Of the two one is named: the idle one is held, and was not read; the busy one has not come to a safe point.
  const std::string log = stage.proxy->log();
  CHECK_THAT(log, Catch::Contains("2 sessions could not be moved there: they are ended") && (Catch::Contains("its state was not read => PAUSE, then MOVE") || Catch::Contains("it is not held => PAUSE, then MOVE")));
  source.execute("DROP USER watcher@'%'");
}

TEST_CASE("proxy_authority: two proxies end up on the same side, whichever of them hears a word", "[proxy_authority]") {
  const std::string target = GENERATE("b", "c");
  Stage stage(target);
  stage.start_proxy();
  auto second = stage.new_proxy(free_port());
  Writers here(stage.login(*stage.proxy), 4);
  Writers there(stage.login(*second), 4, 100);
  REQUIRE(here.go_on_within(seconds(5)));
  REQUIRE(there.go_on_within(seconds(5)));
  const auto hold = stage.begin();
  stage.hold(*stage.proxy, hold, "2");
  stage.hold(*second, hold, "4");
  stage.proxy->must("MOVE TO target");
  std::string side = "source";
  SECTION("none, before the commit") { stage.close_fence(hold); }
  SECTION("one, behind the commit") {
    second->must("MOVE TO target");
    stage.close_fence(hold);
    REQUIRE(stage.authority().commit(hold));
    stage.follow(Side::target);
    stage.proxy->must("RESUME HOLD " + std::to_string(hold));
    side = "target";
  }
  CHECK(here.go_on_within(seconds(4)));
  CHECK(there.go_on_within(seconds(7)));
  CHECK(stage.proxy->serving() == side);
  CHECK(second->serving() == side);
  here.stop();
  there.stop();
  CHECK(here.errors() + there.errors() == "");
}

TEST_CASE("proxy_authority: a proxy is registered while it lives", "[proxy_authority]") {
  Stage stage("b");
  stage.start_proxy();
  state::ProxyRegistry registry(*stage.target_session, "test");
  REQUIRE(holds_within(seconds(5), [&] { return !registry.live(seconds(10)).empty(); }));
  const auto live = registry.live(seconds(10));
  REQUIRE(live.size() == 1);
  CHECK(live[0].endpoint == "127.0.0.1:" + std::to_string(stage.port));
  CHECK(live[0].serving == Side::source);
  CHECK(live[0].instance == route_row(*stage.proxy).at("instance"));
  std::this_thread::sleep_for(seconds(4));
  CHECK(registry.live(milliseconds(3500)).size() == 1);  // it says so again and again
  SECTION("ended, it is not") {
    stage.proxy->process().signal(SIGTERM);
    CHECK(stage.proxy->process().wait().status == 0);
    CHECK(registry.live(seconds(60)).empty());
  }
  SECTION("killed, it goes out of date") {
    stage.proxy->process().signal(SIGKILL);
    CHECK(holds_within(seconds(6), [&] { return registry.live(seconds(3)).empty(); }));
    CHECK(registry.live(seconds(60)).size() == 1);
  }
}
