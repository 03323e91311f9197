#include "prepared.h"

#include <algorithm>

#include "godwit/sql/quote.h"
#include "godwit/util/error.h"

namespace godwit::apply {
namespace {

constexpr std::size_t kLengthBytes = 4;

void put(std::string& out, std::string_view text) {
  for (std::size_t i = 0; i < kLengthBytes; ++i) out.push_back(static_cast<char>(text.size() >> (8 * i) & 0xff));
  out += text;
}

std::string take(std::string_view& in) {
  const auto corrupt = [] {
    throw Error(Code::event_corrupt, {.object = "_godwit.prepared_xa", .cause = "a stored change is cut short", .remedy = "godwit cancel, and copy again"});
  };
  if (in.size() < kLengthBytes) corrupt();
  std::size_t size = 0;
  for (std::size_t i = 0; i < kLengthBytes; ++i) size |= std::size_t{static_cast<unsigned char>(in[i])} << (8 * i);
  in.remove_prefix(kLengthBytes);
  if (in.size() < size) corrupt();
  std::string text(in.substr(0, size));
  in.remove_prefix(size);
  return text;
}

std::string flags_of(const Change& change) {
  return {static_cast<char>('0' + static_cast<int>(change.kind)), change.is_full ? 'f' : '-', change.moves_key ? 'k' : '-',
          change.moves_unique ? 'u' : '-', change.is_elsewhere ? 'e' : '-'};
}

}  // namespace

std::string serialize(const std::vector<Change>& changes) {
  std::string out;
  for (const auto& change : changes) {
    put(out, change.table->source_schema);
    put(out, change.table->source_table);
    put(out, flags_of(change));
    for (const auto* text : {&change.old_key, &change.new_key, &change.values, &change.columns, &change.assignments, &change.old_row, &change.cascades}) put(out, *text);
  }
  return out;
}

std::vector<Change> deserialize(std::string_view bytes, const std::vector<TableBinding>& bindings) {
  std::vector<Change> changes;
  while (!bytes.empty()) {
    const std::string schema = take(bytes);
    const std::string table = take(bytes);
    const auto binding = std::find_if(bindings.begin(), bindings.end(), [&](const TableBinding& b) { return b.source_schema == schema && b.source_table == table; });
    if (binding == bindings.end()) {
      throw Error(Code::schema_misfit,
                  {.object = sql::quote_table(schema, table),
                   .cause = "a prepared XA transaction changed it, and it is not migrated any more",
                   .remedy = "godwit cancel, and copy again"});
    }
    const std::string flags = take(bytes);
    if (flags.size() < 4) throw Error(Code::event_corrupt, {.object = "_godwit.prepared_xa", .cause = "a stored change has no flags", .remedy = "godwit cancel, and copy again"});
    Change change{.table = &*binding,
                  .kind = static_cast<ChangeKind>(flags[0] - '0'),
                  .is_full = flags[1] == 'f',
                  .moves_key = flags[2] == 'k',
                  .moves_unique = flags[3] == 'u',
                  .is_elsewhere = flags.size() > 4 && flags[4] == 'e'};
    for (auto* text : {&change.old_key, &change.new_key, &change.values, &change.columns, &change.assignments, &change.old_row, &change.cascades}) *text = take(bytes);
    changes.push_back(std::move(change));
  }
  return changes;
}

}  // namespace godwit::apply
