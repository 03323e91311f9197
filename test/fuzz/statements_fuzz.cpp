// [options u8][text]: what the proxy reads out of statements. Places it names lie within the text, and an id is what its digits say.
#include <string>

#include "godwit/routing/diagnostics.h"
#include "godwit/routing/hints.h"
#include "godwit/routing/text_statements.h"
#include "input.h"

using namespace godwit;
using fuzz::demand;

namespace {

void hints(std::string_view sql, std::uint8_t options) {
  const auto found = routing::hints_of(sql, {.has_backslash_escapes = (options & 1) != 0,
                                             .looks_for_user_locks = (options & 2) != 0,
                                             .takes_several_statements = (options & 4) != 0,
                                             .bytes_max = (options & 8) != 0 ? 4096U : 64U});
  if (!found.has(routing::Hint::kills)) return;
  demand(found.kill.size > 0 && found.kill.offset <= sql.size() && found.kill.size <= sql.size() - found.kill.offset);
  std::uint64_t id = 0;
  for (const char digit : sql.substr(found.kill.offset, found.kill.size)) {
    demand(digit >= '0' && digit <= '9');
    id = id * 10 + static_cast<std::uint64_t>(digit - '0');
  }
  demand(id == found.kill.id);
}

void text_statements(std::string_view sql, bool has_backslash_escapes) {
  const auto prepare = routing::text_prepare_of(sql, has_backslash_escapes);
  if (!prepare) return;
  routing::TextStatements statements;
  statements.ran(*prepare, sql, {});
  statements.ran(*prepare, sql, {});
  demand(statements.all().size() <= 1);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input in(data, size);
  const std::uint8_t options = in.u8();
  const std::string sql(in.rest());
  hints(sql, options);
  text_statements(sql, (options & 1) != 0);
  if (const auto question = routing::asks_for_diagnostics(sql)) {
    for (const auto flavour : {routing::Flavour::mysql, routing::Flavour::mariadb}) {
      routing::Diagnostics diagnostics;
      const auto answer = routing::answer(*question, flavour, diagnostics);
      demand(!answer.rows.columns.empty());
    }
  }
  routing::may_read_diagnostics(sql);
  return 0;
}
