#include "plants.h"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <stdexcept>

#include "compare.h"

namespace godwit::test {
namespace {

using Strings = std::vector<std::string>;

constexpr std::size_t kAttemptsMax = 400;  // rows tried for one change

bool is_one_of(const std::string& type, std::initializer_list<const char*> types) {
  return std::any_of(types.begin(), types.end(), [&](const char* t) { return type == t; });
}
bool is_integer(const std::string& type) { return is_one_of(type, {"tinyint", "smallint", "mediumint", "int", "bigint"}); }
bool is_text(const std::string& type) { return is_one_of(type, {"char", "varchar", "tinytext", "text", "mediumtext", "longtext"}); }
bool is_binary(const std::string& type) { return is_one_of(type, {"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"}); }
bool is_number(const std::string& type) { return is_integer(type) || is_one_of(type, {"year", "decimal", "float", "double", "bit", "enum", "set"}); }
bool is_geometry(const std::string& type) {
  return is_one_of(type, {"geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon", "geometrycollection", "geomcollection"});
}
bool is_unsigned(const PlantedColumn& column) { return column.column_type.find("unsigned") != std::string::npos; }

std::string replaced(std::string text, const std::string& what, const std::string& with) {
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size())) text.replace(at, what.size(), with);
  return text;
}

std::string joined(const Strings& parts, const std::string& between) {
  std::string text;
  for (const auto& part : parts) text += (text.empty() ? "" : between) + part;
  return text;
}

std::string hexadecimal(const std::string& bytes) {
  static const char digits[] = "0123456789ABCDEF";
  std::string text;
  for (const char c : bytes) {
    text += digits[static_cast<unsigned char>(c) >> 4U];
    text += digits[static_cast<unsigned char>(c) & 15U];
  }
  return text;
}

std::uint64_t number_of(const std::optional<std::string>& cell) { return cell ? std::strtoull(cell->c_str(), nullptr, 10) : 0; }

// --- what can be done to a value -----------------------------------------------------------------------------------------

void change_nullness(const PlantedColumn& column, const std::string& zero, std::vector<Change>& changes) {
  if (!column.is_nullable) return;
  changes.push_back({"a value becomes NULL", "{c} IS NOT NULL", "NULL", false});
  changes.push_back({"NULL becomes " + zero, "{c} IS NULL", zero, true});
}

void change_integer(const PlantedColumn& column, std::vector<Change>& changes) {
  changes.push_back({"one more or less", "{c} IS NOT NULL", "IF({c} > 0, {c} - 1, {c} + 1)", false});
  if (!is_unsigned(column)) changes.push_back({"sign", "{c} <> 0", "-{c}", false});
  if (column.type == "bigint") changes.push_back({"the last bit of a large one", "{c} > 9007199254740993", "{c} - 1", true});
  if (column.type == "bigint" && is_unsigned(column)) changes.push_back({"the highest bit", "{c} IS NOT NULL", "{c} ^ 9223372036854775808", false});
  change_nullness(column, "0", changes);
}

void change_decimal(const PlantedColumn& column, std::vector<Change>& changes) {
  const std::string unit = column.scale == 0 ? "1" : "0." + std::string(column.scale - 1, '0') + "1";
  changes.push_back({"the last digit", "{c} IS NOT NULL", "IF({c} > 0, {c} - " + unit + ", {c} + " + unit + ")", false});
  changes.push_back({"sign", "{c} <> 0", "-{c}", false});
  change_nullness(column, "0", changes);
}

void change_approximate(const PlantedColumn& column, bool keeps_minus_zero, std::vector<Change>& changes) {
  const bool is_float = column.type == "float";
  const std::string largest = is_float ? "3e38" : "1e308";
  const std::string smallest = is_float ? "1e-37" : "1e-307";
  changes.push_back({"the largest's last bit", "ABS({c}) > " + largest, is_float ? "{c} * 0.99999994e0" : "{c} * 0.9999999999999999e0", true});
  changes.push_back({"the smallest becomes 0", "{c} <> 0 AND ABS({c}) < " + smallest, "0", true});
  changes.push_back({"the last bit", "ABS({c}) BETWEEN " + smallest + " AND 1000", is_float ? "{c} * 1.0000001192092896e0" : "{c} * 1.0000000000000002e0", false});
  changes.push_back({"sign", "{c} <> 0", "-{c}", false});
  if (keeps_minus_zero) changes.push_back({"the sign of 0", "{c} = 0", "IF({c}*1e0 LIKE '-%', 0, 0e0 * -1e0)", true});
  change_nullness(column, "0", changes);
}

