#include "inspect_binlog.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "godwit/binlog/file.h"
#include "godwit/binlog/json.h"
#include "godwit/binlog/stream.h"
#include "godwit/binlog/value.h"
#include "godwit/catalog/catalog.h"
#include "godwit/db/dsn.h"
#include "godwit/util/error.h"
#include "godwit/util/log.h"
#include "godwit/util/text.h"
#include "options.h"
#include "report.h"

namespace godwit::cli {
namespace {

using nlohmann::json;

constexpr std::size_t kShownBytes = 200;  // of a value, as text; JSON has all of it

// --- Where events come from ---------------------------------------------------------------------------------------

class Source {
 public:
  virtual ~Source() = default;
  virtual const binlog::Event* next() = 0;
  virtual std::string place(const binlog::Event& event) const = 0;  // "binlog.000002:1234"
  // What the server's catalog knows of a table's columns, if there is a server.
  virtual std::vector<catalog::Column> columns(const binlog::TableMap& table) = 0;
};

std::string base_name(const std::string& path) { return path.substr(path.find_last_of('/') + 1); }

class Files : public Source {
 public:
  explicit Files(const std::vector<std::string>& paths) : reader_(paths) {}
  const binlog::Event* next() override { return reader_.next(); }
  std::string place(const binlog::Event&) const override {
    return fmt::format("{}:{}", base_name(reader_.path()), reader_.offset());
  }
  std::vector<catalog::Column> columns(const binlog::TableMap&) override { return {}; }

 private:
  binlog::FileReader reader_;
};

class Server : public Source {
 public:
  Server(const db::Endpoint& endpoint, const std::string& from, bool is_following)
      : catalog_(db::Connection::open(endpoint)), stream_(endpoint, options(from, is_following)) {}

  const binlog::Event* next() override {
    const binlog::Event* event = stream_.next();
    if (event == nullptr) return nullptr;
    if (const auto* rotate = event->as<binlog::Rotate>()) file_ = rotate->file;
    return event;
  }

  // A stream says where an event ends; where it does not, the file alone is known.
  std::string place(const binlog::Event& event) const override {
    const bool is_known = event.header.end_offset != 0 && !event.is_inside_payload &&
                          event.header.end_offset >= event.header.size;
    return is_known ? fmt::format("{}:{}", file_, event.header.end_offset - event.header.size)
                    : file_ + ":-";
  }

  std::vector<catalog::Column> columns(const binlog::TableMap& table) override {
    try {
      return catalog::read_table(catalog_, table.schema, table.table).columns;
    } catch (const Error& error) {
      log::debug("{}.{} is not in the server's catalog any more: {}",
                 table.schema,
                 table.table,
                 error.what());
      return {};
    }
  }

 private:
  binlog::StreamOptions options(const std::string& from, bool is_following) {
    binlog::StreamOptions result{.is_endless = is_following, .has_statements = true};
    const auto flavour = catalog_.server().flavour;
    result.from = from.empty() ? beginning() : gtid::Set::parse(flavour, from).position();
    return result;
  }

  // The oldest position that the server's binlog still follows.
  gtid::Position beginning() {
    const auto flavour = catalog_.server().flavour;
    if (!catalog_.server().is_mariadb())
      return gtid::make_position(flavour, catalog_.scalar("SELECT @@GLOBAL.gtid_purged"));
    const std::string first = catalog_.scalar("SHOW BINARY LOGS");
    return gtid::make_position(flavour,
                               catalog_.scalar("SELECT BINLOG_GTID_POS('" + first + "', 4)"));
  }

