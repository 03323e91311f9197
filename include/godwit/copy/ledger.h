// Where copy records its chunks, so that it may know neither the sidecar nor SQLite. Implemented by workflow.
// Any thread; calls that take a connection run on it, inside the caller's transaction.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "godwit/copy/key_range.h"
#include "godwit/db/connection.h"

namespace godwit::copy {

struct TableName {  // on the source
  std::string schema;
  std::string name;
  auto operator<=>(const TableName&) const = default;
};

struct Chunk {
  std::uint64_t number = 0;
  KeyRange range;
  bool is_done = false;
  bool is_planned = true;  // false: the rest of a chunk that held more rows than expected
  std::uint64_t rows = 0;
  std::uint64_t bytes = 0;
};

class Ledger {
 public:
  virtual ~Ledger() = default;
  virtual std::vector<Chunk> chunks(const TableName& table) = 0;
  // Records chunks as pending, before any of them is read.
  virtual void plan(const TableName& table, const std::vector<Chunk>& chunks) = 0;
  // First in the transaction that will hold the chunk's rows: locks its record. False when the chunk is not pending: the commit of an earlier attempt
  // arrived, though its answer did not; or a newer process has copied it, and perhaps finished its table.
  virtual bool begin_chunk(db::Connection& writer, const TableName& table, const Chunk& chunk) = 0;
  // Within the transaction that holds the chunk's rows (I1): checks the epoch (I3), marks the chunk done, records what was cut off.
  virtual void commit_chunk(db::Connection& writer, const TableName& table, const Chunk& done,
                            const std::vector<Chunk>& rest) = 0;
  // All chunks are proved contiguous and done (I4).
  virtual void finish_table(const TableName& table, std::uint64_t rows, std::uint64_t bytes,
                            std::uint64_t copy_ms) = 0;
};

// Throws Error(copy_incomplete) unless the chunks are all done and lead, without gap or overlap, from unbounded to unbounded.
void prove_complete(const TableName& table, const std::vector<Chunk>& chunks);

}  // namespace godwit::copy