void change_bit(const PlantedColumn& column, std::vector<Change>& changes) {
  const auto bits = std::strtoul(column.column_type.c_str() + 4, nullptr, 10);
  changes.push_back({"the lowest bit", "{c} IS NOT NULL", "({c}+0) ^ 1", false});
  changes.push_back({"the highest bit", "{c} IS NOT NULL", "({c}+0) ^ (1 << " + std::to_string(bits - 1) + ")", false});
  change_nullness(column, "0", changes);
}

void change_enum(const PlantedColumn& column, std::vector<Change>& changes) {
  changes.push_back({"index 0 becomes a member", "CAST({c} AS UNSIGNED) = 0", "1", true});
  changes.push_back({"the empty member becomes index 0", "{c} = '' AND CAST({c} AS UNSIGNED) > 0", "0", true});
  changes.push_back({"another member", "CAST({c} AS UNSIGNED) > 0", "IF(CAST({c} AS UNSIGNED) = 1, 2, 1)", false});
  change_nullness(column, "1", changes);
}

void change_set(const PlantedColumn& column, std::vector<Change>& changes) {
  const auto commas = std::count(column.column_type.begin(), column.column_type.end(), ',');
  changes.push_back({"the first member", "{c} IS NOT NULL", "CAST({c} AS UNSIGNED) ^ 1", false});
  changes.push_back({"the last member", "{c} IS NOT NULL", "CAST({c} AS UNSIGNED) ^ (1 << " + std::to_string(commas) + ")", false});
  changes.push_back({"all members", "{c} = ''", "18446744073709551615", true});
  change_nullness(column, "''", changes);
}

void change_moment(const PlantedColumn& column, std::vector<Change>& changes) {
  const std::string zero = column.type == "date" ? "'0000-00-00'" : "'0000-00-00 00:00:00'";
  changes.push_back({"zero becomes NULL", "{c}+0 = 0", "NULL", true});
  changes.push_back({"zero becomes a date", "{c}+0 = 0", "'2000-01-01'", true});
  if (column.type != "timestamp") changes.push_back({"a day that is none", "{c}+0 >= 20210231 AND {c}+0 < 20210232", "'2021-02-30'", true});
  changes.push_back({"a day", "{c} > '1970-01-03'", "{c} - INTERVAL 1 DAY", false});
  if (column.type != "date") {
    changes.push_back({"an hour", "{c} > '1970-01-03'", "{c} - INTERVAL 1 HOUR", false});
    changes.push_back({"the last digit", "{c} > '1970-01-03'", "{c} - INTERVAL " + std::string(column.precision == 0 ? "1 SECOND" : column.precision == 6 ? "1 MICROSECOND" : "1000 MICROSECOND"), false});
  }
  change_nullness(column, zero, changes);
}

void change_time(const PlantedColumn& column, std::vector<Change>& changes) {
  const std::string unit = column.precision == 0 ? "'00:00:01'" : "'00:00:00." + std::string(column.precision - 1, '0') + "1'";
  changes.push_back({"an hour", "ABS(TIME_TO_SEC({c})) < 3000000", "ADDTIME({c}, '01:00:00')", false});
  changes.push_back({"the last digit", "ABS(TIME_TO_SEC({c})) < 3000000", "ADDTIME({c}, " + unit + ")", false});
  changes.push_back({"sign", "{c} <> '00:00:00'", "TIMEDIFF('00:00:00', {c})", false});
  change_nullness(column, "'00:00:00'", changes);
}