  db::Connection catalog_;
  binlog::Stream stream_;
  std::string file_;
};

bool is_dsn(const std::string& input) { return input.rfind("mysql://", 0) == 0; }

std::unique_ptr<Source> open_source(const InspectBinlogArguments& arguments) {
  const bool has_dsn = std::any_of(arguments.inputs.begin(), arguments.inputs.end(), is_dsn);
  if (!has_dsn) {
    if (!arguments.is_following) return std::make_unique<Files>(arguments.inputs);
    throw Error(Code::bad_usage,
                {.object = "--follow",
                 .cause = "files do not grow under it",
                 .remedy = "name the server: mysql://user@host"});
  }
  if (arguments.inputs.size() > 1) {
    throw Error(Code::bad_usage,
                {.object = "inspect binlog",
                 .cause = "a server and other inputs are named",
                 .remedy = "name one server, or files"});
  }
  db::Endpoint endpoint{.side = db::Side::source,
                        .dsn = db::parse_dsn(arguments.inputs.front(), "inspect binlog")};
  fill_password(endpoint.dsn, "GODWIT_SOURCE_PASSWORD", arguments.defaults_file, "the DSN");
  return std::make_unique<Server>(endpoint, arguments.from, arguments.is_following);
}

// --- Values -------------------------------------------------------------------------------------------------------

// Whether it may be shown as it is: UTF-8 without control characters.
bool is_printable(std::string_view text) {
  std::size_t more = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (more > 0) {
      if ((byte & 0xc0U) != 0x80U) return false;
      --more;
    } else if (byte < 0x20 || byte == 0x7f) {
      return false;
    } else if (byte >= 0x80) {
      more = byte >= 0xf0 && byte < 0xf5   ? 3
             : byte >= 0xe0 && byte < 0xf0 ? 2
             : byte >= 0xc2 && byte < 0xe0 ? 1
                                           : 9;
      if (more == 9) return false;
    }
  }
  return more == 0;
}

bool is_bare(binlog::ValueKind kind) {
  switch (kind) {
    case binlog::ValueKind::bytes:
    case binlog::ValueKind::padded_bytes:
    case binlog::ValueKind::character:
    case binlog::ValueKind::compressed: return false;
    case binlog::ValueKind::signed_integer:
    case binlog::ValueKind::unsigned_integer:
    case binlog::ValueKind::float_number:
    case binlog::ValueKind::double_number:
    case binlog::ValueKind::decimal:
    case binlog::ValueKind::bit:
    case binlog::ValueKind::member_number:
    case binlog::ValueKind::date:
    case binlog::ValueKind::year:
    case binlog::ValueKind::time:
    case binlog::ValueKind::datetime:
    case binlog::ValueKind::timestamp:
    case binlog::ValueKind::time_old:
    case binlog::ValueKind::datetime_old:
    case binlog::ValueKind::timestamp_old:
    case binlog::ValueKind::time_hires:
    case binlog::ValueKind::datetime_hires:
    case binlog::ValueKind::timestamp_hires:
    case binlog::ValueKind::json:
    case binlog::ValueKind::uuid:
    case binlog::ValueKind::inet6:
    case binlog::ValueKind::inet4:
    case binlog::ValueKind::unreadable: return true;
  }
  return true;
}

std::string cut(std::string text) {
  if (text.size() <= kShownBytes) return text;
  const std::size_t size = text.size();
  std::size_t end = kShownBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80U) --end;
  return text.substr(0, end) + fmt::format("… ({})", format_bytes(size));
}

std::string shown_text(std::string_view bytes, bool is_bare_kind) {
  if (!is_printable(bytes)) return cut("X'" + hex(bytes.substr(0, kShownBytes)) + "'");
  if (is_bare_kind) return cut(std::string(bytes));
  return "'" + cut(std::string(bytes)) + "'";
}

std::string diff_text(std::string_view bytes) {
  std::string text;
  for (const auto& diff : binlog::decode_json_diffs(bytes)) {
    if (!text.empty()) text += " ";
    const char* operation = diff.operation == binlog::JsonDiff::Operation::replace  ? "replace"
                            : diff.operation == binlog::JsonDiff::Operation::insert ? "insert"
                                                                                    : "remove";
    text += fmt::format("{}({}", operation, diff.path);
    if (diff.operation != binlog::JsonDiff::Operation::remove) {
      text += ", ";
      binlog::append_json(text, diff.value);
    }
    text += ")";
  }
  return text;
}

std::string value_text(const binlog::Cell& cell, const binlog::ColumnLayout& column) {
  if (cell.state == binlog::Cell::State::json_diff) return diff_text(cell.bytes);
  std::string text;
  try {
    binlog::append_value(text, cell, column);
  } catch (const Error& error) {
    if (error.code() != Code::value_unreadable) throw;
    return fmt::format("({}: {})", column.trouble, hex(cell.bytes.substr(0, kShownBytes)));
  }
  return text;
}

// --- Events -------------------------------------------------------------------------------------------------------

std::string time_text(std::uint32_t time_s) {
  if (time_s == 0) return "-";
  return fmt::format("{:%Y-%m-%d %H:%M:%S}", fmt::gmtime(static_cast<std::time_t>(time_s)));
}

std::string xa_text(const binlog::XaId& id) {
  return fmt::format("X'{}',X'{}',{}", hex(id.global), hex(id.branch), id.format);
}

