// Each rule was tried on the servers; test/live/fidelity_test.cpp holds them to it.
#include <fmt/format.h>

#include <algorithm>

#include "godwit/catalog/ddl.h"
#include "godwit/sql/quote.h"
#include "godwit/util/error.h"
#include "godwit/util/text.h"
#include "translate.h"

namespace godwit::catalog {
namespace {

bool is_one_of(std::string_view type, std::initializer_list<std::string_view> types) {
  return std::find(types.begin(), types.end(), type) != types.end();
}

bool is_text(const Column& column) {
  return is_one_of(column.data_type, {"char", "varchar", "tinytext", "text", "mediumtext", "longtext"});
}

// utf8 is MariaDB's older name of utf8mb3.
bool are_same_charset(const std::string& a, const std::string& b) {
  const auto canonical = [](const std::string& name) { return name == "utf8" ? std::string("utf8mb3") : name; };
  return canonical(a) == canonical(b);
}

// DDL on the source may be ahead of the target.
void require_column(const Table& target, const Column& column) {
  const bool is_there = std::any_of(target.columns.begin(), target.columns.end(), [&](const Column& c) { return equals_ignoring_case(c.name, column.name); });
  if (is_there) return;
  const std::string object = sql::quote_table(target.schema, target.name);
  throw Error(Code::schema_differs,
              {.object = object,
               .cause = fmt::format("it has no column {}, which the source's table has", sql::quote_identifier(column.name)),
               .remedy = fmt::format("ALTER TABLE {} ADD COLUMN {} {} … as on the source, then the same command", object, sql::quote_identifier(column.name), column.column_type)});
}

Transfer transfer_of(const Column& source, const Column& target) {
  const std::string name = sql::quote_identifier(source.name);
  Transfer transfer{.column = source.name, .select = name, .set_expression = {}};
  const std::string& type = source.data_type;
  if (type == "float" || (type == "double" && source.column_type.find('(') != std::string::npos)) {
    // As DOUBLE, whose text has 17 digits; by multiplication, since -0 + 0 is 0.
    transfer.select = name + "*1e0";
  } else if (type == "bit") {
    transfer.select = name + "+0";
    transfer.set_expression = "CAST({v} AS UNSIGNED)";
  } else if (is_one_of(type, {"enum", "set"})) {
    // By number: neither the members' charset nor an index 0 has a text that says which it is.
    transfer.select = "CAST(" + name + " AS UNSIGNED)";  // +0 would be a DOUBLE, which has not 64 bits
    transfer.set_expression = "CAST({v} AS UNSIGNED)";
    transfer.does_zero_warn = type == "enum";
  } else if (target.data_type == "json") {
    transfer.set_expression = "CONVERT({v} USING utf8mb4)";  // JSON takes no binary strings
  } else if (is_one_of(target.data_type, {"uuid", "inet6", "inet4"})) {
    transfer.set_expression = "CONVERT({v} USING latin1)";  // a binary string would be the raw value
  } else if (is_text(source) && is_text(target) && !are_same_charset(source.charset, target.charset)) {
    transfer.set_expression = fmt::format("CONVERT({{v}} USING {})", source.charset);  // names the bytes; storing converts
  }
  return transfer;
}

}  // namespace

std::vector<Transfer> transfers(const Table& source_table, const Table& target_table, const DdlOptions&) {
  std::vector<Transfer> result;
  bool has_expression = false;
  for (const auto& column : source_table.columns) {
    if (!column.is_writable()) continue;
    require_column(target_table, column);
    result.push_back(transfer_of(column, target_table.column(column.name)));
    has_expression = has_expression || !result.back().set_expression.empty();
  }
  if (!has_expression) return result;
  // MariaDB (10.11.19 and others): a LOAD DATA with a SET clause gives an AUTO_INCREMENT column that is loaded directly a new
  // value where the file says 0, whatever the sql_mode. Assigned by the same clause it keeps its 0.
  for (auto& transfer : result) {
    if (transfer.set_expression.empty() && source_table.column(transfer.column).is_auto_increment) transfer.set_expression = "{v}";
  }
  return result;
}

std::vector<Issue> compare_tables(const Table& source_table, const Table& target_table, const DdlOptions& options) {
  std::vector<Issue> issues;
  const std::string object = sql::quote_table(target_table.schema, target_table.name);
  const auto refuse = [&](std::string cause, std::string remedy) {
    issues.push_back({Severity::blocker, Code::schema_differs, object, std::move(cause), std::move(remedy)});
  };
  for (const auto& column : source_table.columns) {
    if (!column.is_writable()) continue;
    const auto found = std::find_if(target_table.columns.begin(), target_table.columns.end(), [&](const Column& c) {
      return equals_ignoring_case(c.name, column.name);
    });
    if (found == target_table.columns.end()) {
      refuse(fmt::format("it has no column {}", sql::quote_identifier(column.name)),
             fmt::format("ALTER TABLE {} ADD COLUMN {} {}", object, sql::quote_identifier(column.name), column.column_type));
      continue;
    }
    if (!found->is_writable()) {
      refuse(fmt::format("column {} is generated there", sql::quote_identifier(column.name)), "make it an ordinary column");
    }
    const bool are_members_other = is_one_of(column.data_type, {"enum", "set"}) && found->column_type != column.column_type;
    if (are_members_other) {
      refuse(fmt::format("column {} is {} there, {} on the source",
                         sql::quote_identifier(column.name),
                         found->column_type,
                         column.column_type),
             fmt::format("ALTER TABLE {} MODIFY {} {}", object, sql::quote_identifier(column.name), column.column_type));
    }
    if (column.is_nullable && !found->is_nullable) {
      refuse(fmt::format("column {} takes no NULL there", sql::quote_identifier(column.name)),
             "allow NULL in it for the time of the migration");
    }
  }
  for (const auto& column : target_table.columns) {
    const bool is_known = std::any_of(source_table.columns.begin(), source_table.columns.end(), [&](const Column& c) {
      return equals_ignoring_case(c.name, column.name);
    });
    if (!is_known && column.is_writable() && !column.is_nullable && !column.is_auto_increment) {
      refuse(fmt::format("it has a column {} that the source lacks", sql::quote_identifier(column.name)),
             "drop it, or let it be NULL");
    }
  }
  const Key* key = row_key(source_table);
  const Key* target_key = row_key(target_table);
  const auto columns_of = [](const Key& k) {
    std::vector<std::string> names;
    for (const auto& part : k.parts) names.push_back(lower(part.column));
    return names;
  };
  if (key != nullptr && (target_key == nullptr || columns_of(*key) != columns_of(*target_key))) {
    refuse(fmt::format("its key is not the source's {} ({})", key->name, join(columns_of(*key), ", ")),
           "give it the same primary key");
  }
  static_cast<void>(options);
  return issues;
}

}  // namespace godwit::catalog
