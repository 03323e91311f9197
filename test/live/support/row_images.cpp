#include "row_images.h"

#include <algorithm>

#include "godwit/binlog/json.h"
#include "godwit/binlog/value.h"
#include "godwit/catalog/ddl.h"
#include "godwit/db/snapshot.h"
#include "godwit/sql/quote.h"
#include "godwit/util/text.h"

namespace godwit::test {
namespace {

std::vector<std::string> writable_columns(const catalog::Table& table) {
  std::vector<std::string> names;
  for (const auto& column : table.columns) {
    if (column.is_writable()) names.push_back(column.name);
  }
  return names;
}

class Reader {
 public:
  Reader(const Server& server, std::string schema, const ReadOptions& options)
      : connection_(db::Connection::open(endpoint_of(server))),
        schema_(std::move(schema)),
        options_(options) {}

  void take(const binlog::Event& event) {
    ++changes.types[event.header.type];
    const auto* rows = event.as<binlog::Rows>();
    if (rows == nullptr || rows->table == nullptr || rows->table->schema != schema_) return;
    const auto layout = layout_of(rows->table);
    binlog::RowReader reader(layout, *rows);
    binlog::Row row;
    while (reader.next(row)) take_row(*rows, layout, row);
  }

  Changes changes;

 private:
  void take_row(const binlog::Rows& rows, const binlog::Layout& layout, const binlog::Row& row) {
    const std::string& name = rows.table->table;
    const auto& table = table_of(name);
    if (rows.kind == binlog::RowsKind::insert)
      changes.inserted[name].push_back(text_of(table, layout, row.after, {}));
    if (rows.kind != binlog::RowsKind::insert)
      changes.before[name].push_back(text_of(table, layout, row.before, {}));
    if (rows.kind == binlog::RowsKind::update)
      changes.after[name].push_back(text_of(table, layout, row.after, row.before));
  }

  const catalog::Table& table_of(const std::string& name) {
    const auto found = tables_.find(name);
    if (found != tables_.end()) return found->second;
    return tables_.emplace(name, catalog::read_table(connection_, schema_, name)).first->second;
  }

  binlog::Layout layout_of(const std::shared_ptr<const binlog::TableMap>& map) {
    std::vector<binlog::ColumnFacts> facts;
    const auto& table = table_of(map->table);
    if (table.columns.size() != map->columns.size())
      throw std::runtime_error(map->table + ": the table map has other columns");
    for (const auto& column : table.columns)
      facts.push_back(binlog::column_facts(column.data_type, column.column_type, column.charset));
    if (!options_.has_facts) facts.clear();
    return binlog::make_layout(map, facts);
  }

  RowText text_of(const catalog::Table& table,
                  const binlog::Layout& layout,
                  binlog::Image image,
                  binlog::Image before) {
    RowText text;
    for (std::size_t i = 0; i < image.size(); ++i) {
      if (table.columns[i].is_writable())
        text.push_back(
            text_of_cell(image[i], layout.columns[i], before.empty() ? nullptr : &before[i]));
    }
    return text;
  }

  std::string text_of_cell(const binlog::Cell& cell,
                           const binlog::ColumnLayout& column,
                           const binlog::Cell* before) {
    if (cell.state == binlog::Cell::State::absent) return "(absent)";
    if (cell.state == binlog::Cell::State::null) return "NULL";
    std::string text = "=";
    if (cell.state == binlog::Cell::State::json_diff) {
      ++changes.json_diffs;
      binlog::append_json_after(text, before->bytes, binlog::decode_json_diffs(cell.bytes));
    } else {
      binlog::append_value(text, cell, column);
    }
    return text;
  }

  db::Connection connection_;
  std::string schema_;
  ReadOptions options_;
  std::map<std::string, catalog::Table> tables_;
};

}  // namespace

db::Endpoint endpoint_of(const Server& server) {
  db::Endpoint endpoint;
  endpoint.dsn = db::parse_dsn(server.dsn(""), "--source");
  endpoint.dsn.password = "godwit";
  return endpoint;
}

gtid::Position position_of(const Server& server) {
  auto connection = db::Connection::open(endpoint_of(server));
  return db::end_of_binlog(connection);
}

Changes read_changes(const Server& server,
                     const gtid::Position& from,
                     const std::string& schema,
                     const ReadOptions& options) {
  Reader reader(server, schema, options);
  binlog::Stream stream(
      endpoint_of(server),
      {.from = from, .is_endless = false, .has_statements = options.has_statements});
  while (const auto* event = stream.next()) reader.take(*event);
  return std::move(reader.changes);
}

namespace {

TableRows selected_of(db::Connection& metadata,
                      db::Connection& connection,
                      const std::string& schema,
                      const std::string& name) {
  const auto table = catalog::read_table(metadata, schema, name);
  catalog::DdlOptions options{.source = metadata.server(), .target = metadata.server()};
  std::vector<std::string> expressions;
  for (const auto& transfer : catalog::transfers(table, table, options))
    expressions.push_back(transfer.select);
  auto stream = connection.stream("SELECT " + join(expressions, ", ") + " FROM " +
                                  sql::quote_table(schema, name));
  TableRows rows;
  while (const auto row = stream.next()) {
    RowText text;
    for (const auto& value : *row) text.push_back(value.is_null() ? "NULL" : "=" + value.text());
    rows.push_back(std::move(text));
  }
  return rows;
}

}  // namespace

std::map<std::string, TableRows> selected(const Server& server,
                                          const std::string& schema,
                                          const std::vector<std::string>& tables) {
  auto metadata = db::Connection::open(endpoint_of(server));
  auto connection = db::Connection::open(endpoint_of(server), db::Encoding::bytes);
  std::map<std::string, TableRows> rows;
  for (const auto& table : tables) rows[table] = selected_of(metadata, connection, schema, table);
  return rows;
}

TableRows sorted(TableRows rows) {
  std::sort(rows.begin(), rows.end());
  return rows;
}

std::string shown(const RowText& row) {
  std::string text;
  for (const auto& cell : row) {
    const bool is_plain =
        std::all_of(cell.begin(), cell.end(), [](char c) { return c >= ' ' && c <= '~'; });
    text += " | " + (is_plain ? cell : "0x" + hex(cell.substr(1))).substr(0, 200);
  }
  return text;
}

std::string difference(const TableRows& logged, const TableRows& selected_rows) {
  const auto a = sorted(logged);
  const auto b = sorted(selected_rows);
  if (a == b) return "";
  const auto [x, y] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  return std::to_string(a.size()) + " rows against " + std::to_string(b.size()) + "\n  logged   " +
         (x == a.end() ? "(none)" : shown(*x)) + "\n  selected " +
         (y == b.end() ? "(none)" : shown(*y));
}

}  // namespace godwit::test