struct Describe {
  std::string operator()(const binlog::Unknown& e) const {
    return fmt::format("{} bytes that are not decoded", e.bytes.size());
  }
  std::string operator()(const binlog::FormatDescription& e) const {
    return fmt::format("server {}, checksum {}",
                       e.server_version,
                       e.checksum == binlog::Checksum::crc32 ? "crc32" : "none");
  }
  std::string operator()(const binlog::Rotate& e) const {
    return fmt::format("{}:{}", e.file, e.offset);
  }
  std::string operator()(const binlog::Stop&) const { return {}; }
  std::string operator()(const binlog::Query& e) const {
    return fmt::format(
        "{}{}", e.schema.empty() ? "" : fmt::format("[{}] ", e.schema), shown_text(e.sql, true));
  }
  std::string operator()(const binlog::Xid& e) const { return fmt::format("{}", e.id); }
  std::string operator()(const binlog::XaPrepare& e) const {
    return xa_text(e.id) + (e.is_one_phase ? " one phase" : "");
  }
  std::string operator()(const binlog::Gtid& e) const {
    return fmt::format("last committed {}, sequence {}, {}",
                       e.last_committed,
                       e.sequence_number,
                       format_bytes(e.transaction_bytes));
  }
  std::string operator()(const binlog::GtidMariadb& e) const {
    return fmt::format("flags {:#04x}{}{}",
                       e.flags,
                       e.is_standalone() ? " standalone" : "",
                       e.xa ? " xa " + xa_text(*e.xa) : "");
  }
  std::string operator()(const binlog::GtidList& e) const {
    std::vector<std::string> texts;
    for (const auto& gtid : e.gtids) texts.push_back(gtid::to_string(gtid));
    return join(texts, ",");
  }
  std::string operator()(const binlog::PreviousGtids& e) const { return e.set.to_string(); }
  std::string operator()(const binlog::Heartbeat& e) const {
    return fmt::format("{}:{}", e.file, e.offset);
  }
  std::string operator()(const binlog::BinlogCheckpoint& e) const { return std::string(e.file); }
  std::string operator()(const binlog::StartEncryption&) const { return {}; }
  std::string operator()(const binlog::Annotate& e) const { return shown_text(e.sql, true); }
  std::string operator()(const binlog::Intvar& e) const {
    return fmt::format("{} {}", e.is_insert_id ? "insert_id" : "last_insert_id", e.value);
  }
  std::string operator()(const binlog::Rand& e) const {
    return fmt::format("{} {}", e.seed1, e.seed2);
  }
  std::string operator()(const binlog::UserVar& e) const { return fmt::format("@{}", e.name); }
  std::string operator()(const binlog::LoadData& e) const {
    return e.execution ? shown_text(e.execution->sql, true)
                       : fmt::format("file {}, {}", e.file_id, format_bytes(e.block.size()));
  }
  std::string operator()(const binlog::Incident& e) const {
    return fmt::format("{} {}", e.number, e.message);
  }
  std::string operator()(const binlog::TransactionPayload& e) const {
    return fmt::format(
        "{} from {}", format_bytes(e.uncompressed_bytes), format_bytes(e.compressed_bytes));
  }
  std::string operator()(const binlog::GroupReplication&) const { return {}; }
  std::string operator()(const binlog::Ignorable&) const { return {}; }
  std::string operator()(const binlog::TableMapped& e) const {
    return fmt::format("id {}, {} columns", e.table->id, e.table->columns.size());
  }
  std::string operator()(const binlog::Rows& e) const {
    return fmt::format(
        "{}{}", format_bytes(e.rows.size()), e.is_statement_end() ? ", ends the statement" : "");
  }
};

const binlog::TableMap* table_of(const binlog::Event& event) {
  if (const auto* mapped = event.as<binlog::TableMapped>()) return mapped->table.get();
  if (const auto* rows = event.as<binlog::Rows>()) return rows->table.get();
  return nullptr;
}

std::optional<gtid::Gtid> gtid_of(const binlog::Event& event) {
  if (const auto* mysql = event.as<binlog::Gtid>())
    return mysql->is_anonymous ? std::nullopt : std::optional<gtid::Gtid>(mysql->gtid);
  if (const auto* mariadb = event.as<binlog::GtidMariadb>()) return mariadb->gtid;
  return std::nullopt;
}

class Inspection {
 public:
  Inspection(const InspectBinlogArguments& arguments, Source& source, bool is_json)
      : arguments_(arguments), source_(source), is_json_(is_json) {}

  // False when enough was shown.
  bool take(const binlog::Event& event) {
    if (const auto gtid = gtid_of(event)) begin_transaction(*gtid);
    if (event.as<binlog::FormatDescription>() != nullptr)
      flavour_ = event.as<binlog::FormatDescription>()->flavour;
    if (is_behind_ || !is_wanted(event)) return true;
    if (is_json_) {
      show_json(event);
    } else {
      show_text(event);
    }
    return arguments_.limit == 0 || ++shown_ < arguments_.limit;
  }

