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
#include "godwit/shard/layout.h"

namespace godwit::apply {

// One target of a stream: how each table's rows are written there, and which of them are its own.
struct TargetTables {
  const std::vector<TableBinding>* bindings = nullptr;
  const std::vector<shard::Route>* routes = nullptr;  // one per binding; none: all rows
  std::size_t shard = 0;                              // its number, as the routes give it
};

struct AssemblerOptions {
  std::size_t part_bytes_max = 8U << 20;  // a transaction larger than this comes in parts
  bool takes_new_tables = true;           // a table created in a migrated schema would belong to the migration
};

struct TargetTable;

class Assembler {
 public:
  // Changes are marked with the index of the target that they are for. Bindings and routes must outlive it and what it gives out.
  Assembler(std::vector<TargetTables> targets, AssemblerOptions options);
  ~Assembler();

  // Asked once per transaction and target: one that is not wanted there has no changes for it, and its tables may be defined otherwise there.
  std::function<bool(std::size_t, const gtid::Gtid&)> is_wanted;

  // A transaction when this event completes one (or fills a part of one).
  std::optional<Transaction> take(const binlog::Event& event);

  bool is_inside_transaction() const { return is_open_; }

 private:
  struct Bound;

  void begin(const gtid::Gtid& gtid, std::uint64_t committed_us);
  std::optional<Transaction> query(const binlog::Event& event, const binlog::Query& query);
  std::optional<Transaction> statement(const binlog::Query& query);
  void savepoint(std::string_view sql);
  Bound& bound(const std::shared_ptr<const binlog::TableMap>& map);
  const binlog::Layout* fit(Bound& bound, const std::shared_ptr<const binlog::TableMap>& map);
  std::optional<Transaction> rows(const binlog::Rows& rows);
  std::optional<Transaction> part_if_full();
  void note_heartbeat(const Bound& bound, const binlog::Rows& rows);
  std::optional<Transaction> finish(TransactionKind kind);
  bool concerns_us(const binlog::Query& query) const;
  std::vector<bool> places_of(const binlog::Query& query) const;

  const std::vector<TargetTables> targets_;
  const AssemblerOptions options_;
  std::map<std::pair<std::string, std::string>, std::vector<TargetTable>> by_name_;
  std::unordered_map<const binlog::TableMap*, std::pair<std::shared_ptr<const binlog::TableMap>, Bound>> bounds_;
  std::vector<bool> is_wanted_;  // by which target the open transaction is
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
