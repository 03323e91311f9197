// What a rehearsal itself creates, besides what its copies create and their `cancel` drops: the source's schema of the switch part, and the synthetic client's account on both
// sides. Recorded before it is created, and dropped by that record only. One thread. Private to rehearsal.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "godwit/db/connection.h"

namespace godwit::rehearsal {

struct Account {
  std::string user;
  std::string password;
};

class Throwaway {
 public:
  // Opens a session with the source, and with the first target; with further ones (shards) where they are asked.
  Throwaway(const db::Dsn& source, const std::vector<db::Dsn>& targets, std::string name);

  db::Connection& source() { return source_; }
  db::Connection& target() { return target_; }
  // Holds the rehearsal's lock for as long as this process and those that it has begun live: they have its connection open, too. So who has the lock knows that
  // nothing of an earlier rehearsal is at work any more. Waits, where one was killed, for its steps to end. Throws Error(rehearsal_running).
  void lock(std::chrono::seconds time_max);
  // The lock's session must not be ended for idleness.
  void keep_alive();
  // Where a session was lost, another one, with the lock.
  void reconnect();

  bool has_schema(db::Connection& server, const std::string& schema);
  // Whether the source's schema of that name is a rehearsal's: it has the marker.
  bool is_marked(const std::string& schema);
  // Whether a target's sidecar knows a workflow of that name.
  bool has_stream(const std::string& workflow);
  bool has_sidecar();
  // Throw Error(rehearsal_occupied).
  void require_free(db::Connection& server, const std::string& schema);
  void require_free_on(std::size_t target, const std::string& schema);

  // The schema with its marker, which names the account to come.
  void create_schema(const std::string& schema, const std::string& account);
  // `tables` ("schema.table" of the source) without their rows and foreign keys. Gives those that cannot be made so, each with its reason.
  std::vector<std::string> create_empty(const std::string& schema, const std::vector<std::string>& tables);
  void run_on_source(const std::vector<std::string>& statements);
  // On both sides. The account must not be there.
  void create_account(const Account& account, const std::string& schema);
  // The account that the marker names, on both sides, then the schema. Gives what was dropped.
  std::vector<std::string> drop(const std::string& schema, bool is_begun);

 private:
  bool is_on_any(const std::function<bool(db::Connection& target)>& is_there);
  void create_account_on(db::Connection& server, const Account& account, const std::string& schema);

  const std::string name_;
  const db::Dsn source_dsn_;
  const db::Dsn target_dsn_;
  const std::vector<db::Dsn> further_;  // targets
  db::Connection source_;
  db::Connection target_;
};

// A table's definition as the server prints it, under another name, without its foreign keys. Nothing of it names the table that it was. Pure.
std::string renamed_definition(const std::string& printed, const std::string& schema, const std::string& table);

// A name that nobody has, and a password that policies accept.
Account random_account();
std::string random_word();

}  // namespace godwit::rehearsal
