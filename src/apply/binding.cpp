#include "godwit/apply/binding.h"

#include <fmt/format.h>

#include <algorithm>

#include "godwit/binlog/json.h"
#include "godwit/sql/quote.h"
#include "godwit/util/error.h"
#include "godwit/util/text.h"

namespace godwit::apply {
namespace {

constexpr std::string_view kPlaceholder = "{v}";

bool is_one_of(std::string_view type, std::initializer_list<std::string_view> types) {
  return std::find(types.begin(), types.end(), type) != types.end();
}

bool is_compared_as_text(std::string_view type) {
  return is_one_of(type, {"date", "time", "datetime", "timestamp", "year", "uuid", "inet6", "inet4", "float", "double"});
}

bool is_text(std::string_view type) {
  return is_one_of(type, {"char", "varchar", "tinytext", "text", "mediumtext", "longtext"});
}
bool is_integer(std::string_view type) {
  return is_one_of(type, {"tinyint", "smallint", "mediumint", "int", "bigint"});
}

LiteralKind literal_kind(std::string_view type) {
  // A member is written by its number: neither its charset nor the error value 0 has a text that says which it is.
  const bool is_bare = is_integer(type) || is_one_of(type, {"decimal", "numeric", "bit", "enum", "set"});
  return is_bare ? LiteralKind::bare : LiteralKind::quoted;
}

std::string key_introducer(const catalog::Column& column, const db::Server& target) {
  if (is_text(column.data_type)) {
    const bool knows_utf8mb3 = !target.is_mariadb() || target.version >= db::Version{10, 6, 0};
    return "_" + (column.charset == "utf8" && knows_utf8mb3 ? std::string("utf8mb3") : column.charset);
  }
  const bool is_bytes = is_one_of(column.data_type, {"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"});
  if (is_bytes || literal_kind(column.data_type) == LiteralKind::bare) return "";
  return "_latin1";  // temporals, UUID, INET6: compared as their text, not as raw bytes
}

// A collation would take another row for this one: texts are compared as bytes where both sides hold the same ones.
void bind_match(BoundColumn& bound, const catalog::Column& column, const catalog::Column& target) {
  bound.match = bound.name;
  bound.match_introducer = bound.key_introducer;
  const auto canonical = [](const std::string& charset) { return charset == "utf8" ? std::string("utf8mb3") : charset; };
  if (target.data_type == "json") {
    bound.match = fmt::format("CAST({} AS CHAR)", bound.name);
    bound.match_introducer = "_utf8mb4";
  } else if (is_text(column.data_type) && canonical(column.charset) == canonical(target.charset)) {
    bound.match = fmt::format("CAST({} AS BINARY)", bound.name);
    bound.match_introducer = "";
  } else if (!is_text(column.data_type) && bound.key_introducer == "_latin1" && !is_compared_as_text(column.data_type)) {
    bound.match_introducer = "";  // geometry, vectors: bytes
  }
}

BoundColumn bind_column(const catalog::Column& column, std::size_t index, const catalog::Transfer& transfer, const db::Server& target) {
  BoundColumn bound{.index = index,
                    .name = sql::quote_identifier(column.name),
                    .literal = literal_kind(column.data_type),
                    .key_introducer = key_introducer(column, target)};
  const auto at = transfer.set_expression.find(kPlaceholder);
  if (bound.literal == LiteralKind::bare || at == std::string::npos) return bound;
  bound.before = transfer.set_expression.substr(0, at);
  bound.after = transfer.set_expression.substr(at + kPlaceholder.size());
  return bound;
}

binlog::ColumnFacts facts_of(const catalog::Column& column) {
  binlog::ColumnFacts facts{.data_type = column.data_type, .is_unsigned = column.is_unsigned, .charset = column.charset};
  const bool is_moment = is_one_of(column.data_type, {"time", "datetime", "timestamp"});
  if (const auto open = column.column_type.find('('); is_moment && open != std::string::npos) {
    const auto digits = parse_u64(column.column_type.substr(open + 1, column.column_type.find(')') - open - 1));
    facts.fraction_digits = static_cast<unsigned>(digits.value_or(0));
  }
  return facts;
}

// Indexes into `columns` of a key's columns; nothing when one of them is not written (generated, an expression).
std::optional<std::vector<std::size_t>> written_columns(const TableBinding& binding, const catalog::Key& key) {
  std::vector<std::size_t> result;
  for (const auto& part : key.parts) {
    const std::string name = part.column.empty() ? "" : sql::quote_identifier(part.column);
    const auto found = std::find_if(binding.columns.begin(), binding.columns.end(), [&](const BoundColumn& column) {
      return equals_ignoring_case(column.name, name);
    });
    if (found == binding.columns.end()) return std::nullopt;
    result.push_back(static_cast<std::size_t>(found - binding.columns.begin()));
  }
  return result;
}

void bind_keys(TableBinding& binding, const catalog::Table& source) {
  const catalog::Key* row_key = catalog::row_key(source);
  std::vector<std::size_t> all(binding.columns.size());
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
  for (const auto& key : source.keys) {
    const auto columns = written_columns(binding, key);
    if (&key == row_key) {
      if (!columns) {
        throw Error(Code::no_usable_key,
                    {.object = sql::quote_table(source.schema, source.name),
                     .cause = fmt::format("its key {} has a generated column, whose values the target makes itself", key.name),
                     .remedy = "give it a primary key of ordinary columns, or --exclude-tables it"});
      }
      binding.key = *columns;
    } else if (key.is_unique) {
      binding.other_uniques.push_back(columns.value_or(all));  // any change may be one of a value that cannot be seen
    }
  }
  binding.is_key_exact = std::none_of(binding.key.begin(), binding.key.end(), [&](std::size_t i) {
    return is_text(binding.facts[binding.columns[i].index].data_type);
  });
  binding.is_key_integer = binding.key.size() == 1 && is_integer(binding.facts[binding.columns[binding.key[0]].index].data_type);
}

void bind_duplicate_clause(TableBinding& binding, const db::Server& target) {
  const bool has_alias = !target.is_mariadb() && target.version >= db::Version{8, 0, 19};
  if (has_alias) binding.row_alias = " AS godwit_new";
  std::vector<std::string> assignments;
  for (std::size_t i = 0; i < binding.columns.size(); ++i) {
    const bool is_key = std::find(binding.key.begin(), binding.key.end(), i) != binding.key.end();
    if (is_key && binding.is_key_exact && binding.key.size() < binding.columns.size()) continue;
    const std::string& name = binding.columns[i].name;
    assignments.push_back(has_alias ? fmt::format("{0} = godwit_new.{0}", name) : fmt::format("{0} = VALUES({0})", name));
  }
  binding.on_duplicate = join(assignments, ", ");
}

bool is_plausible(std::string_view type, binlog::ColumnType found) {
  using T = binlog::ColumnType;
  const auto any = [&](std::initializer_list<T> types) { return std::find(types.begin(), types.end(), found) != types.end(); };
  if (type == "tinyint") return found == T::tiny;
  if (type == "smallint") return found == T::short_int;
  if (type == "mediumint") return found == T::int24;
  if (type == "int") return found == T::long_int;
  if (type == "bigint") return found == T::longlong;
  if (type == "float") return found == T::float_number;
  if (type == "double") return found == T::double_number;
  if (is_one_of(type, {"decimal", "numeric"})) return any({T::newdecimal, T::decimal_old});
  if (type == "year") return found == T::year;
  if (type == "date") return any({T::date, T::newdate});
  if (type == "time") return any({T::time, T::time2});
  if (type == "datetime") return any({T::datetime, T::datetime2});
  if (type == "timestamp") return any({T::timestamp, T::timestamp2});
  if (type == "enum") return found == T::enumeration;
  if (type == "set") return found == T::set;
  if (type == "bit") return found == T::bit;
  if (is_one_of(type, {"char", "binary", "uuid", "inet6", "inet4"})) return any({T::string, T::var_string, T::varchar});
  if (is_one_of(type, {"varchar", "varbinary"})) return any({T::varchar, T::var_string, T::varchar_compressed, T::string});
  const bool is_blob = type.find("text") != std::string_view::npos || type.find("blob") != std::string_view::npos;
  if (is_blob) return any({T::blob, T::tiny_blob, T::medium_blob, T::long_blob, T::blob_compressed});
  if (type == "json") return any({T::json, T::blob, T::long_blob});
  return true;  // geometry and others: make_layout refuses what it cannot read
}

[[noreturn]] void misfit(const TableBinding& binding, std::string cause) {
  throw Error(Code::schema_misfit,
              {.object = sql::quote_table(binding.source_schema, binding.source_table),
               .cause = std::move(cause),
               .remedy = "the table was altered after this point of the binlog: godwit cancel, and copy again"});
}

// The text of a value, JSON diffs applied.
void append_text(std::string& out, const binlog::ColumnLayout& layout, const binlog::Cell& cell, const binlog::Cell* before) {
  if (cell.state != binlog::Cell::State::json_diff) return binlog::append_value(out, cell, layout);
  GODWIT_CHECK(before != nullptr && before->state == binlog::Cell::State::value);
  binlog::append_json_after(out, before->bytes, binlog::decode_json_diffs(cell.bytes));
}

void append_quoted(std::string& out, std::string_view text) {
  out.push_back('\'');
  for (const char c : text) {
    switch (c) {
      case '\0': out += "\\0"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\x1a': out += "\\Z"; break;
      case '\'': out += "\\'"; break;
      case '\\': out += "\\\\"; break;
      default: out.push_back(c);
    }
  }
  out.push_back('\'');
}

}  // namespace

TableBinding bind(const catalog::Table& source, const catalog::Table& target, const std::vector<catalog::Transfer>& transfers,
                  const db::Server& target_server) {
  TableBinding binding{.source_schema = source.schema,
                       .source_table = source.name,
                       .target = sql::quote_table(target.schema, target.name),
                       .image_columns = source.columns.size()};
  std::vector<std::string> names;
  for (std::size_t i = 0; i < source.columns.size(); ++i) {
    const auto& column = source.columns[i];
    binding.column_names.push_back(column.name);
    binding.facts.push_back(facts_of(column));
    const auto transfer = std::find_if(transfers.begin(), transfers.end(), [&](const catalog::Transfer& t) { return t.column == column.name; });
    if (transfer == transfers.end()) continue;  // generated: the target makes it itself
    binding.columns.push_back(bind_column(column, i, *transfer, target_server));
    const catalog::Column& there = target.column(column.name);  // whose absence transfers() refuses
    bind_match(binding.columns.back(), column, there);
    if (there.sets_itself) binding.columns.back().keep = fmt::format("{0} = {1}.{0}", binding.columns.back().name, binding.target);
    names.push_back(binding.columns.back().name);
  }
  binding.column_list = join(names, ", ");
  bind_keys(binding, source);
  bind_duplicate_clause(binding, target_server);
  return binding;
}

void share(TableBinding& binding, const std::vector<std::string>& shard_key) {
  if (!binding.has_key()) return;  // its rows are found by all they have, and collide with none
  std::vector<std::size_t> beside;
  for (const auto& name : shard_key) {
    const auto found = std::find_if(binding.columns.begin(), binding.columns.end(), [&](const BoundColumn& column) { return equals_ignoring_case(column.name, sql::quote_identifier(name)); });
    GODWIT_CHECK(found != binding.columns.end());
    const auto index = static_cast<std::size_t>(found - binding.columns.begin());
    if (std::find(binding.key.begin(), binding.key.end(), index) == binding.key.end()) beside.push_back(index);
  }
  binding.shard_key = beside;
  // Of the key alone two shards may have a row, for a moment: it is one more unique key.
  if (!beside.empty()) binding.other_uniques.push_back(binding.key);
  if (!beside.empty()) binding.is_key_integer = false;
  binding.is_shared = !binding.other_uniques.empty();
}

void require_fit(const TableBinding& binding, const binlog::TableMap& map) {
  if (map.columns.size() != binding.image_columns) {
    misfit(binding, fmt::format("the binlog describes it with {} columns, its definition has {}", map.columns.size(), binding.image_columns));
  }
  for (std::size_t i = 0; i < map.columns.size(); ++i) {
    const auto& column = map.columns[i];
    if (map.has_names() && !equals_ignoring_case(column.name, binding.column_names[i])) {
      misfit(binding, fmt::format("column {} is {} in the binlog, {} in its definition", i + 1, column.name, binding.column_names[i]));
    }
    if (!is_plausible(binding.facts[i].data_type, column.type)) {
      misfit(binding,
             fmt::format("column {} is of type {} in the binlog, {} in its definition",
                         binding.column_names[i],
                         binlog::type_name(column.type),
                         binding.facts[i].data_type));
    }
  }
}

void append_literal(std::string& out, const BoundColumn& column, const binlog::ColumnLayout& layout, const binlog::Cell& cell,
                    const binlog::Cell* before) {
  GODWIT_CHECK(cell.state != binlog::Cell::State::absent);
  if (cell.state == binlog::Cell::State::null) {
    out += "NULL";
    return;
  }
  if (column.literal == LiteralKind::bare) return append_text(out, layout, cell, before);
  thread_local std::string text;
  text.clear();
  append_text(text, layout, cell, before);
  out += column.before;
  append_quoted(out, text);
  out += column.after;
}

void append_comparand(std::string& out, const BoundColumn& column, std::string_view introducer, const binlog::ColumnLayout& layout,
                      const binlog::Cell& cell) {
  if (column.literal == LiteralKind::bare || cell.state == binlog::Cell::State::null) {
    return append_literal(out, column, layout, cell, nullptr);
  }
  thread_local std::string text;
  text.clear();
  append_text(text, layout, cell, nullptr);
  out += introducer;
  append_quoted(out, text);
}

}  // namespace godwit::apply
