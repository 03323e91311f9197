// The first question after a move for what cannot be set on a new server (SHOW WARNINGS, FOUND_ROWS(), ROW_COUNT(), …) is answered
// from what the old one said. Pure; any thread.
#pragma once

#include <optional>
#include <string_view>

#include "godwit/routing/session_state.h"

namespace godwit::routing {

enum class Question {
  show_warnings,
  show_errors,
  count_warnings,        // SHOW COUNT(*) WARNINGS
  count_errors,
  found_rows,            // SELECT FOUND_ROWS()
  row_count,
  warning_count,         // SELECT @@warning_count
  error_count,
};

struct DiagnosticQuestion {
  Question question = Question::show_warnings;
  std::string_view column;  // the column's name: as the client wrote the expression, or its alias
  std::uint64_t offset = 0;  // SHOW WARNINGS LIMIT offset, count
  std::uint64_t count = ~std::uint64_t{0};
};

// Nothing unless the whole statement is such a question and nothing else.
std::optional<DiagnosticQuestion> asks_for_diagnostics(std::string_view sql);

struct Answer {
  db::Rows rows;
  unsigned warnings = 0;  // of the answer itself: MySQL warns of FOUND_ROWS()
};

// The rows, and what the question itself does to the answers of the next ones. Types of the columns: numbers are BIGINT, Level is
// VARCHAR(7), Code INT UNSIGNED (MySQL) or INT(4) (MariaDB), Message VARCHAR(512).
Answer answer(const DiagnosticQuestion& question, Flavour flavour, Diagnostics& diagnostics);

// MariaDB: what a statement leaves of the warnings before it, when it succeeds without one of its own. It clears them if it uses a table, when it is prepared
// too; all that is not known for sure to use none is taken to.
bool uses_tables(std::string_view sql);

// Whether a statement reads diagnostics in some other way (GET DIAGNOSTICS, FOUND_ROWS() within an expression): the session should
// not be moved between the statement before it and this one.
bool may_read_diagnostics(std::string_view sql);

}  // namespace godwit::routing
