// What godwit has created on a head, in the head's schema `_godwit_head`. Private to workflow; the connection's thread.
//   object (workflow, kind, schema_name, object_name, fingerprint, state): "creating" is written before the object is made, "done" after it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "godwit/db/connection.h"

namespace godwit::workflow {

struct HeadObjectRow {
  std::string kind;
  std::string schema_name;
  std::string object_name;
  std::string fingerprint;  // of the statement that makes it
  std::string state;
};

std::string to_string(const HeadObjectRow& row);  // table `shop`.`orders`

class HeadRecord {
 public:
  HeadRecord(db::Connection& head, std::string workflow) : db_(head), workflow_(std::move(workflow)) {}

  static bool exists(db::Connection& head);
  void create();
  std::vector<HeadObjectRow> all();  // in the order in which they were begun
  std::optional<HeadObjectRow> find(const HeadObjectRow& like);
  void begin(const HeadObjectRow& row);
  void finish(const HeadObjectRow& row);
  void forget(const HeadObjectRow& row);
  void forget_all();
  void drop_unused();  // the schema, where no workflow has anything left

 private:
  std::string where(const HeadObjectRow& row) const;
  db::Connection& db_;
  const std::string workflow_;
};

bool is_on_head(db::Connection& head, const HeadObjectRow& row);
bool is_spider_table(db::Connection& head, const HeadObjectRow& row);
// Nothing of a schema that holds anything, and of a table that is no Spider table: it is not what was made. False: it was left.
bool drop_from_head(db::Connection& head, const HeadObjectRow& row);

}  // namespace godwit::workflow
