// servers: c=mysql-9.7 a=mariadb-10.11
// Sets computed here are the sets that the server computes: random ones, with gaps and tags. The seed is printed with a failure.
#include <chrono>
#include <random>

#include "refused.h"
#include "godwit/binlog/stream.h"
#include "godwit/gtid/set.h"
#include "godwit/util/error.h"
#include "live/support/compare.h"
#include "live/support/row_images.h"

using namespace godwit;
using namespace godwit::test;
using gtid::Flavour;
using gtid::Set;

namespace {

std::string without_breaks(std::string text) {
  text.erase(std::remove(text.begin(), text.end(), '\n'), text.end());
  return text;
}

// Few origins and small numbers, so that sets meet often; written as a person might, not as the server prints.
class RandomSets {
 public:
  explicit RandomSets(unsigned seed) : random_(seed) {}

  std::string next() {
    std::string text;
    for (int parts = below(4); parts > 0; --parts) {
      text += (text.empty() ? "" : ", ") + uuid();
      bool has_interval = false;
      for (int items = 1 + below(5); items > 0; --items) {
        if (below(3) == 0) text += tag();
        text += interval();
        has_interval = true;
      }
      REQUIRE(has_interval);
    }
    return text;
  }

 private:
  int below(int end) { return static_cast<int>(random_() % static_cast<unsigned>(end)); }
  std::string uuid() {
    return std::string("3E11FA47-71ca-11e1-9e33-c80aa942956") + std::to_string(below(3));
  }
  std::string tag() {
    return std::string(":") + (below(2) == 0 ? "Tag" : "other_tag") + std::to_string(below(2));
  }
  std::string interval() {
    const int first = 1 + below(30);
    return ":" + std::to_string(first) +
           (below(2) == 0 ? "" : "-" + std::to_string(first + below(6)));
  }
  std::mt19937 random_;
};

}  // namespace

TEST_CASE("subset, difference and printing are MySQL's for random sets", "[gtid]") {
  const auto seed =
      static_cast<unsigned>(std::chrono::system_clock::now().time_since_epoch().count());
  INFO("seed " << seed);
  RandomSets sets(seed);
  Client client = Server("c").client();
  for (int i = 0; i < 400; ++i) {
    const std::string a = sets.next();
    const std::string b = sets.next();
    INFO(a << "\n" << b);
    const auto row = client.query("SELECT GTID_SUBTRACT(" + literal(a) + ", ''), GTID_SUBTRACT(" +
                                  literal(a) + ", " + literal(b) + "), GTID_SUBSET(" + literal(a) +
                                  ", " + literal(b) + "), GTID_SUBTRACT(CONCAT(" + literal(a) +
                                  ", ',', " + literal(b) + "), '')")[0];
    const Set set = Set::parse(Flavour::mysql, a);
    const Set other = Set::parse(Flavour::mysql, b);
    REQUIRE(set.to_string() == without_breaks(row[0].value()));
    Set difference = set;
    difference.subtract(other);
    REQUIRE(difference.to_string() == without_breaks(row[1].value()));
    REQUIRE(other.contains(set) == (row[2].value() == "1"));
    Set both = set;
    both.add(other);
    REQUIRE(both.to_string() == without_breaks(row[3].value()));
    REQUIRE(set.intersects(other) == (difference != set));
    REQUIRE(Set::decode(set.encode()) == set);
  }
}

TEST_CASE("what MySQL refuses as a set is refused here", "[gtid]") {
  Client client = Server("c").client();
  for (const char* text :
       {"x",
        "3e11fa47-71ca-11e1-9e33-c80aa942956",
        "3e11fa47-71ca-11e1-9e33-c80aa9429562:0",
        "3e11fa47-71ca-11e1-9e33-c80aa9429562:",
        "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-",
        "3e11fa47-71ca-11e1-9e33-c80aa9429562:-1",
        "3e11fa47-71ca-11e1-9e33-c80aa9429562:9223372036854775807",
        "3e11fa47-71ca-11e1-9e33-c80aa9429562:1;2",
        "3e11fa47-71ca-11e1-9e33-c80aa9429562:a23456789012345678901234567890123:1",
        "3e11fa47-71ca-11e1-9e33-c80aa9429562:1:é:2",
        "3e11fa4771ca-11e1-9e33-c80aa9429562:1"}) {
    INFO(text);
    CHECK_THROWS(client.query("SELECT GTID_SUBTRACT(" + literal(text) + ", '')"));
    CHECK_THROWS_AS(Set::parse(Flavour::mysql, text), Error);
  }
}