void change_text(const PlantedColumn& column, std::vector<Change>& changes) {
  const std::string room = "CHAR_LENGTH({c}) BETWEEN 1 AND " + std::to_string(std::min<std::uint64_t>(column.length_max - 1, 450));
  const std::string last = "CONCAT(LEFT({c}, CHAR_LENGTH({c}) - 1), IF(RIGHT({c}, 1) = 'q', 'r', 'q'))";
  changes.push_back({"the last character of a long one", "CHAR_LENGTH({c}) > 100000", last, true});
  changes.push_back({"'' becomes NULL", "LENGTH({c}) = 0", "NULL", true});
  changes.push_back({"'' becomes a space", "LENGTH({c}) = 0", "' '", true});
  const std::string plain = "REPLACE(REPLACE(REPLACE(CONVERT({c} USING utf8mb4), 'ä', 'a'), 'ü', 'u'), 'é', 'e')";
  changes.push_back({"an accent", "HEX(CONVERT({c} USING utf8mb4)) <> HEX(" + plain + ")", plain, true});
  changes.push_back({"the last character", "CHAR_LENGTH({c}) BETWEEN 1 AND 500", last, false});
  changes.push_back({"case", "CHAR_LENGTH({c}) < 500 AND HEX(LOWER({c})) <> HEX(UPPER({c}))", "IF(HEX({c}) = HEX(LOWER({c})), UPPER({c}), LOWER({c}))", false});
  changes.push_back({"a NUL at its end", room, "CONCAT({c}, _utf8mb4 X'00')", false});
  if (column.type != "char") changes.push_back({"a trailing space", room, "CONCAT({c}, ' ')", false});
  change_nullness(column, "''", changes);
}

void change_bytes(const PlantedColumn& column, std::vector<Change>& changes) {
  const std::string last = "CONCAT(LEFT({c}, LENGTH({c}) - 1), CHAR(ASCII(RIGHT({c}, 1)) ^ 1))";
  changes.push_back({"the last bit of a long one", "LENGTH({c}) > 100000", last, true});
  changes.push_back({"the last bit", "LENGTH({c}) BETWEEN 1 AND 500", last, false});
  changes.push_back({"the first bit", "LENGTH({c}) BETWEEN 1 AND 500", "CONCAT(CHAR(ASCII({c}) ^ 128), SUBSTR({c}, 2))", false});
  if (column.type != "binary") {
    changes.push_back({"'' becomes NULL", "LENGTH({c}) = 0", "NULL", true});
    changes.push_back({"a NUL at its end", "LENGTH({c}) BETWEEN 0 AND 40", "CONCAT({c}, X'00')", false});
    changes.push_back({"a trailing space", "LENGTH({c}) BETWEEN 0 AND 40", "CONCAT({c}, X'20')", false});
  }
  change_nullness(column, "''", changes);
}

void change_json(const PlantedColumn& column, std::vector<Change>& changes) {
  const bool is_json = column.type == "json";
  const std::pair<const char*, const char*> words[] = {{"1.0", "1.25"}, {"[1,", "[1.0,"}, {"2.5", "2.6"}, {"null", "0"}, {"true", "false"}, {"\"a\"", "\"A\""}, {"😀", "😁"},
                                                       {"18446744073709551615", "18446744073709551614"}, {"1e100", "1e101"}, {"-0.0", "0.0"}, {"[]", "{}"}, {"x", "x "}};
  for (const auto& [from, to] : words) {
    const std::string value = "REPLACE(CAST({c} AS CHAR CHARACTER SET utf8mb4), " + literal(from) + ", " + literal(to) + ")";
    changes.push_back({std::string(from) + " becomes " + to, "LOCATE(" + literal(from) + ", CAST({c} AS CHAR CHARACTER SET utf8mb4)) > 0", is_json ? "CAST(" + value + " AS JSON)" : value, true});
  }
  change_nullness(column, "'null'", changes);
}

