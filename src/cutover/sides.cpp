#include "sides.h"

#include <utility>

#include "godwit/workflow/direction.h"
#include "godwit/workflow/shards.h"

namespace godwit::cutover {
namespace {

constexpr std::chrono::seconds kAnswerTimeout{20};  // of a server, in a step

db::Endpoint endpoint_of(db::Side side, const db::Dsn& dsn) {
  db::Endpoint endpoint{.side = side, .dsn = dsn};
  endpoint.read_timeout = kAnswerTimeout;
  return endpoint;
}

std::exception_ptr attempt(const std::function<void(std::size_t)>& deed, std::size_t number) {
  try {
    deed(number);
  } catch (...) {
    return std::current_exception();
  }
  return nullptr;
}

}  // namespace

std::vector<std::exception_ptr> try_each(std::size_t count, const std::function<void(std::size_t)>& deed) {
  std::vector<std::future<std::exception_ptr>> others;
  for (std::size_t i = 1; i < count; ++i) others.push_back(std::async(std::launch::async, attempt, std::cref(deed), i));
  std::vector<std::exception_ptr> failures;
  if (count > 0) failures.push_back(attempt(deed, 0));
  for (auto& other : others) failures.push_back(other.get());
  return failures;
}

void for_each(std::size_t count, const std::function<void(std::size_t)>& deed) {
  for (const auto& failure : try_each(count, deed)) {
    if (failure) std::rethrow_exception(failure);
  }
}

SideServer::SideServer(db::Endpoint endpoint, std::string workflow, std::optional<db::Endpoint> authority_at, SideServer* authority)
    : endpoint_(std::move(endpoint)), workflow_(std::move(workflow)), authority_at_(std::move(authority_at)), authority_(authority) {}

db::Connection& SideServer::session() {
  if (!session_) session_.emplace(db::Connection::open(endpoint_));
  return *session_;
}

state::Authority SideServer::authority() {
  if (authority_ != nullptr) return {authority_->session(), workflow_};
  if (!authority_at_) return {session(), workflow_};
  if (!authority_session_) authority_session_.emplace(db::Connection::open(*authority_at_));
  return {*authority_session_, workflow_};
}

void SideServer::open() {
  session();
  authority();
}

void SideServer::forget() {
  session_.reset();
  authority_session_.reset();
}

workflow::StreamSwitch& ShardStream::get() {
  if (!streams) streams = std::make_unique<workflow::StreamSwitch>(definition, running);
  return *streams;
}

std::string ShardStream::object() const {
  const std::string shard = workflow::shard_name(definition);
  return "workflow " + definition.name + (shard.empty() ? "" : ", " + shard);
}

Sides::Sides(const workflow::Definition& definition, workflow::Direction running) : are_shards_(workflow::is_sharded(definition)) {
  const auto authority_at = endpoint_of(db::Side::target, definition.target);
  const auto source_at = endpoint_of(db::Side::source, definition.source);
  for (const auto& shard : workflow::shard_definitions(definition)) {
    const auto at = endpoint_of(db::Side::target, shard.target);
    target_.push_back(are_shards_ ? std::make_unique<SideServer>(at, definition.name, authority_at) : std::make_unique<SideServer>(at, definition.name));
    streams_.push_back({.definition = shard, .running = running});
  }
  source_.push_back(are_shards_ ? std::make_unique<SideServer>(source_at, definition.name, authority_at) : std::make_unique<SideServer>(source_at, definition.name, target_.front().get()));
  if (auto head = workflow::head_definition(definition)) {
    head->target.schema.clear();
    head_ = std::make_unique<SideServer>(endpoint_of(db::Side::target, head->target), definition.name, authority_at);
  }
}

void Sides::open() {
  for (auto& stream : streams_) stream.get();
  for (const auto side : {db::Side::source, db::Side::target}) {
    for (auto* server : all(side)) server->open();
  }
}

void Sides::forget() {
  for (auto& stream : streams_) stream.streams.reset();
  for (const auto side : {db::Side::source, db::Side::target}) {
    for (auto* server : all(side)) server->forget();
  }
}

std::vector<SideServer*> Sides::databases(db::Side side) {
  std::vector<SideServer*> result;
  for (const auto& server : servers_of(side)) result.push_back(server.get());
  return result;
}

std::vector<SideServer*> Sides::all(db::Side side) {
  auto result = databases(side);
  if (side == db::Side::target && head_) result.push_back(head_.get());
  return result;
}

}  // namespace godwit::cutover
