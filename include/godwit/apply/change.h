// Changes of rows as rendered pieces of SQL, and the transactions they come in. Plain data; movable between threads.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "godwit/apply/binding.h"
#include "godwit/gtid/gtid.h"
#include "godwit/gtid/set.h"

namespace godwit::apply {

enum class ChangeKind : std::uint8_t { insert, update, erase };

constexpr char kStatementEnd = '\0';  // in no statement: literals escape it, identifiers cannot hold it

// One row's change. Texts are SQL: literals in the order of the binding's columns, and key locators: the literal of a key of one
// column ("1"), or "(`a` = 1 AND `b` = 2)".
struct Change {
  const TableBinding* table = nullptr;
  ChangeKind kind = ChangeKind::insert;
  bool is_full = true;        // the after image has every written column
  bool moves_key = false;     // update: the row gets another key
  bool moves_unique = false;  // update: a value of another unique key changes
  bool is_elsewhere = false;  // the row is on another shard: what is to be done here are its cascades
  std::uint16_t target = 0;   // for which of the stream's targets it is
  std::string old_key;        // locator; empty for inserts and for tables without a key
  std::string new_key;        // empty for deletes
  std::string values;         // "1, 'a', NULL": the after image's present columns
  std::string columns;        // which they are, where is_full is false
  std::string assignments;    // update: "`b` = 2" for what differs
  std::string old_row;        // without a key: "`a` <=> 1 AND `b` <=> NULL"
  std::string cascades;       // statements, each ended by kStatementEnd: what the source changed with it by foreign keys, unlogged

  std::size_t bytes() const {
    return sizeof(Change) + old_key.size() + new_key.size() + values.size() + columns.size() + assignments.size() + old_row.size() + cascades.size();
  }
};

// A table of which nothing is copied yet; but a table that references it may be, and knows of no event when a cascade changes it.
inline bool is_to_be_dropped(const Change& change) { return (change.table->is_ignored || change.is_elsewhere) && change.cascades.empty(); }
inline void drop_ignored(std::vector<Change>& changes) { std::erase_if(changes, is_to_be_dropped); }

// A statement that the source logged as such: DDL, mostly.
struct LoggedStatement {
  std::string schema;  // default schema
  std::string sql;
  std::optional<std::uint64_t> sql_mode;
  std::vector<bool> is_there;  // by target: whether it has the migrated table that is named first; none: a schema, or a table that nobody has
};

enum class TransactionKind : std::uint8_t {
  rows,         // changes, maybe none that concerns us
  part,         // changes of a transaction that is too large to be held: more of it follows
  statement,    // a LoggedStatement that may concern the migrated tables
  xa_prepared,  // rows whose outcome comes later, by xid
  xa_commit,
  xa_rollback,
};

struct Transaction {
  TransactionKind kind = TransactionKind::rows;
  gtid::Gtid gtid;
  struct Run {
    gtid::Set set;
    gtid::Gtid last;
    std::size_t count = 0;
  };
  std::optional<Run> later;        // transactions after it, without anything for the target
  std::uint64_t committed_us = 0;  // on the source's clock, since 1970; whole seconds on MariaDB; 0: unknown
  std::vector<Change> changes;
  std::size_t bytes = 0;           // of changes
  LoggedStatement statement;
  std::string xid;                 // as it stands in XA statements
  std::uint64_t heartbeat_us = 0;  // it wrote godwit's heartbeat: the source's time then

  bool is_without_changes() const { return kind == TransactionKind::rows && changes.empty(); }
  void add_to(gtid::Set& set) const {
    set.add(gtid);
    if (later) set.add(later->set);
  }
  std::size_t count() const { return 1 + (later ? later->count : 0); }
};

}  // namespace godwit::apply