TEST_CASE("tagged transactions are read from the log, and a stream starts behind them", "[gtid]") {
  const Server server("c");
  Client client = server.client();
  client.execute("CREATE DATABASE IF NOT EXISTS tagged");
  const auto start = position_of(server);
  client.execute("CREATE TABLE tagged.t (id INT PRIMARY KEY)");
  client.execute("SET gtid_next = 'AUTOMATIC:Some_Tag'");
  client.execute("INSERT INTO tagged.t VALUES (1)");
  client.execute("INSERT INTO tagged.t VALUES (2)");
  client.execute("SET gtid_next = 'AUTOMATIC'");
  client.execute("INSERT INTO tagged.t VALUES (3)");
  client.execute("FLUSH BINARY LOGS");
  client.execute("INSERT INTO tagged.t VALUES (4)");

  Set seen = Set::parse(start);
  Set previous;
  binlog::Stream stream(endpoint_of(server), {.from = start, .is_endless = false});
  while (const auto* event = stream.next()) {
    if (const auto* gtid = event->as<binlog::Gtid>()) {
      CHECK_FALSE(seen.contains(gtid->gtid));
      CHECK(gtid->transaction_bytes > 100);
      CHECK(gtid->immediate_commit_us > 1'600'000'000'000'000);
      CHECK(gtid->immediate_server_version >= 90'000);
      CHECK(gtid->sequence_number > gtid->last_committed);
      seen.add(gtid->gtid);
    }
    if (const auto* known = event->as<binlog::PreviousGtids>()) previous = known->set;
  }
  CHECK(seen.position() == position_of(server));
  CHECK(previous.to_string().find(":some_tag:1-2") != std::string::npos);

  client.execute("INSERT INTO tagged.t VALUES (5)");
  int rows = 0;
  binlog::Stream behind(endpoint_of(server), {.from = seen.position(), .is_endless = false});
  while (const auto* event = behind.next()) rows += event->as<binlog::Rows>() != nullptr ? 1 : 0;
  CHECK(rows == 1);
  client.execute("DROP DATABASE tagged");
  client.execute("RESET BINARY LOGS AND GTIDS");  // later tests may want servers without tags
}

TEST_CASE("a MariaDB position grows to what the server has by its own transactions", "[gtid]") {
  const Server server("a");
  Client client = server.client();
  const auto start = position_of(server);
  client.execute("CREATE DATABASE domains");
  client.execute("CREATE TABLE domains.t (id INT PRIMARY KEY)");
  for (int domain = 0; domain < 3; ++domain) {
    client.execute("SET SESSION gtid_domain_id = " + std::to_string(domain));
    client.execute("INSERT INTO domains.t VALUES (" + std::to_string(domain) + ")");
  }
  client.execute("DROP DATABASE domains");
  Set seen = Set::parse(start);
  binlog::Stream stream(endpoint_of(server), {.from = start, .is_endless = false});
  while (const auto* event = stream.next()) {
    const auto* gtid = event->as<binlog::GtidMariadb>();
    if (gtid == nullptr) continue;
    CHECK_FALSE(seen.contains(gtid->gtid));
    seen.add(gtid->gtid);
  }
  CHECK(seen == Set::parse(position_of(server)));
}

TEST_CASE("a stream from a position of the other flavour is refused before anything is asked for", "[gtid]") {
  const auto refused = [](const char* name, const gtid::Position& from) {
    const Server server(name);
    const Error error = refusal([&] { binlog::Stream(endpoint_of(server), {.from = from}); });
    CHECK(error.code() == Code::position_foreign);
    CHECK(has(error.object(), std::to_string(server.port())));
    CHECK(error.remedy() == "is it the server the stream began with?");
    return error.cause();
  };
  CHECK(refused("c", {.flavour = Flavour::mariadb, .text = "0-1-5"}) == "it is a mysql server, the position is of a mariadb one");
  CHECK(refused("a", {.flavour = Flavour::mysql, .text = "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5"}) == "it is a mariadb server, the position is of a mysql one");
}
