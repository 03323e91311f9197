// The canonical forms. test/live/vdiff_types_test.cpp holds them to both promises, on every pair of servers: a difference in any type is seen,
// and what was copied faithfully is equal.
#include "godwit/vdiff/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "godwit/sql/quote.h"
#include "godwit/util/error.h"
#include "godwit/util/text.h"

namespace godwit::vdiff {
namespace {

using catalog::Table;

struct Pair {
  const catalog::Column& source;
  const catalog::Column& target;
  const db::Server& source_server;
  const db::Server& target_server;
  bool is_one_flavour() const { return source_server.flavour == target_server.flavour; }
};

bool is_one_of(std::string_view type, std::initializer_list<std::string_view> types) { return std::find(types.begin(), types.end(), type) != types.end(); }
bool is_integer(const catalog::Column& c) { return is_one_of(c.data_type, {"tinyint", "smallint", "mediumint", "int", "bigint", "year"}); }
bool is_approximate(const catalog::Column& c) { return is_one_of(c.data_type, {"float", "double"}); }
bool is_temporal(const catalog::Column& c) { return is_one_of(c.data_type, {"date", "datetime", "timestamp", "time"}); }
bool is_text(const catalog::Column& c) { return is_one_of(c.data_type, {"char", "varchar", "tinytext", "text", "mediumtext", "longtext"}); }
bool is_binary(const catalog::Column& c) { return is_one_of(c.data_type, {"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"}); }
bool is_list(const catalog::Column& c) { return is_one_of(c.data_type, {"enum", "set"}); }
bool is_address(const catalog::Column& c) { return is_one_of(c.data_type, {"uuid", "inet6", "inet4"}); }
bool is_long(const catalog::Column& c) { return is_one_of(c.data_type, {"mediumtext", "longtext", "mediumblob", "longblob", "json"}) || c.data_type.find("geom") != std::string::npos; }

template <typename Predicate>
bool are_both(const Pair& pair, Predicate is) {
  return is(pair.source) && is(pair.target);
}

// What stands in the parentheses of the type: "10,2" of decimal(10,2).
std::string arguments(const catalog::Column& column) {
  const auto open = column.column_type.find('(');
  const auto close = column.column_type.rfind(')');
  if (open == std::string::npos || close == std::string::npos) return "";
  return column.column_type.substr(open + 1, close - open - 1);
}

std::string scale(const catalog::Column& column) {
  const std::string text = arguments(column);
  const auto comma = text.find(',');
  return comma == std::string::npos ? "0" : text.substr(comma + 1);
}

std::size_t length(const catalog::Column& column) { return static_cast<std::size_t>(parse_u64(arguments(column)).value_or(0)); }

// utf8 is the older name of utf8mb3.
bool is_one_charset(const std::string& a, const std::string& b) {
  const auto canonical = [](const std::string& name) { return name == "utf8" ? std::string("utf8mb3") : name; };
  return canonical(a) == canonical(b);
}

// Digits and commas beside it take one byte each, and their bytes stay.
bool is_written_in_bytes(const std::string& charset) { return is_one_of(charset, {"utf8mb4", "utf8mb3", "utf8", "latin1", "ascii"}); }

// A key of the other side may have a character that this one's charset lacks. The servers refuse to compare it; converted, it is a question
// mark, and whether a row was really spelled so is looked at by bytes.
std::string conversion_to(const catalog::Column& column) {
  if (!is_text(column) || column.charset == "utf8mb4") return "";
  return fmt::format("{}) COLLATE {}", column.charset, column.collation);
}

bool has_zerofill(const catalog::Column& column) { return column.column_type.find("zerofill") != std::string::npos; }

// A MariaDB from 10.11 on stores 0 where -0 is written.
bool keeps_minus_zero(const db::Server& server) { return !server.is_mariadb() || server.version < db::Version{10, 11, 0}; }

struct Form {
  std::string source;
  std::string target;
  Normal normal = Normal::none;
  bool is_plain = false;
  bool can_be_hashed = true;
  bool is_text = false;
};

Form number_form(const Pair& pair) {
  const auto form = [](const catalog::Column& column) {
    const std::string name = sql::quote_identifier(column.name);
    if (column.data_type == "bit" || (is_integer(column) && has_zerofill(column))) return fmt::format("CAST({} AS UNSIGNED)", name);
    return has_zerofill(column) ? name + "+0" : name;
  };
  Form result{.source = form(pair.source), .target = form(pair.target), .is_plain = true};
  if (scale(pair.source) != scale(pair.target) && (pair.source.data_type == "decimal" || pair.target.data_type == "decimal")) result.normal = Normal::decimal;
  return result;
}

// As DOUBLE, whose text has every digit; by multiplication, since -0 + 0 is 0.
Form approximate_form(const Pair& pair) {
  const auto form = [](const catalog::Column& column) { return sql::quote_identifier(column.name) + "*1e0"; };
  Form result{.source = form(pair.source), .target = form(pair.target), .is_plain = true};
  const bool is_one_rendering = pair.is_one_flavour() && keeps_minus_zero(pair.source_server) == keeps_minus_zero(pair.target_server);
  if (!is_one_rendering) result.normal = Normal::number;
  return result;
}

// By number where both know the same members: an index 0 has no text that differs from an empty member's.
Form list_form(const Pair& pair) {
  const bool are_members_equal = pair.source.column_type == pair.target.column_type;
  const auto form = [&](const catalog::Column& column) {
    const std::string name = sql::quote_identifier(column.name);
    if (are_members_equal) return fmt::format("CAST({} AS UNSIGNED)", name);
    return fmt::format("CONCAT(CAST({} AS UNSIGNED) = 0, ':', CONVERT({} USING utf8mb4))", name, name);
  };
  return {.source = form(pair.source), .target = form(pair.target), .is_plain = are_members_equal};
}

Form text_form(const Pair& pair) {
  const bool are_bytes_enough = is_one_charset(pair.source.charset, pair.target.charset);
  const auto form = [&](const catalog::Column& column) {
    const std::string name = sql::quote_identifier(column.name);
    return are_bytes_enough ? name : fmt::format("CONVERT({} USING utf8mb4)", name);
  };
  return {.source = form(pair.source), .target = form(pair.target), .is_text = true};
}

Form json_form(const Pair& pair) {
  const bool are_both_json = pair.source.data_type == "json" && pair.target.data_type == "json";
  const auto form = [&](const catalog::Column& column) { return fmt::format("CONVERT({} USING utf8mb4)", sql::quote_identifier(column.name)); };
  if (are_both_json) return {.source = form(pair.source), .target = form(pair.target), .is_text = true};
  return {.source = form(pair.source), .target = form(pair.target), .normal = Normal::json};
}

// The charset is named: without one, a session of bytes gets the sixteen of a UUID and not its text.
Form address_form(const Pair& pair) {
  const auto form = [](const catalog::Column& column) { return fmt::format("CAST({} AS CHAR CHARACTER SET utf8mb4)", sql::quote_identifier(column.name)); };
  return {.source = form(pair.source), .target = form(pair.target), .is_text = true};
}

Form form_of(const Pair& pair) {
  const std::string source = sql::quote_identifier(pair.source.name);
  const std::string target = sql::quote_identifier(pair.target.name);
  const auto is_number = [](const catalog::Column& c) { return is_integer(c) || c.data_type == "decimal" || c.data_type == "bit"; };
  if (pair.source.data_type == "json" || pair.target.data_type == "json") return json_form(pair);
  if (are_both(pair, is_number)) return number_form(pair);
  if (are_both(pair, is_approximate)) return approximate_form(pair);
  if (are_both(pair, is_list)) return list_form(pair);
  if (are_both(pair, is_text)) return text_form(pair);
  if (are_both(pair, is_temporal)) {
    const bool is_one_precision = arguments(pair.source) == arguments(pair.target);
    return {.source = source, .target = target, .normal = is_one_precision ? Normal::none : Normal::fraction, .is_plain = true};
  }
  if (are_both(pair, is_binary)) {
    const bool is_padded = pair.source.data_type == "binary" && pair.target.data_type == "binary" && arguments(pair.source) != arguments(pair.target);
    return {.source = source, .target = target, .normal = is_padded ? Normal::padding : Normal::none};
  }
  if (is_address(pair.source) || is_address(pair.target)) return address_form(pair);
  // Geometry, VECTOR and what is to come: the bytes as they are stored.
  return {.source = source, .target = target, .can_be_hashed = false};
}

Literal literal_of(const Pair& pair) {
  if (is_list(pair.source)) return Literal::ordinal;
  if (is_text(pair.source)) return Literal::text;
  if (is_binary(pair.source)) return Literal::bytes;
  if (is_temporal(pair.source) || is_address(pair.source)) return Literal::quoted;
  return Literal::number;
}

const catalog::Column* find_column(const Table& table, const std::string& name) {
  const auto found = std::find_if(table.columns.begin(), table.columns.end(), [&](const catalog::Column& c) { return equals_ignoring_case(c.name, name); });
  return found == table.columns.end() ? nullptr : &*found;
}

// A key of the table over just these columns, in their order: to be read along.
std::string index_over(const Table& table, const std::vector<std::string>& names) {
  for (const auto& key : table.keys) {
    const bool is_tree = key.index_type == "BTREE" && !key.is_hash;
    const auto is_same = [](const catalog::KeyPart& part, const std::string& name) { return !part.prefix_length && equals_ignoring_case(part.column, name); };
    if (is_tree && key.is_unique && std::equal(key.parts.begin(), key.parts.end(), names.begin(), names.end(), is_same)) return key.name;
  }
  return "";
}

const catalog::Column& counterpart(const Table& target, const catalog::Column& column) {
  if (const auto* found = find_column(target, column.name)) return *found;
  throw Error(Code::schema_differs,
              {.object = sql::quote_table(target.schema, target.name),
               .cause = fmt::format("it has no column {}, which the source's table has", sql::quote_identifier(column.name)),
               .remedy = "add it there, as on the source"});
}

class Planner {
 public:
  Planner(const Table& source, const Table& target, const db::Server& source_server, const db::Server& target_server, const PlanOptions& options)
      : source_(source), target_(target), source_server_(source_server), target_server_(target_server), options_(options) {}

