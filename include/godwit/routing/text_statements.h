// Statements prepared as text (PREPARE name FROM …), which a session has by name. MySQL can list them, MariaDB can not: they are kept
// as they were seen. Pure; one thread at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "godwit/routing/census.h"

namespace godwit::routing {

struct TextPrepare {
  enum class Action { prepare, deallocate, execute, execute_immediate };
  enum class Source { none, literal, user_variable, expression };
  Action action = Action::prepare;
  Source source = Source::none;
  std::string name;           // without quotes, as written
  std::string source_text;    // the literal with its quotes, @name, or the expression
};
// What a PREPARE, DEALLOCATE, EXECUTE or EXECUTE IMMEDIATE says; nothing for any other statement.
std::optional<TextPrepare> text_prepare_of(std::string_view sql, bool has_backslash_escapes = true);

// The table of a CREATE [OR REPLACE] TEMPORARY TABLE, quoted as `schema`.`table` or `table`; nothing for any other statement.
std::optional<std::string> temporary_table_of(std::string_view sql);

struct TextStatement {
  std::string name;
  std::string sql;         // the whole PREPARE as the client sent it; empty when its source is not a literal
  PrepareContext context;
  bool operator==(const TextStatement&) const = default;
};

class TextStatements {
 public:
  // After the server took it.
  void ran(const TextPrepare& prepare, std::string_view sql, const PrepareContext& context);
  // MySQL knows texts that were not literals (census.h): fills in what is missing, as far as it is whole.
  void complete(const std::vector<NamedStatement>& known);
  void clear();
  const std::vector<TextStatement>& all() const { return statements_; }
  unsigned prepares() const { return prepares_; }
  unsigned deallocates() const { return deallocates_; }

 private:
  std::vector<TextStatement> statements_;
  unsigned prepares_ = 0;
  unsigned deallocates_ = 0;
};

}  // namespace godwit::routing