 private:
  struct Known {
    std::shared_ptr<const binlog::TableMap> table;
    binlog::Layout layout;
    std::vector<std::string> names;
  };

  // Of files: transactions that --from already holds are passed over. A server leaves them out itself.
  void begin_transaction(const gtid::Gtid& gtid) {
    gtid_ = gtid::to_string(gtid);
    if (arguments_.from.empty()) return;
    if (!from_) from_ = gtid::Set::parse(flavour_, arguments_.from);
    is_behind_ = from_->contains(gtid);
  }

  bool is_wanted(const binlog::Event& event) const {
    if (arguments_.tables.empty()) return true;
    const auto* table = table_of(event);
    if (table == nullptr) return false;
    const std::string full = table->schema + "." + table->table;
    return std::any_of(
        arguments_.tables.begin(), arguments_.tables.end(), [&](const std::string& pattern) {
          const bool has_schema = pattern.find('.') != std::string::npos;
          return ::fnmatch(pattern.c_str(), (has_schema ? full : table->table).c_str(), 0) == 0;
        });
  }

  const Known& known(const std::shared_ptr<const binlog::TableMap>& table) {
    const auto found = known_.find(table->id);
    if (found != known_.end() && found->second.table == table) return found->second;
    auto columns = source_.columns(*table);
    if (is_versioned(*table, columns.size())) columns.resize(table->columns.size());
    if (columns.size() != table->columns.size())
      columns.clear();  // the definition is another by now
    std::vector<binlog::ColumnFacts> facts;
    std::vector<std::string> names;
    for (const auto& column : columns)
      facts.push_back(binlog::column_facts(column.data_type, column.column_type, column.charset));
    for (std::size_t i = 0; i < table->columns.size(); ++i) {
      const std::string& logged = table->columns[i].name;
      const std::string known_name = columns.empty() ? std::string() : columns[i].name;
      names.push_back(!logged.empty()       ? logged
                      : !known_name.empty() ? known_name
                                            : fmt::format("@{}", i + 1));
    }
    auto layout = binlog::make_layout(table, facts, binlog::Unexplained::assume);
    note_guesses(*table, layout);
    constexpr std::size_t kKnownMax = 10'000;
    if (known_.size() > kKnownMax) known_.clear();
    return known_[table->id] = {
               .table = table, .layout = std::move(layout), .names = std::move(names)};
  }

  // MariaDB's system-versioned tables log two columns more than its catalog shows: when the row began and when it ended.
  static bool is_versioned(const binlog::TableMap& table, std::size_t columns_known) {
    if (columns_known == 0 || table.columns.size() != columns_known + 2) return false;
    return std::all_of(table.columns.end() - 2, table.columns.end(), [](const auto& c) {
      return c.type == binlog::ColumnType::timestamp2;
    });
  }

  void note_guesses(const binlog::TableMap& table, const binlog::Layout& layout) {
    const bool is_guessed = std::any_of(layout.columns.begin(),
                                        layout.columns.end(),
                                        [](const auto& c) { return c.is_signedness_guessed; });
    if (!is_guessed || has_noted_guesses_) return;
    has_noted_guesses_ = true;
    log::warning(
        "{}.{}: its table map does not say which numbers are unsigned; all are shown as signed "
        "(binlog_row_metadata = FULL logs it, "
        "and reading from the server finds it)",
        table.schema,
        table.table);
  }

  void show_text(const binlog::Event& event) {
    const auto* table = table_of(event);
    std::string line = fmt::format("{}  {}  {}  {}",
                                   source_.place(event),
                                   time_text(event.header.time_s),
                                   gtid_.empty() ? "-" : gtid_,
                                   binlog::type_name(event.header.type));
    if (table != nullptr) line += fmt::format("  {}.{}", table->schema, table->table);
    const std::string detail = std::visit(Describe{}, event.body);
    if (!detail.empty()) line += "  " + detail;
    fmt::print("{}\n", line);
    if (const auto* rows = event.as<binlog::Rows>(); rows != nullptr && rows->table != nullptr)
      show_rows(*rows);
  }

  // Calls `show` for as many rows as wanted; gives how many more there are.
  std::uint64_t each_row(const binlog::Rows& rows,
                         const Known& it,
                         const std::function<void(const binlog::Row&)>& show) const {
    binlog::RowReader reader(it.layout, rows);
    binlog::Row row;
    std::uint64_t count = 0;
    const std::uint64_t limit = arguments_.rows_per_event;
    while (reader.next(row)) {
      if (limit == 0 || count < limit) show(row);
      ++count;
    }
    return limit == 0 || count <= limit ? 0 : count - limit;
  }