// The bytes as they are stored: SRID, then WKB, whose last eight bytes are a coordinate.
void change_geometry(const PlantedColumn& column, std::vector<Change>& changes) {
  const std::string bytes = "CAST({c} AS BINARY)";
  const std::string low = "CONCAT(LEFT(" + bytes + ", LENGTH(" + bytes + ") - 8), CHAR(ASCII(SUBSTR(" + bytes + ", LENGTH(" + bytes + ") - 7, 1)) ^ 1), RIGHT(" + bytes + ", 7))";
  changes.push_back({"a bit of a coordinate", "{c} IS NOT NULL", low, false});
  changes.push_back({"the SRID", "{c} IS NOT NULL", "CONCAT(IF(LEFT(" + bytes + ", 4) = X'E6100000', X'00000000', X'E6100000'), SUBSTR(" + bytes + ", 5))", false});
  if (column.is_nullable) changes.push_back({"a value becomes NULL", "{c} IS NOT NULL", "NULL", false});
}

void change_vector(const PlantedColumn& column, std::vector<Change>& changes) {
  // In hexadecimal: MySQL's CONCAT takes no vectors.
  changes.push_back({"the last bit of a float", "{c} IS NOT NULL", "UNHEX(CONCAT(LPAD(HEX(CONV(LEFT(HEX({c}), 2), 16, 10) ^ 1), 2, '0'), SUBSTR(HEX({c}), 3)))", false});
  changes.push_back({"the sign of the last float", "{c} IS NOT NULL", "UNHEX(CONCAT(LEFT(HEX({c}), LENGTH(HEX({c})) - 2), LPAD(HEX(CONV(RIGHT(HEX({c}), 2), 16, 10) ^ 128), 2, '0')))", false});
  if (column.is_nullable) changes.push_back({"a value becomes NULL", "{c} IS NOT NULL", "NULL", false});
}

void change_address(const PlantedColumn& column, std::vector<Change>& changes) {
  const std::string text = "CAST({c} AS CHAR)";
  changes.push_back({"the last digit", "{c} IS NOT NULL", "CONCAT(LEFT(" + text + ", LENGTH(" + text + ") - 1), IF(RIGHT(" + text + ", 1) = '1', '2', '1'))", false});
  if (column.is_nullable) changes.push_back({"a value becomes NULL", "{c} IS NOT NULL", "NULL", false});
}

}  // namespace

std::string to_string(const Difference& difference) {
  return difference.table + ": " + difference.kind + " " + difference.key + " (" + joined({difference.columns.begin(), difference.columns.end()}, ", ") + ")";
}

Planter::Planter(const Server& source, const Server& target, std::string schema)
    : source_(source.client()),
      target_(target.client()),
      schema_(std::move(schema)),
      is_mariadb_(target.is_mariadb()),
      keeps_minus_zero_((!source.is_mariadb() || source.flavour() == "mariadb-10.5") && (!target.is_mariadb() || target.flavour() == "mariadb-10.5")) {
  target_.execute("SET SESSION sql_mode = 'ALLOW_INVALID_DATES', foreign_key_checks = 0");
  if (is_mariadb_) target_.execute("SET SESSION check_constraint_checks = 0");
}

std::vector<Change> Planter::changes_of(const PlantedColumn& column) const {
  std::vector<Change> changes;
  const std::string& type = column.type;
  const bool is_json = type == "json" || column.source_type == "json";
  if (is_json) change_json(column, changes);
  if (is_integer(type)) change_integer(column, changes);
  if (type == "year") changes = {{"0 becomes a year", "{c} = 0", "2000", true}, {"a year", "{c} > 0", "IF({c} = 1999, 2000, 1999)", false}, {"a value becomes NULL", "{c} IS NOT NULL", "NULL", !column.is_nullable}};
  if (type == "decimal") change_decimal(column, changes);
  if (is_one_of(type, {"float", "double"})) change_approximate(column, keeps_minus_zero_, changes);
  if (type == "bit") change_bit(column, changes);
  if (type == "enum") change_enum(column, changes);
  if (type == "set") change_set(column, changes);
  if (is_one_of(type, {"date", "datetime", "timestamp"})) change_moment(column, changes);
  if (type == "time") change_time(column, changes);
  if (is_text(type) && !is_json) change_text(column, changes);
  if (is_binary(type)) change_bytes(column, changes);
  if (is_geometry(type)) change_geometry(column, changes);
  if (type == "vector") change_vector(column, changes);
  if (is_one_of(type, {"uuid", "inet4", "inet6"})) change_address(column, changes);
  if (changes.empty()) throw std::runtime_error("no change is known for the type " + type);
  // Values that few rows have come first, before their rows are used for others.
  std::stable_partition(changes.begin(), changes.end(), [](const Change& change) { return change.is_optional; });
  return changes;
}

