// Events of one stream in, transactions out: rows of bound tables as Changes, everything else by its meaning for the stream. What it
// does not understand it refuses by name (I6). Pure; one thread.
//
//   MySQL     gtid query(BEGIN) { [annotate] table_map rows } xid | query(COMMIT)      gtid query(DDL)
//             gtid query(XA START) rows query(XA END) xa_prepare                      gtid query(XA COMMIT | XA ROLLBACK)
//   MariaDB   gtid { … rows } xid | query(COMMIT | ROLLBACK)   gtid(standalone) query(DDL)   gtid(prepared) rows xa_prepare
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "godwit/apply/change.h"
#include "godwit/binlog/event.h"

namespace godwit::apply {

struct AssemblerOptions {
  std::size_t part_bytes_max = 8U << 20;  // a transaction larger than this comes in parts
  bool takes_new_tables = true;           // a table created in a migrated schema would belong to the migration
};

class Assembler {
 public:
  // The bindings must outlive it and what it gives out.
  Assembler(const std::vector<TableBinding>& bindings, AssemblerOptions options);

  // A transaction when this event completes one (or fills a part of one).
  std::optional<Transaction> take(const binlog::Event& event);

  bool is_inside_transaction() const { return is_open_; }

 private:
  struct Bound {
    const TableBinding* binding = nullptr;  // nullptr: not migrated
    binlog::Layout layout;
    bool is_heartbeat = false;
  };

  void begin(const gtid::Gtid& gtid, std::uint64_t committed_us);
  std::optional<Transaction> query(const binlog::Event& event, const binlog::Query& query);
  std::optional<Transaction> statement(const binlog::Query& query);
  void savepoint(std::string_view sql);
  const Bound& bound(const std::shared_ptr<const binlog::TableMap>& map);
  std::optional<Transaction> rows(const binlog::Rows& rows);
  Change change_of(const Bound& bound, const binlog::Rows& rows, const binlog::Row& row);
  void note_heartbeat(const Bound& bound, const binlog::Rows& rows);
  std::optional<Transaction> finish(TransactionKind kind);
  bool concerns_us(const binlog::Query& query) const;

  const std::vector<TableBinding>& bindings_;
  const AssemblerOptions options_;
  std::map<std::pair<std::string, std::string>, const TableBinding*> by_name_;
  std::unordered_map<const binlog::TableMap*, std::pair<std::shared_ptr<const binlog::TableMap>, Bound>> bounds_;
  std::vector<std::pair<std::string, std::size_t>> savepoints_;
  Transaction open_;
  bool is_open_ = false;        // a GTID was seen, its end not yet
  bool has_begun_ = false;      // … and a BEGIN, or rows
  bool is_standalone_ = false;  // MariaDB: one statement, no end
  bool is_xa_ = false;
  bool was_parted_ = false;
};

// What a logged statement is, by its first words.
enum class StatementKind {
  transaction_control,  // BEGIN, COMMIT, SAVEPOINT, XA …
  data_change,          // INSERT, LOAD, CALL …: in statement format it cannot be followed
  table_definition,     // CREATE, ALTER, DROP, RENAME, TRUNCATE of tables, schemas, indexes, sequences
  code_definition,      // views, routines, triggers, events: no row changes by them alone
  harmless,             // accounts, FLUSH, ANALYZE, temporary tables
};
StatementKind classify(std::string_view sql);
// Of a table_definition: after it the same tables are there, under the same names. Only such a statement can be run on the target and
// followed: the rows of a table that comes, or comes under another name, belong to no binding. In doubt false.
bool keeps_tables(std::string_view sql);

struct MentionedName {
  std::string schema;  // empty: not qualified
  std::string name;
};
// Every identifier of a statement, quoted or not, strings and comments left out.
std::vector<MentionedName> names_in(std::string_view sql);

}  // namespace godwit::apply