  TablePlan plan() {
    plan_ = {.source_schema = source_.schema, .source_table = source_.name, .target_schema = target_.schema, .target_table = target_.name};
    plan_.rows_estimate = source_.rows_estimate;
    plan_.row_bytes_avg = source_.row_bytes_avg;
    plan_.is_hashed = !options_.never_hash;
    plan_.is_hash_whole = !source_server_.is_mariadb() && !target_server_.is_mariadb();
    const catalog::Key* key = catalog::row_key(source_);
    for (const auto& column : source_.columns) {
      const bool is_in_key = key != nullptr && std::any_of(key->parts.begin(), key->parts.end(), [&](const catalog::KeyPart& p) { return p.column == column.name; });
      if (!options_.only_keys || is_in_key || key == nullptr) add({column, counterpart(target_, column), source_server_, target_server_});
    }
    for (const auto& column : target_.columns) {
      if (find_column(source_, column.name) == nullptr) plan_.left_out.push_back(column.name);
    }
    if (key != nullptr) add_key(*key);
    if (plan_.key.empty()) {
      plan_.is_hashed = false;
      plan_.why_streamed = "it has no key";
    }
    return std::move(plan_);
  }

 private:
  void add(const Pair& pair) {
    const Form form = form_of(pair);
    plan_.columns.push_back({.name = pair.source.name,
                             .target_name = pair.target.name,
                             .source_form = form.source,
                             .target_form = form.target,
                             .normal = form.normal,
                             .is_plain = form.is_plain,
                             .is_text = form.is_text,
                             .is_nullable = pair.source.is_nullable || pair.target.is_nullable,
                             .folds_minus_zero = !keeps_minus_zero(source_server_) || !keeps_minus_zero(target_server_)});
    if (form.is_text) note_charset(pair);
    plan_.may_exceed_packet = plan_.may_exceed_packet || is_long(pair.source) || is_long(pair.target);
    if (plan_.is_hashed && (form.normal != Normal::none || !form.can_be_hashed)) {
      plan_.is_hashed = false;
      plan_.why_streamed = fmt::format("column {} ({})", sql::quote_identifier(pair.source.name), pair.source.column_type);
    }
  }

