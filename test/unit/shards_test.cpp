#include "godwit/workflow/shards.h"

#include "catch.h"
#include "godwit/state/state_file.h"
#include "godwit/util/error.h"

using namespace godwit;
using namespace godwit::workflow;

namespace {

Definition shop() {
  Definition definition;
  definition.name = "shop";
  definition.source = db::parse_dsn("mysql://app@old:3306/shop", "--source");
  definition.shards = {"80-=mysql://dba:own@two:3307/store", "-80=mysql://dba@one:3307/store"};
  definition.vindexes = {"orders.customer_id=xxhash", "regions.a,b=multicol"};
  definition.references = {"countries"};
  return definition;
}

void give_password(db::Dsn& dsn, const std::string&) {
  if (!dsn.has_password) dsn.password = "of all";
}

Code refusal(Definition definition) {
  try {
    settle_shards(definition, give_password);
  } catch (const Error& error) {
    return error.code();
  }
  return Code::internal_error;
}

}  // namespace

TEST_CASE("shards: in the order of their ranges, each with its own address and password", "[shards]") {
  Definition definition = shop();
  settle_shards(definition, give_password);
  CHECK(definition.target.host == "one");
  const auto all = shard_definitions(definition);
  REQUIRE(all.size() == 2);
  CHECK(all[0].shard == "-80");
  CHECK(all[0].target.host == "one");
  CHECK(all[0].target.password == "of all");
  CHECK(all[1].shard == "80-");
  CHECK(all[1].target.host == "two");
  CHECK(all[1].target.password == "own");
  CHECK(stream_key(all[1]).shard == "80-");
  CHECK(stream_key(reversed(all[1])).shard == "80-");
  CHECK(stream_key(reversed(all[1])).direction == "reverse");
  CHECK(reversed(all[1]).source.host == "two");
  CHECK(shard_name(all[1]) == "shard 80-");
}

TEST_CASE("shards: a migration to one target is what it was", "[shards]") {
  Definition definition;
  definition.name = "shop";
  definition.target = db::parse_dsn("mysql://dba@new:3307/store", "--target");
  settle_shards(definition, [](db::Dsn&, const std::string&) { FAIL("there is no shard"); });
  CHECK_FALSE(is_sharded(definition));
  REQUIRE(shard_definitions(definition).size() == 1);
  CHECK(shard_definitions(definition)[0].target.host == "new");
  CHECK(stream_key(definition).shard == "-");
  CHECK(shard_name(definition).empty());
  CHECK(to_options(definition).count("shard") == 0);
}

TEST_CASE("shards: recorded without passwords, and found again", "[shards]") {
  Definition definition = shop();
  definition.serve = db::parse_dsn("mysql://dba@head:3306/store", "--serve");
  settle_shards(definition, give_password);
  const auto options = to_options(definition);
  for (const auto& [option, value] : options) CHECK(value.find("own") == std::string::npos);
  state::StateFile file(":memory:");
  file.record_workflow("shop", options);
  const Definition found = definition_from(file.find_workflow("shop").value());
  CHECK(to_options(found) == options);
  CHECK(found.target.host == "one");
  CHECK(found.serve->host == "head");
  CHECK(found.vindexes == definition.vindexes);
  CHECK(layout_of(found).shards.size() == 2);

  // The order in which they are given is none of the workflow's.
  Definition turned = shop();
  std::swap(turned.shards[0], turned.shards[1]);
  std::swap(turned.vindexes[0], turned.vindexes[1]);
  turned.serve = definition.serve;
  settle_shards(turned, give_password);
  CHECK_NOTHROW(file.record_workflow("shop", to_options(turned)));
  turned.references = {"others"};
  CHECK_THROWS_AS(file.record_workflow("shop", to_options(turned)), Error);
}

TEST_CASE("shards: layouts that cannot be are refused by their codes", "[shards]") {
  Definition definition = shop();
  definition.shards[0] = "a0-=mysql://dba@two:3307/store";
  CHECK(refusal(definition) == Code::shards_leave_gap);
  definition.shards[0] = "70-=mysql://dba@two:3307/store";
  CHECK(refusal(definition) == Code::shards_overlap);
  definition.shards[0] = "80-=mysql://dba@one:3307/store";
  CHECK(refusal(definition) == Code::same_tables);
  definition = shop();
  definition.unsharded = {"orders"};
  CHECK(refusal(definition) == Code::bad_placement);
  definition = shop();
  definition.shards.clear();
  CHECK(refusal(definition) == Code::bad_usage);  // placements, and no shard
}

TEST_CASE("shards: what is one for all of them is on the first, triggers and events are on the head over them", "[shards]") {
  Definition definition = shop();
  definition.vindexes.clear();
  definition.partitions = {"orders=HASH(id)"};
  settle_shards(definition, give_password);
  const auto all = shard_definitions(definition);
  CHECK(authority_endpoint(all[1]).dsn.host == "one");
  CHECK(authority_endpoint(reversed(all[1])).dsn.host == "one");
  CHECK(db::describe(authority_endpoint(reversed(all[1]))) == "target one:3307");
  CHECK(!head_definition(definition));
  CHECK(!objects_definition(definition, db::Side::target));
  CHECK(objects_definition(definition, db::Side::source)->shard == "-80");
  CHECK(other_servers(definition).size() == 1);

  definition.serve = db::parse_dsn("mysql://dba@head:3308/store", "--serve");
  const auto head = head_definition(definition);
  REQUIRE(head);
  CHECK(is_head(*head));
  CHECK(shard_name(*head) == "the head");
  CHECK(head->target.host == "head");
  REQUIRE(objects_definition(definition, db::Side::target));
  CHECK(objects_definition(definition, db::Side::target)->target.host == "head");
  const auto others = other_servers(definition);
  REQUIRE(others.size() == 2);
  CHECK(others[0].dsn.host == "two");
  CHECK(others[1].dsn.host == "head");
}

TEST_CASE("shards: what serves vindexes, or is a shard itself, is no head", "[shards]") {
  Definition definition = shop();
  definition.serve = db::parse_dsn("mysql://app@vtgate:3306/store", "--serve");
  settle_shards(definition, give_password);
  CHECK(!head_definition(definition));
  definition.vindexes.clear();
  definition.serve = db::parse_dsn("mysql://dba@two:3307/store", "--serve");
  CHECK(!head_definition(definition));
}