// --- tables and rows -----------------------------------------------------------------------------------------------------

std::vector<PlantedColumn> Planter::columns_of(const std::string& table) {
  const std::string is_table = "TABLE_SCHEMA = " + literal(schema_) + " AND TABLE_NAME = " + literal(table);
  std::set<std::string> key;
  std::string best;
  // The key by which vdiff names rows: the primary key, or the one unique key of which no column may be NULL.
  for (const auto& row : target_.query("SELECT INDEX_NAME, GROUP_CONCAT(COLUMN_NAME SEPARATOR '\\n'), SUM(NULLABLE = 'YES' OR SUB_PART IS NOT NULL) FROM information_schema.STATISTICS WHERE NON_UNIQUE = 0 AND " +
                                       is_table + " GROUP BY INDEX_NAME")) {
    if (number_of(row[2]) != 0 || best == "PRIMARY") continue;
    best = *row[0];
    key.clear();
    std::string names = *row[1] + "\n";
    for (std::size_t at = names.find('\n'); at != std::string::npos; at = names.find('\n')) {
      key.insert(names.substr(0, at));
      names.erase(0, at + 1);
    }
  }
  std::vector<PlantedColumn> columns;
  for (const auto& row : target_.query("SELECT COLUMN_NAME, LOWER(DATA_TYPE), COLUMN_TYPE, IFNULL(CHARACTER_SET_NAME, ''), IS_NULLABLE = 'YES', IFNULL(GENERATION_EXPRESSION, '') <> '', "
                                       "CHARACTER_MAXIMUM_LENGTH, DATETIME_PRECISION, NUMERIC_SCALE FROM information_schema.COLUMNS WHERE " +
                                       is_table + " ORDER BY ORDINAL_POSITION")) {
    const std::string source_type =
        source_.scalar("SELECT LOWER(DATA_TYPE) FROM information_schema.COLUMNS WHERE " + is_table + " AND COLUMN_NAME = " + literal(*row[0]));
    columns.push_back({*row[0], *row[1], source_type, *row[2], *row[3], row[4] == "1", row[5] == "1", key.count(*row[0]) != 0, number_of(row[6]), static_cast<unsigned>(number_of(row[7])),
                       static_cast<unsigned>(number_of(row[8]))});
  }
  return columns;
}

std::vector<Planter::Row> Planter::rows_of(const std::string& table, const std::string& where) {
  Strings parts;
  for (const auto& column : key_) parts.push_back(hex_expression(column.name, column.type));
  for (const auto& column : key_) {
    const bool is_index = is_one_of(column.type, {"enum", "set", "bit"});
    const std::string name = quoted(column.name);
    parts.push_back(is_index ? "CAST(" + name + " AS UNSIGNED)" : is_text(column.type) || is_binary(column.type) ? name : "CAST(" + name + " AS CHAR)");
  }
  Strings order;
  for (const auto& column : key_) order.push_back(quoted(column.name));
  std::vector<Row> rows;
  for (const auto& cells : target_.query("SELECT " + joined(parts, ", ") + " FROM " + quoted(schema_) + "." + quoted(table) + " WHERE " + where + " ORDER BY " + joined(order, ", "))) {
    Row row;
    for (std::size_t i = 0; i < key_.size(); ++i) row.identity.push_back(*cells[i]);
    row.raw.assign(cells.begin() + static_cast<std::ptrdiff_t>(key_.size()), cells.end());
    rows.push_back(std::move(row));
  }
  return rows;
}

