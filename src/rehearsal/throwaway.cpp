#include "throwaway.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <set>

#include "godwit/sql/quote.h"
#include "godwit/state/sidecar.h"
#include "godwit/util/error.h"
#include "godwit/util/log.h"
#include "godwit/util/text.h"
#include "names.h"

namespace godwit::rehearsal {
namespace {

using sql::quote_identifier;
using sql::quote_string;
using sql::quote_table;

constexpr std::chrono::seconds kReconnectMax{15};  // the server may not have noticed that the session before is gone

db::Connection open(db::Dsn dsn, db::Side side) {
  dsn.schema.clear();
  return db::Connection::open({.side = side, .dsn = dsn});
}

std::string account_text(const std::string& user) { return fmt::format("{}@'%'", quote_string(user)); }

// Without the right to make accounts there is another way.
[[noreturn]] void refuse_account(const Error& error) {
  throw Error(Code::privilege_missing, {.object = error.object(), .cause = "no account can be made for the synthetic client: " + error.cause(), .remedy = "--client-user with an account that both sides have, and its password in GODWIT_CLIENT_PASSWORD; or --no-switch"});
}

}  // namespace

// Letters and digits; of 64 bits or more of chance.
std::string random_word() {
  static constexpr std::string_view kLetters = "abcdefghijkmnpqrstuvwxyz23456789";
  std::random_device chance;
  std::string word;
  for (int i = 0; i < 16; ++i) word += kLetters[chance() % kLetters.size()];
  return word;
}

Account random_account() { return {.user = kAccountPrefix + random_word().substr(0, 10), .password = "Aa1-" + random_word() + random_word()}; }

Throwaway::Throwaway(const db::Dsn& source, const std::vector<db::Dsn>& targets, std::string name)
    : name_(std::move(name)), source_dsn_(source), target_dsn_(targets.front()), further_(targets.begin() + 1, targets.end()), source_(open(source_dsn_, db::Side::source)), target_(open(target_dsn_, db::Side::target)) {}

void Throwaway::reconnect() {
  if (!source_.ping()) source_ = open(source_dsn_, db::Side::source);
  if (target_.ping()) return;
  target_ = open(target_dsn_, db::Side::target);
  lock(kReconnectMax);
}

void Throwaway::lock(std::chrono::seconds time_max) {
  if (target_.scalar(fmt::format("SELECT GET_LOCK({}, {})", quote_string(lock_name(name_)), time_max.count())) == "1") return;
  const std::string holder = target_.scalar(fmt::format("SELECT IS_USED_LOCK({})", quote_string(lock_name(name_))));
  throw Error(Code::rehearsal_running, {.object = "godwit rehearse " + name_, .cause = fmt::format("another one is at work: connection {} of the target", holder), .remedy = "let it end; or another name"});
}

void Throwaway::keep_alive() {
  if (target_.scalar(fmt::format("SELECT IS_USED_LOCK({}) = CONNECTION_ID()", quote_string(lock_name(name_)))) == "1" && source_.scalar("SELECT 1") == "1") return;
  throw Error(Code::connection_lost, {.object = db::describe(target_.endpoint()), .cause = "the rehearsal's lock is lost", .remedy = "run the same command again"});
}

bool Throwaway::has_schema(db::Connection& server, const std::string& schema) {
  return !server.query(fmt::format("SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = {}", quote_string(schema))).empty();
}

bool Throwaway::is_marked(const std::string& schema) {
  return !source_.query(fmt::format("SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {}", quote_string(schema), quote_string(kMarker))).empty();
}

bool Throwaway::is_on_any(const std::function<bool(db::Connection& target)>& is_there) {
  if (is_there(target_)) return true;
  return std::ranges::any_of(further_, [&](const db::Dsn& dsn) {
    db::Connection target = open(dsn, db::Side::target);
    return is_there(target);
  });
}

bool Throwaway::has_sidecar() {
  return is_on_any([&](db::Connection& target) { return has_schema(target, "_godwit"); });
}

bool Throwaway::has_stream(const std::string& workflow) {
  return is_on_any([&](db::Connection& target) {
    if (!state::Sidecar::exists(target)) return false;
    const auto streams = state::Sidecar(target).streams();
    return std::ranges::any_of(streams, [&](const state::StreamRow& row) { return row.key.workflow == workflow; });
  });
}

void Throwaway::require_free_on(std::size_t target, const std::string& schema) {
  if (target == 0) return require_free(target_, schema);
  db::Connection server = open(further_.at(target - 1), db::Side::target);
  require_free(server, schema);
}

void Throwaway::require_free(db::Connection& server, const std::string& schema) {
  if (!has_schema(server, schema)) return;
  throw Error(Code::rehearsal_occupied, {.object = fmt::format("schema {} on {}", quote_identifier(schema), db::describe(server.endpoint())), .cause = "the rehearsal would create it, and it is there", .remedy = fmt::format("DROP DATABASE {} there, where nobody needs it; or another name of the rehearsal, or --map", quote_identifier(schema))});
}

void Throwaway::create_schema(const std::string& schema, const std::string& account) {
  source_.execute("CREATE DATABASE " + quote_identifier(schema));
  source_.execute(fmt::format("CREATE TABLE {} (name VARCHAR(64) PRIMARY KEY, account VARCHAR(32) NOT NULL, began DATETIME NOT NULL) ENGINE=InnoDB", quote_table(schema, kMarker)));
  source_.execute(fmt::format("INSERT INTO {} VALUES ({}, {}, UTC_TIMESTAMP())", quote_table(schema, kMarker), quote_string(name_), quote_string(account)));
}

// Not CREATE TABLE … LIKE: in the binlog that is DDL which names the migrated table, and a stream that follows this source would stop at it. No foreign keys: one that leads to
// another schema would lead to the application's own table.
std::string renamed_definition(const std::string& printed, const std::string& schema, const std::string& table) {
  std::vector<std::string> lines = split(printed, '\n');
  lines.front() = fmt::format("CREATE TABLE {} (", quote_table(schema, table));
  std::erase_if(lines, [](const std::string& line) { return line.rfind("  CONSTRAINT `", 0) == 0 && line.find("` FOREIGN KEY (") != std::string::npos; });
  for (std::size_t i = 1; i < lines.size(); ++i) {
    std::string& before = lines[i - 1];
    if (lines[i].rfind(')', 0) == 0 && !before.empty() && before.back() == ',') before.pop_back();
  }
  return join(lines, "\n");
}

std::vector<std::string> Throwaway::create_empty(const std::string& schema, const std::vector<std::string>& tables) {
  std::vector<std::string> left_out;
  std::set<std::string> taken;
  for (const auto& table : tables) {
    const auto parts = split(table, '.');
    if (parts.size() != 2) {
      left_out.push_back(table + ": its name has a dot");
      continue;
    }
    std::string name = parts[1];
    if (!taken.insert(lower(name)).second) name = fmt::format("{}_{}", name.substr(0, 56), taken.size());
    try {
      const db::Rows printed = source_.query("SHOW CREATE TABLE " + quote_table(parts[0], parts[1]));
      source_.execute(renamed_definition(printed.text(0, "Create Table"), schema, name));
    } catch (const Error& error) {
      if (error.is_retryable()) throw;
      left_out.push_back(fmt::format("{}: {}", table, error.cause()));
    }
  }
  return left_out;
}

void Throwaway::run_on_source(const std::vector<std::string>& statements) {
  for (const auto& statement : statements) source_.execute(statement);
}

void Throwaway::create_account(const Account& account, const std::string& schema) {
  create_account_on(source_, account, schema);
  create_account_on(target_, account, schema);
}

void Throwaway::create_account_on(db::Connection& server, const Account& account, const std::string& schema) {
  try {
    server.execute_unquoted(fmt::format("CREATE USER {} IDENTIFIED BY {}", account_text(account.user), quote_string(account.password)));
    server.execute(fmt::format("GRANT SELECT, INSERT, UPDATE, DELETE ON {}.* TO {}", quote_identifier(schema), account_text(account.user)));
  } catch (const Error& error) {
    if (error.is_retryable()) throw;
    refuse_account(error);
  }
}

std::vector<std::string> Throwaway::drop(const std::string& schema, bool is_begun) {
  std::vector<std::string> dropped;
  if (!has_schema(source_, schema)) return dropped;
  if (is_marked(schema)) {
    const std::string user = source_.scalar(fmt::format("SELECT account FROM {} WHERE name = {}", quote_table(schema, kMarker), quote_string(name_)));
    if (user.rfind(kAccountPrefix, 0) == 0) {
      for (auto* server : {&source_, &target_}) server->execute("DROP USER IF EXISTS " + account_text(user));
      dropped.push_back(fmt::format("account {} on both sides", account_text(user)));
    }
  } else if (!is_begun || !source_.query(fmt::format("SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} LIMIT 1", quote_string(schema))).empty()) {
    log::info("schema {} on the source stays: nothing in it says that it is a rehearsal's", quote_identifier(schema));
    return dropped;
  }
  source_.execute("DROP DATABASE IF EXISTS " + quote_identifier(schema));
  dropped.push_back(fmt::format("schema {} on the source", quote_identifier(schema)));
  return dropped;
}

}  // namespace godwit::rehearsal
