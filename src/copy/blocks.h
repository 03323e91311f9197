// The rows of one chunk as blocks, each rendered in the form of the statement that will write it. One thread. Private to copy.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "godwit/copy/copier.h"
#include "godwit/db/connection.h"
#include "render.h"

namespace godwit::copy {

enum class RowForm {
  bulk,    // a prepared INSERT takes a block. MariaDB only: the least work for the server, and no AUTO-INC lock, which LOAD DATA holds to its end
  load,    // LOAD DATA takes consecutive blocks; a row may go on from one to the next
  values,  // an INSERT takes a block
};

// What the target's session allows, and the operator.
struct Means {
  bool can_bulk = false;
  bool can_load = false;
  bool can_load_counting = true;  // false: LOAD DATA would hold the AUTO-INC lock of a table that counts (ChunkWriter::means_of says why that matters)
  std::size_t block_bytes = 0;
  std::size_t row_bytes_max = 0;  // of a row that is sent whole where it could go by LOAD DATA, which takes it in slices
};

// By which a table's rows go, all but the long ones.
RowForm row_form(const TableTask& task, const Means& means);

struct Block {
  RowForm form = RowForm::values;
  std::string data;
  std::uint64_t zero_members = 0;  // ENUM values 0, each of which counts as a warning
};

class Blocks {
 public:
  Blocks(const TableTask& task, const Means& means, std::function<void(Block)> take);
  void add(db::Row row);
  void finish();  // gives out what is left

 private:
  RowForm form_of(db::Row row) const;
  void append(db::Row row);
  void give();

  const Means means_;
  const bool can_load_;
  const RowForm form_;
  const ValuesRenderer values_;
  const std::function<void(Block)> take_;
  std::vector<std::size_t> zero_columns_;
  Block block_;
};

}  // namespace godwit::copy
