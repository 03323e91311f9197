// What waits between a stream's reader and its applier.
#include "../../src/apply/inbox.h"

#include <future>

#include "catch.h"

using namespace godwit;
using namespace godwit::apply;
using std::chrono::milliseconds;

namespace {

Transaction transaction_of(std::uint64_t number, std::size_t changes) {
  Transaction transaction;
  transaction.gtid = gtid::MysqlGtid{.uuid = {}, .tag = "", .number = number};
  transaction.changes.resize(changes);
  transaction.bytes = changes * 100;
  return transaction;
}

const auto kNow = Inbox::Clock::time_point{};

}  // namespace

TEST_CASE("inbox: transactions without changes become one while they wait, those with changes keep their place", "[apply]") {
  Inbox inbox({.bytes_max = 1000, .transactions_max = 100});
  std::uint64_t number = 0;
  for (const std::size_t changes : {0, 0, 0, 2, 0, 1, 0, 0}) CHECK(inbox.push(transaction_of(++number, changes)));
  const auto taken = inbox.take(100, milliseconds(0), kNow);
  REQUIRE(taken.size() == 5);
  CHECK(taken[0].count() == 3);
  CHECK(taken[1].count() == 1);
  CHECK(taken[4].count() == 2);
  gtid::Set set;
  for (const auto& transaction : taken) transaction.add_to(set);
  gtid::Set wanted;
  for (std::uint64_t i = 1; i <= number; ++i) wanted.add(gtid::MysqlGtid{.uuid = {}, .tag = "", .number = i});
  CHECK(set == wanted);
}

TEST_CASE("inbox: a million transactions of other schemas take no room", "[apply]") {
  Inbox inbox({.bytes_max = 1000, .transactions_max = 2});
  bool is_taken = true;
  for (std::uint64_t i = 1; i <= 1'000'000; ++i) is_taken = inbox.push(transaction_of(i, 0)) && is_taken;
  CHECK(is_taken);
  const auto taken = inbox.take(100, milliseconds(0), kNow);
  REQUIRE(taken.size() == 1);
  CHECK(taken[0].count() == 1'000'000);
}

TEST_CASE("inbox: a full one holds the reader up, and a closed one lets it go", "[apply]") {
  for (const InboxLimits limits : {InboxLimits{.bytes_max = 150, .transactions_max = 100}, InboxLimits{.bytes_max = 10'000, .transactions_max = 1}}) {
    Inbox inbox(limits);
    CHECK(inbox.push(transaction_of(1, 1)));
    auto second = std::async(std::launch::async, [&] { return inbox.push(transaction_of(2, 1)); });
    CHECK(second.wait_for(milliseconds(50)) == std::future_status::timeout);
    CHECK(inbox.take(1, milliseconds(0), kNow).size() == 1);
    CHECK(second.get());
    auto third = std::async(std::launch::async, [&] { return inbox.push(transaction_of(3, 1)); });
    CHECK(third.wait_for(milliseconds(50)) == std::future_status::timeout);
    inbox.close();
    CHECK_FALSE(third.get());
  }
}

TEST_CASE("inbox: the position alone waits for company, changes do not", "[apply]") {
  Inbox inbox({.bytes_max = 1000, .transactions_max = 100});
  const auto began = Inbox::Clock::now();
  CHECK(inbox.push(transaction_of(1, 0)));
  CHECK(inbox.take(10, milliseconds(0), began + milliseconds(60)).size() == 1);
  CHECK(Inbox::Clock::now() >= began + milliseconds(60));
  CHECK(inbox.push(transaction_of(2, 0)));
  CHECK(inbox.push(transaction_of(3, 1)));
  CHECK(inbox.take(10, milliseconds(0), Inbox::Clock::now() + std::chrono::hours(1)).size() == 2);
}