  void note_charset(const Pair& pair) {
    for (const auto* column : {&pair.source, &pair.target}) {
      const std::string charset = column->charset.empty() ? "utf8mb4" : column->charset;  // of JSON and addresses, as they are read
      if (first_charset_.empty()) first_charset_ = charset;
      plan_.has_charsets = plan_.has_charsets || !is_one_charset(charset, first_charset_) || !is_written_in_bytes(charset);
    }
  }

  void add_key(const catalog::Key& key) {
    std::vector<std::string> names;
    plan_.are_ranges_exact = true;
    for (const auto& part : key.parts) {
      names.push_back(part.column);
      const auto at = std::find_if(plan_.columns.begin(), plan_.columns.end(), [&](const Column& c) { return c.name == part.column; });
      GODWIT_CHECK(at != plan_.columns.end());
      const catalog::Column& source = source_.column(part.column);
      const catalog::Column& target = counterpart(target_, source);
      const Pair pair{source, target, source_server_, target_server_};
      const Literal literal = literal_of(pair);
      const bool are_bytes_enough = is_one_charset(source.charset, target.charset);
      plan_.key.push_back({.column = static_cast<std::size_t>(at - plan_.columns.begin()),
                           .literal = literal,
                           .source_charset = are_bytes_enough ? source.charset : "utf8mb4",
                           .target_charset = are_bytes_enough ? target.charset : "utf8mb4",
                           .source_conversion = are_bytes_enough ? "" : conversion_to(source),
                           .target_conversion = are_bytes_enough ? "" : conversion_to(target),
                           .source_length = at->normal == Normal::padding ? length(source) : 0,
                           .target_length = at->normal == Normal::padding ? length(target) : 0});
      const bool is_exact = literal == Literal::number || literal == Literal::bytes || (literal == Literal::quoted && is_temporal(source)) ||
                            (literal == Literal::ordinal && at->is_plain);
      plan_.are_ranges_exact = plan_.are_ranges_exact && is_exact;
    }
    const catalog::Column& first = source_.column(names[0]);
    plan_.is_key_integer = names.size() == 1 && is_integer(first) && is_integer(counterpart(target_, first)) && !has_zerofill(first);
    plan_.source_index = index_over(source_, names);
    plan_.target_index = index_over(target_, names);
  }

  const Table& source_;
  const Table& target_;
  const db::Server& source_server_;
  const db::Server& target_server_;
  const PlanOptions& options_;
  TablePlan plan_;
  std::string first_charset_;  // of its texts
};

}  // namespace

TablePlan plan_table(const Table& source, const Table& target, const db::Server& source_server, const db::Server& target_server, const PlanOptions& options) {
  return Planner(source, target, source_server, target_server, options).plan();
}

void place(TablePlan& plan, const Placing& placing, const Table& source, const Table& target) {
  if (placing.route.is_everywhere()) plan.spread = Spread::everywhere;
  if (placing.route.columns().empty()) return;
  plan.spread = Spread::by_key;
  plan.route = &placing.route;
  for (const std::size_t index : placing.route.columns()) {
    const catalog::Column& column = placing.routed.columns[index];
    plan.route_columns.push_back({.source_name = counterpart(source, column).name, .target_name = counterpart(target, column).name});
  }
}

}  // namespace godwit::vdiff