std::string Planter::is_row(const Row& row) const {
  Strings parts;
  for (std::size_t i = 0; i < key_.size(); ++i) parts.push_back(hex_expression(key_[i].name, key_[i].type) + " = " + literal(row.identity[i]));
  return joined(parts, " AND ");
}

// By the server's own equality, as an index has it.
std::string Planter::is_equal_to(const Row& row) const {
  Strings parts;
  for (std::size_t i = 0; i < key_.size(); ++i) {
    const std::string& type = key_[i].type;
    const std::string& value = *row.raw[i];
    const std::string name = quoted(key_[i].name);
    if (is_binary(type)) {
      parts.push_back(name + " = X'" + hexadecimal(value) + "'");
    } else {
      parts.push_back((is_one_of(type, {"enum", "set"}) ? name + "+0" : name) + " = " + (is_number(type) ? value : literal(value)));
    }
  }
  return joined(parts, " AND ");
}

std::string Planter::shown_key(const Row& row) const {
  Strings parts;
  for (std::size_t i = 0; i < key_.size(); ++i) {
    const std::string& value = *row.raw[i];
    const bool has_control = std::any_of(value.begin(), value.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; });
    const std::string shown = is_number(key_[i].type) ? value : is_binary(key_[i].type) || has_control ? "X'" + hexadecimal(value) + "'" : "'" + value + "'";
    parts.push_back(key_[i].name + " = " + shown);
  }
  return joined(parts, ", ");
}

Cells Planter::cells(const std::string& table, const Row& row) {
  Strings parts;
  for (const auto& column : columns_) parts.push_back(hex_expression(column.name, column.type));
  const auto rows = target_.query("SELECT " + joined(parts, ", ") + " FROM " + quoted(schema_) + "." + quoted(table) + " WHERE " + is_row(row));
  return rows.size() == 1 ? rows[0] : Cells{};
}

// --- planting ------------------------------------------------------------------------------------------------------------

void Planter::plant_everywhere(const Strings& tables, unsigned each) {
  unsigned number = 0;
  for (const auto& table : tables) {
    columns_ = columns_of(table);
    key_.clear();
    used_.clear();
    std::copy_if(columns_.begin(), columns_.end(), std::back_inserter(key_), [](const PlantedColumn& c) { return c.is_key; });
    const bool is_empty = target_.scalar("SELECT COUNT(*) FROM " + quoted(schema_) + "." + quoted(table)) == "0";
    if (key_.empty() || is_empty) continue;
    for (const auto& [column, change] : changes_of(table)) {
      if (number++ % each != 0) continue;
      if (!plant(table, column, change) && !change.is_optional) unplanted_.push_back(table + "." + column.name + " (" + column.column_type + "): " + change.what);
    }
  }
}

// Those for which the table has values, as long as nothing is planted in it.
std::vector<std::pair<PlantedColumn, Change>> Planter::changes_of(const std::string& table) {
  std::vector<std::pair<PlantedColumn, Change>> changes;
  for (const auto& column : columns_) {
    if (column.is_generated) continue;
    for (const auto& change : changes_of(column)) {
      if (!rows_of(table, replaced(change.where, "{c}", quoted(column.name))).empty()) changes.emplace_back(column, change);
    }
  }
  return changes;
}

bool Planter::plant(const std::string& table, const PlantedColumn& column, const Change& change) {
  std::size_t attempts = 0;
  is_refused_ = false;
  for (const auto& row : rows_of(table, replaced(change.where, "{c}", quoted(column.name)))) {
    if (used_.count(row.identity) != 0) continue;
    if (change_row(table, column, change, row)) return true;
    if (++attempts == kAttemptsMax) break;
  }
  return is_refused_;
}

bool Planter::change_row(const std::string& table, const PlantedColumn& column, const Change& change, const Row& row) {
  target_.execute("START TRANSACTION");
  const bool is_planted = is_changed(table, column, change, row);
  target_.execute(is_planted ? "COMMIT" : "ROLLBACK");
  return is_planted;
}