  void show_rows(const binlog::Rows& rows) {
    try {
      show_readable_rows(rows);
    } catch (const Error& error) {
      fmt::print("  … rows that cannot be shown: {}\n",
                 error.cause());  // the log goes on behind them
    }
  }

  void show_readable_rows(const binlog::Rows& rows) {
    const Known& it = known(rows.table);
    const auto more = each_row(rows, it, [&](const binlog::Row& row) {
      if (!row.before.empty()) fmt::print("  - {}\n", image_text(it, row.before));
      if (!row.after.empty()) fmt::print("  + {}\n", image_text(it, row.after));
    });
    if (more > 0) fmt::print("  … and {} rows more (--rows 0 shows all)\n", format_count(more));
  }

  static std::string image_text(const Known& it, binlog::Image image) {
    std::string text;
    for (std::size_t i = 0; i < image.size(); ++i) {
      if (image[i].state == binlog::Cell::State::absent) continue;
      if (!text.empty()) text += " ";
      text += it.names[i] + "=";
      const bool is_null = image[i].state == binlog::Cell::State::null;
      text += is_null ? "NULL"
                      : shown_text(value_text(image[i], it.layout.columns[i]),
                                   is_bare(it.layout.columns[i].kind));
    }
    return text;
  }

  void show_json(const binlog::Event& event) {
    json document{{"place", source_.place(event)},
                  {"type", binlog::type_name(event.header.type)},
                  {"time_s", event.header.time_s},
                  {"server_id", event.header.server_id},
                  {"bytes", event.header.size},
                  {"detail", std::visit(Describe{}, event.body)}};
    if (!gtid_.empty()) document["gtid"] = gtid_;
    if (const auto* table = table_of(event)) {
      document["schema"] = table->schema;
      document["table"] = table->table;
    }
    if (const auto* query = event.as<binlog::Query>()) document["sql"] = query->sql;
    if (const auto* annotate = event.as<binlog::Annotate>()) document["sql"] = annotate->sql;
    if (const auto* rows = event.as<binlog::Rows>(); rows != nullptr && rows->table != nullptr)
      add_rows(document, *rows);
    print_json("inspect binlog", {{"event", std::move(document)}});
  }

  void add_rows(json& document, const binlog::Rows& rows) {
    const Known& it = known(rows.table);
    json& list = document["rows"] = json::array();
    const auto add = [&](const binlog::Row& row) {
      json item = json::object();
      if (!row.before.empty()) item["before"] = image_json(it, row.before);
      if (!row.after.empty()) item["after"] = image_json(it, row.after);
      list.push_back(std::move(item));
    };
    try {
      if (const auto more = each_row(rows, it, add); more > 0) document["rows_left_out"] = more;
    } catch (const Error& error) {
      document["rows_unreadable"] = error.cause();
    }
  }

  // Values are text, since JSON's numbers are too small for some; bytes that are no text are {"hex": …}; absent columns are not there.
  static json image_json(const Known& it, binlog::Image image) {
    json values = json::object();
    for (std::size_t i = 0; i < image.size(); ++i) {
      if (image[i].state == binlog::Cell::State::absent) continue;
      json& value = values[it.names[i]];
      if (image[i].state == binlog::Cell::State::null) continue;
      const std::string text = value_text(image[i], it.layout.columns[i]);
      const bool is_text =
          std::none_of(text.begin(), text.end(), [](char c) { return c == '\0'; }) && is_utf8(text);
      if (is_text) {
        value = text;
      } else {
        value = {{"hex", hex(text)}};
      }
    }
    return values;
  }

  static bool is_utf8(std::string text) {
    std::replace_if(
        text.begin(), text.end(), [](char c) { return (c >= 0 && c < ' ') || c == '\x7f'; }, ' ');
    return is_printable(text);
  }

  const InspectBinlogArguments& arguments_;
  Source& source_;
  bool is_json_;
  gtid::Flavour flavour_ = gtid::Flavour::mysql;
  std::string gtid_;
  std::optional<gtid::Set> from_;
  bool is_behind_ = false;
  bool has_noted_guesses_ = false;
  std::uint64_t shown_ = 0;
  std::map<std::uint64_t, Known> known_;
};

}  // namespace

void inspect_binlog(const InspectBinlogArguments& arguments, bool is_json, const Stop& stop) {
  const auto source = open_source(arguments);
  Inspection inspection(arguments, *source, is_json);
  while (const binlog::Event* event = source->next()) {
    stop.throw_if_requested();
    if (!inspection.take(*event)) return;
  }
}

}  // namespace godwit::cli
