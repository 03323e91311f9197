#include "godwit/copy/ledger.h"

#include <fmt/format.h>

#include <map>

#include "godwit/sql/quote.h"
#include "godwit/util/error.h"

namespace godwit::copy {
namespace {

[[noreturn]] void incomplete(const TableName& table, std::string cause) {
  throw Error(Code::copy_incomplete,
              {.object = sql::quote_table(table.schema, table.name),
               .cause = std::move(cause),
               .remedy = "this must not happen: keep _godwit.copy_chunk for a report, then cancel and copy again"});
}

}  // namespace

void prove_complete(const TableName& table, const std::vector<Chunk>& chunks) {
  // Each chunk leads from its lower bound to its upper one; followed from the beginning, they must pass through all of
  // them and come to the end.
  std::map<std::string, const Chunk*> by_lower;
  for (const auto& chunk : chunks) {
    if (!chunk.is_done) incomplete(table, fmt::format("chunk {} is not done", chunk.number));
    if (!by_lower.emplace(to_text(chunk.range.lower), &chunk).second) {
      incomplete(table, fmt::format("two chunks begin at {}", to_text(chunk.range.lower)));
    }
  }
  std::string at;
  std::size_t passed = 0;
  do {
    const auto found = by_lower.find(at);
    if (found == by_lower.end()) incomplete(table, fmt::format("no chunk begins at {}", at));
    at = to_text(found->second->range.upper);
    ++passed;
  } while (!at.empty() && passed <= chunks.size());
  if (passed != chunks.size()) {
    incomplete(table, fmt::format("the way from end to end passes {} of {} chunks", passed, chunks.size()));
  }
}

}  // namespace godwit::copy
