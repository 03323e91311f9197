// Which shards there are, and which of them a row belongs to. Parsed from flags; immutable; any thread. docs/sharding.md is about it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "godwit/catalog/catalog.h"
#include "godwit/db/dsn.h"
#include "godwit/shard/key_range.h"
#include "godwit/shard/partition.h"
#include "godwit/shard/vindex.h"

namespace godwit::shard {

struct Shard {
  KeyRange range;
  db::Dsn dsn;
};

enum class PlacementKind : std::uint8_t {
  vindex,     // by the keyspace id of some columns
  partition,  // by the partition of a column: that of number i is the shard of number i
  reference,  // every row on every shard
  unsharded,  // every row on the first shard
};

// What the operator said of one table.
struct Placement {
  PlacementKind kind = PlacementKind::vindex;
  std::string flag;    // and how: "--vindex orders.customer_id=hash"
  std::string schema;  // of the source; empty: any
  std::string table;
  std::vector<std::string> columns;
  Vindex vindex;
  Scheme scheme;
};

struct Layout {
  std::vector<Shard> shards;  // by their ranges: number 0 begins the key space
  std::vector<Placement> placements;
};

struct LayoutOptions {
  std::vector<std::string> shards;      // RANGE=DSN
  std::vector<std::string> vindexes;    // TABLE.COLUMN[,COLUMN]=FUNCTION[(PARAMETER=VALUE;…)]
  std::vector<std::string> partitions;  // TABLE=HASH(COLUMN), TABLE=RANGE(COLUMN) …, TABLE=LIST(COLUMN) …
  std::vector<std::string> references;  // TABLE, as SCHEMA.TABLE or alone; names may stand in backquotes
  std::vector<std::string> unsharded;
};

// Throws Error: key_range_unreadable, shards_leave_gap, shards_overlap, same_tables (two shards are one database), bad_placement, bad_usage (a DSN).
Layout parse_layout(const LayoutOptions& options);

// What was said of a table, by its names on the source. Nothing: nothing was.
const Placement* find_placement(const Layout& layout, std::string_view schema, std::string_view table);
// Whether a shard has the table at all: one that is unsharded is on the first alone, and so is one of which nothing was said, where that is allowed.
bool has_place(const Layout& layout, const catalog::Table& table, std::size_t shard);
// Whether a row and the row that it refers to are on one shard, whatever is in them.
bool are_colocated(const Layout& layout, const catalog::Table& child, const catalog::ForeignKey& key);

// Of one table's rows.
class Route {
 public:
  // Throws Error(table_unplaced), Error(shard_key_unsuitable). The layout must outlive it.
  Route(const Layout& layout, const catalog::Table& table);

  // The columns whose values say where a row lives, as indexes into the table's columns. Empty: all rows live in one place.
  const std::vector<std::size_t>& columns() const { return columns_; }
  bool is_everywhere() const { return kind_ == PlacementKind::reference; }

  // The number of the shard of the row with those values of columns(); no value is NULL. Of a table that is everywhere: of the first.
  // Throws Error(row_unplaced) for a row that belongs nowhere.
  std::size_t shard_of(std::span<const std::optional<std::string_view>> values) const;
  // Nothing: the table has none, being no table of a vindex; or shard_of() refuses the values.
  std::optional<KeyspaceId> keyspace_id_of(std::span<const std::optional<std::string_view>> values) const;

 private:
  using Values = std::span<const std::optional<std::string_view>>;
  void add_column(const catalog::Table& table, const std::string& name, const Placement& placement);
  std::optional<KeyspaceId> id_of(Values values) const;
  std::size_t shard_of_vindex(Values values) const;
  std::size_t shard_of_partition(Values values) const;
  [[noreturn]] void refuse(Values values, std::string_view why) const;

  const Layout& layout_;
  const Placement* placement_ = nullptr;
  PlacementKind kind_ = PlacementKind::unsharded;
  std::string table_;  // for messages
  std::vector<std::size_t> columns_;
  std::vector<ValueKind> kinds_;
};

// One per table. Also throws Error(bad_placement) for a placement that is of none of them.
std::vector<Route> make_routes(const Layout& layout, std::span<const catalog::Table> tables);

}  // namespace godwit::shard