bool Planter::is_changed(const std::string& table, const PlantedColumn& column, const Change& change, const Row& row) {
  const Cells before = cells(table, row);
  std::set<Strings> earlier;
  if (column.is_key) {
    for (const auto& other : rows_of(table, "TRUE")) earlier.insert(other.identity);
  }
  try {
    target_.execute("UPDATE " + quoted(schema_) + "." + quoted(table) + " SET " + quoted(column.name) + " = " + replaced(change.value, "{c}", quoted(column.name)) + " WHERE " + is_row(row));
  } catch (const std::runtime_error& refusal) {
    is_refused_ = is_refused_ || std::string(refusal.what()).find("Check constraint") != std::string::npos;
    return false;  // not this value
  }
  if (!column.is_key && cells(table, row) == before) return false;
  Row now = row;
  if (column.is_key) {
    auto rows = rows_of(table, "TRUE");
    const auto changed = std::find_if(rows.begin(), rows.end(), [&](const Row& r) { return earlier.count(r.identity) == 0; });
    if (changed == rows.end()) return false;  // taken, and ignored
    now = *changed;
    if (used_.count(now.identity) != 0) return false;  // another plant's row would be there again
  }
  used_.insert(row.identity);
  used_.insert(now.identity);
  ++changes_;
  const bool is_found = target_.scalar("SELECT COUNT(*) FROM " + quoted(schema_) + "." + quoted(table) + " WHERE " + is_equal_to(row)) != "0";
  if (!is_found) {
    planted_.insert({table, "missing", shown_key(row), {}});
    planted_.insert({table, "extra", shown_key(now), {}});
    return true;
  }
  const Cells after = cells(table, now);
  Difference difference{table, "different", shown_key(row), {}};
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    if (before[i] != after[i]) difference.columns.insert(columns_[i].name);
  }
  planted_.insert(difference);
  return true;
}

// --- room for plants -----------------------------------------------------------------------------------------------------

void multiply_rows(Client& source, const std::string& schema, unsigned times) {
  const auto tables = tables_of(source, schema);
  source.execute("CREATE TABLE " + quoted(schema) + ".copies (n INT PRIMARY KEY)");
  Strings numbers;
  for (unsigned n = 1; n <= times; ++n) numbers.push_back("(" + std::to_string(n) + ")");
  source.execute("INSERT INTO " + quoted(schema) + ".copies VALUES " + joined(numbers, ", "));
  source.execute("SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'");
  for (const auto& table : tables) {
    const std::string is_table = "TABLE_SCHEMA = " + literal(schema) + " AND TABLE_NAME = " + literal(table);
    const auto keys = source.query("SELECT COLUMN_NAME FROM information_schema.STATISTICS WHERE NON_UNIQUE = 0 AND " + is_table);
    if (keys.size() != 1) continue;
    Strings names;
    Strings values;
    std::string is_short = "TRUE";
    bool is_integer_key = false;
    for (const auto& row : source.query("SELECT COLUMN_NAME, LOWER(DATA_TYPE), IFNULL(GENERATION_EXPRESSION, '') <> '' FROM information_schema.COLUMNS WHERE " + is_table)) {
      const bool is_key = row[0] == keys[0][0];
      const std::string name = quoted(*row[0]);
      if (row[2] == "1") continue;
      if (is_key) is_integer_key = row[1] == "int";
      names.push_back(name);
      values.push_back(is_key ? "t." + name + " + 1000 * c.n" : "t." + name);
      if (row[1] == "longtext" || row[1] == "longblob") is_short += " AND LENGTH(IFNULL(t." + name + ", '')) < 1000";
    }
    const std::string table_name = quoted(schema) + "." + quoted(table);
    const bool is_small = source.scalar("SELECT COUNT(*) < 50 FROM " + table_name) == "1";
    if (!is_integer_key || !is_small) continue;
    source.execute("INSERT INTO " + table_name + " (" + joined(names, ", ") + ") SELECT " + joined(values, ", ") + " FROM " + table_name + " t JOIN " + quoted(schema) + ".copies c WHERE c.n = 1 OR (" + is_short + ")");
  }
}

}  // namespace godwit::test
