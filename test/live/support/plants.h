// Puts differences into the tables of a target: one in each kind of change that a column's type allows, each in a row of its own, and keeps
// book of what a comparison must report. What the server makes of a value is read back: a change that it ignored is no plant.
#pragma once

#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "servers.h"

namespace godwit::test {

// A difference as vdiff has to name it. Rows that are missing or extra have no columns here.
struct Difference {
  std::string table;
  std::string kind;
  std::string key;  // as people read it: id = 5
  std::set<std::string> columns;
  bool operator<(const Difference& other) const { return std::tie(table, kind, key, columns) < std::tie(other.table, other.kind, other.key, other.columns); }
  bool operator==(const Difference& other) const { return std::tie(table, kind, key, columns) == std::tie(other.table, other.kind, other.key, other.columns); }
};
std::string to_string(const Difference& difference);

struct PlantedColumn {
  std::string name;
  std::string type;         // of the target
  std::string source_type;  // JSON is compared as such when one side has it
  std::string column_type;
  std::string charset;
  bool is_nullable = false;
  bool is_generated = false;
  bool is_key = false;
  unsigned long long length_max = 0;  // characters
  unsigned precision = 0;             // of fractions of a second
  unsigned scale = 0;
};

// One way to change a value; {c} is the column.
struct Change {
  std::string what;
  std::string where;  // of which values it makes sense
  std::string value;
  bool is_optional = false;  // no row need have such a value
};

class Planter {
 public:
  Planter(const Server& source, const Server& target, std::string schema);

  // Every change of every column of these tables, of those that have a key; or only each so many.
  void plant_everywhere(const std::vector<std::string>& tables, unsigned each = 1);

  const std::set<Difference>& planted() const { return planted_; }
  std::size_t changes() const { return changes_; }
  // Changes that no row took, though rows have such values: there are too few.
  const std::vector<std::string>& unplanted() const { return unplanted_; }

 private:
  struct Row {
    std::vector<std::string> identity;  // hexadecimal, by key column
    Cells raw;                          // the key as people read it
  };
  std::vector<PlantedColumn> columns_of(const std::string& table);
  std::vector<Row> rows_of(const std::string& table, const std::string& where);
  Cells cells(const std::string& table, const Row& row);
  std::string is_row(const Row& row) const;
  std::string is_equal_to(const Row& row) const;
  std::string shown_key(const Row& row) const;
  bool plant(const std::string& table, const PlantedColumn& column, const Change& change);
  bool is_changed(const std::string& table, const PlantedColumn& column, const Change& change, const Row& row);
  bool change_row(const std::string& table, const PlantedColumn& column, const Change& change, const Row& row);
  std::vector<std::pair<PlantedColumn, Change>> changes_of(const std::string& table);
  std::vector<Change> changes_of(const PlantedColumn& column) const;

  Client source_;
  Client target_;
  const std::string schema_;
  const bool is_mariadb_;
  const bool keeps_minus_zero_;
  std::vector<PlantedColumn> columns_;       // of the table that is at work
  std::vector<PlantedColumn> key_;
  std::set<std::vector<std::string>> used_;  // rows of it
  std::set<Difference> planted_;
  std::vector<std::string> unplanted_;
  bool is_refused_ = false;  // by a CHECK, which MySQL does not leave out: no such value can be there
  std::size_t changes_ = 0;
};

// Makes room for plants: as many rows again, `times` over, in every table whose key is one integer.
void multiply_rows(Client& source, const std::string& schema, unsigned times);

}  // namespace godwit::test
