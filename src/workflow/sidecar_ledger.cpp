#include "sidecar_ledger.h"

#include "godwit/util/failpoint.h"

namespace godwit::workflow {
namespace {

state::ChunkRow to_row(const copy::Chunk& chunk) {
  return {.number = chunk.number,
          .lower = copy::to_text(chunk.range.lower),
          .upper = copy::to_text(chunk.range.upper),
          .state = chunk.is_done ? "done" : "pending",
          .is_planned = chunk.is_planned,
          .rows = chunk.rows,
          .bytes = chunk.bytes};
}

copy::Chunk from_row(const state::ChunkRow& row) {
  return {.number = row.number,
          .range = {.lower = copy::bound_from_text(row.lower), .upper = copy::bound_from_text(row.upper)},
          .is_done = row.state == "done",
          .is_planned = row.is_planned,
          .rows = row.rows,
          .bytes = row.bytes};
}

std::vector<state::ChunkRow> to_rows(const std::vector<copy::Chunk>& chunks) {
  std::vector<state::ChunkRow> rows;
  for (const auto& chunk : chunks) rows.push_back(to_row(chunk));
  return rows;
}

}  // namespace

std::vector<copy::Chunk> SidecarLedger::chunks(const copy::TableName& table) {
  std::vector<copy::Chunk> result;
  std::lock_guard lock(mutex_);
  use([&](db::Connection& connection) {
    result.clear();
    for (const auto& row : state::Sidecar(connection).chunks(stream_, table.schema, table.name)) {
      result.push_back(from_row(row));
    }
  });
  return result;
}

void SidecarLedger::plan(const copy::TableName& table, const std::vector<copy::Chunk>& chunks) {
  guarded([&](state::Sidecar& sidecar) { sidecar.add_chunks(stream_, table.schema, table.name, to_rows(chunks)); });
}

bool SidecarLedger::begin_chunk(db::Connection& writer, const copy::TableName& table, const copy::Chunk& chunk) {
  return state::Sidecar(writer).lock_pending_chunk(stream_, table.schema, table.name, chunk.number);
}

void SidecarLedger::commit_chunk(db::Connection& writer, const copy::TableName& table, const copy::Chunk& done,
                                 const std::vector<copy::Chunk>& rest) {
  state::Sidecar sidecar(writer);
  sidecar.guard(stream_, epoch_);
  sidecar.finish_chunk(stream_, table.schema, table.name, to_row(done));
  sidecar.add_chunks(stream_, table.schema, table.name, to_rows(rest));
}

// The chunks were proved to be the whole table: one row says as much, and a table of any size leaves one (I11).
void SidecarLedger::finish_table(const copy::TableName& table, std::uint64_t rows, std::uint64_t bytes,
                                 std::uint64_t copy_ms) {
  guarded([&](state::Sidecar& sidecar) {
    const copy::Chunk whole{.number = 1, .range = {}, .is_done = true, .is_planned = true, .rows = rows, .bytes = bytes};
    sidecar.replace_chunks(stream_, table.schema, table.name, {to_row(whole)});
    sidecar.set_table_state(stream_,
                            {.source_schema = table.schema,
                             .source_table = table.name,
                             .state = "copied",
                             .rows = rows,
                             .bytes = bytes,
                             .copy_ms = copy_ms});
  });
  failpoint(Fp::copy_table_proved);
}

}  // namespace godwit::workflow
