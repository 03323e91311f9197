// The text of a client's statement, as the proxy looks at it: whatever the bytes are, nothing is read beyond them, and what is found lies in them.
#include <cstdlib>

#include "godwit/routing/diagnostics.h"
#include "godwit/routing/hints.h"
#include "godwit/routing/text_statements.h"
#include "godwit/routing/user_locks.h"

using namespace godwit::routing;

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

void check_hints(std::string_view sql, const HintOptions& options) {
  const Hints hints = hints_of(sql, options);
  require(hints.kill.offset + hints.kill.size <= sql.size());
  require(hints.kill.size == 0 || sql[hints.kill.offset] - '0' <= 9);
  require(hints.kill.size == 0 || hints.has(Hint::kills));
  require(options.bytes_max >= sql.size() || hints.kill.offset + hints.kill.size <= options.bytes_max);
}

void check_diagnostics(std::string_view sql) {
  const auto question = asks_for_diagnostics(sql);
  if (!question) return;
  require(may_read_diagnostics(sql));
  Diagnostics diagnostics{.found_rows = 3, .warnings = {{"Error", "1", "one"}}};
  require(!answer(*question, Flavour::mysql, diagnostics).rows.columns.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view sql(reinterpret_cast<const char*>(data), size);
  for (const bool is_first : {true, false}) {
    check_hints(sql, {.has_backslash_escapes = is_first, .looks_for_user_locks = is_first, .takes_several_statements = !is_first, .bytes_max = is_first ? 4096u : 16u});
    TextStatements statements;
    if (const auto prepare = text_prepare_of(sql, is_first)) statements.ran(*prepare, sql, {});
    UserLocks locks;
    locks.saw(sql, is_first);
    for (const auto& name : locks.names()) require(name.size() >= 2 && name.front() == '\'');
  }
  temporary_table_of(sql);
  check_diagnostics(sql);
  return 0;
}
