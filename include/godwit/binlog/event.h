// What a binlog holds, decoded. Every view points into the bytes given to the decoder (or its own buffer, for compressed
// events) and is valid until the next event is decoded. Plain data.
// Sources: MySQL libs/mysql/binlog/event/*.h; MariaDB sql/log_event.h.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "godwit/binlog/table.h"
#include "godwit/gtid/set.h"

namespace godwit::binlog {

// clang-format off
enum class EventType : std::uint8_t {
  unknown = 0, start_v3 = 1, query = 2, stop = 3, rotate = 4, intvar = 5, load = 6, slave = 7, create_file = 8, append_block = 9,
  exec_load = 10, delete_file = 11, new_load = 12, rand = 13, user_var = 14, format_description = 15, xid = 16,
  begin_load_query = 17, execute_load_query = 18, table_map = 19, pre_ga_write_rows = 20, pre_ga_update_rows = 21,
  pre_ga_delete_rows = 22, write_rows_v1 = 23, update_rows_v1 = 24, delete_rows_v1 = 25, incident = 26, heartbeat = 27,
  ignorable = 28, rows_query = 29, write_rows = 30, update_rows = 31, delete_rows = 32, gtid = 33, anonymous_gtid = 34,
  previous_gtids = 35, transaction_context = 36, view_change = 37, xa_prepare = 38, partial_update_rows = 39,
  transaction_payload = 40, heartbeat_v2 = 41, gtid_tagged = 42, annotate_rows = 160, binlog_checkpoint = 161, gtid_mariadb = 162,
  gtid_list = 163, start_encryption = 164, query_compressed = 165, write_rows_compressed_v1 = 166, update_rows_compressed_v1 = 167,
  delete_rows_compressed_v1 = 168, write_rows_compressed = 169, update_rows_compressed = 170, delete_rows_compressed = 171
};
// clang-format on
std::string type_name(EventType type);  // "write_rows"; "event 99" for one that is not known

struct Header {
  static constexpr std::size_t kBytes = 19;
  static constexpr std::uint16_t kArtificial =
      0x20;  // made by the server for this reader; not in the file
  static constexpr std::uint16_t kIgnorable =
      0x80;  // who does not know the type may skip the event

  std::uint32_t time_s = 0;  // seconds since 1970; 0 for artificial events
  EventType type = EventType::unknown;
  std::uint32_t server_id = 0;
  std::uint32_t size = 0;  // with header and checksum
  std::uint32_t end_offset =
      0;  // 0 where the server does not know it (MariaDB from 11.4 on, inside transactions); wraps at 4 GiB
  std::uint16_t flags = 0;
  bool is_artificial() const { return (flags & kArtificial) != 0; }
  bool is_ignorable() const { return (flags & kIgnorable) != 0; }
};

enum class Checksum : std::uint8_t { none = 0, crc32 = 1 };

struct FormatDescription {
  std::uint16_t version = 0;
  std::string server_version;
  gtid::Flavour flavour = gtid::Flavour::mysql;
  Checksum checksum = Checksum::none;
};

struct Rotate {
  std::uint64_t offset = 0;
  std::string_view file;
};

struct Stop {};

struct Query {
  std::uint32_t thread_id = 0;
  std::uint32_t duration_s = 0;
  std::uint16_t error_code = 0;
  std::string_view schema;  // the default one
  std::string_view sql;
  // Status variables; absent where the server did not log them.
  std::optional<std::uint32_t> flags2;
  std::optional<std::uint64_t> sql_mode;
  struct Charset {
    std::uint16_t client = 0;
    std::uint16_t connection_collation = 0;
    std::uint16_t server_collation = 0;
  };
  std::optional<Charset> charset;
  std::optional<std::uint16_t> schema_collation;
  std::optional<std::uint16_t> default_utf8mb4_collation;
  std::string_view time_zone;  // empty: not logged
  std::vector<std::string_view> updated_schemas;
  bool are_all_variables_known =
      true;  // false: a status variable of a newer server ended the list early

  bool is_begin() const { return sql == "BEGIN"; }
};

struct Xid {
  std::uint64_t id = 0;
};

// Ends a transaction's first half: its rows are durable, its outcome comes with a later XA COMMIT or XA ROLLBACK (a Query).
struct XaId {
  std::int32_t format = 0;
  std::string global;  // gtrid
  std::string branch;  // bqual
  bool operator==(const XaId&) const = default;
};
struct XaPrepare {
  bool is_one_phase = false;  // XA COMMIT … ONE PHASE: a commit
  XaId id;
};

// Begins a MySQL transaction.
struct Gtid {
  gtid::MysqlGtid gtid;  // number 0 when anonymous
  bool is_anonymous = false;
  bool may_have_statements = false;  // FLAG_MAY_HAVE_SBR
  std::int64_t last_committed = 0;
  std::int64_t sequence_number = 0;
  std::uint64_t immediate_commit_us = 0;  // 0: not logged
  std::uint64_t original_commit_us = 0;
  std::uint64_t transaction_bytes = 0;
  std::uint32_t immediate_server_version = 0;
  std::uint32_t original_server_version = 0;
};

// Begins a MariaDB transaction; no BEGIN query follows. Ended by Xid, or COMMIT or ROLLBACK as a Query, or by its one Query when standalone.
struct GtidMariadb {
  static constexpr std::uint8_t kStandalone = 1;
  static constexpr std::uint8_t kGroupCommit = 2;
  static constexpr std::uint8_t kTransactional = 4;
  static constexpr std::uint8_t kAllowParallel = 8;
  static constexpr std::uint8_t kWaited = 16;
  static constexpr std::uint8_t kDdl = 32;
  static constexpr std::uint8_t kPreparedXa = 64;
  static constexpr std::uint8_t kCompletedXa = 128;

  gtid::MariadbGtid gtid;
  std::uint8_t flags = 0;
  std::uint64_t commit_id = 0;
  std::optional<XaId> xa;  // with kPreparedXa or kCompletedXa
  std::uint8_t flags_extra =
      0;  // 2: start of an ALTER is elsewhere (COMMIT ALTER), 4: ROLLBACK ALTER, 8: START ALTER
  std::uint64_t alter_sequence = 0;
  bool is_standalone() const { return (flags & kStandalone) != 0; }
};

struct GtidList {
  std::vector<gtid::MariadbGtid> gtids;
};
struct PreviousGtids {
  gtid::Set set;
};
struct Heartbeat {
  std::string_view file;
  std::uint64_t offset = 0;
};
struct BinlogCheckpoint {
  std::string_view file;
};
struct StartEncryption {};
struct
    Annotate {  // MariaDB's ANNOTATE_ROWS and MySQL's ROWS_QUERY: the statement behind the row events that follow
  std::string_view sql;
};
struct Intvar {
  bool is_insert_id = false;  // else LAST_INSERT_ID
  std::uint64_t value = 0;
};
struct Rand {
  std::uint64_t seed1 = 0;
  std::uint64_t seed2 = 0;
};
struct UserVar {
  std::string_view name;
  bool is_null = false;
  std::uint8_t type = 0;
  std::uint32_t collation = 0;
  std::string_view value;
};
// LOAD DATA in statement format: nothing here applies it, so that whoever meets one must stop.
struct LoadData {
  std::uint32_t file_id = 0;
  std::string_view block;          // of BEGIN_LOAD_QUERY and APPEND_BLOCK
  std::optional<Query> execution;  // of EXECUTE_LOAD_QUERY
};
struct Incident {
  std::uint16_t number = 0;
  std::string_view message;
};
// Before the events it holds; they follow one by one, as if they had not been compressed.
struct TransactionPayload {
  std::uint64_t compressed_bytes = 0;
  std::uint64_t uncompressed_bytes = 0;
  bool is_compressed = false;
};
// Of group replication: a transaction's certification data, and a change of members. Neither changes data.
struct GroupReplication {};
// MySQL's IGNORABLE type itself.
struct Ignorable {};

struct TableMapped {
  std::shared_ptr<const TableMap>
      table;  // the same object as before while the description does not change
};

enum class RowsKind { insert, update, erase };

// Rows of one table; RowReader (rows.h) takes them apart. To keep it: copy present_* and rows, and share table.
struct Rows {
  static constexpr std::uint16_t kStatementEnd = 1;
  static constexpr std::uint16_t kNoForeignKeyChecks = 2;
  static constexpr std::uint16_t kRelaxedUniqueChecks = 4;

  std::shared_ptr<const TableMap>
      table;  // nullptr: table id of a dummy event that only ends a statement
  std::uint64_t table_id = 0;
  RowsKind kind = RowsKind::insert;
  std::uint16_t flags = 0;
  bool is_partial = false;  // PARTIAL_UPDATE_ROWS: after images may hold JSON diffs
  std::uint32_t column_count = 0;
  std::string_view
      present_before;  // bitmaps, one bit per column, lowest bit first; empty where the kind has no such image
  std::string_view present_after;
  std::string_view rows;
  bool is_statement_end() const { return (flags & kStatementEnd) != 0; }
};

// Of a type that is not decoded. Skipping it is right only when header.is_ignorable().
struct Unknown {
  std::string_view bytes;
};

using Body = std::variant<Unknown,
                          FormatDescription,
                          Rotate,
                          Stop,
                          Query,
                          Xid,
                          XaPrepare,
                          Gtid,
                          GtidMariadb,
                          GtidList,
                          PreviousGtids,
                          Heartbeat,
                          BinlogCheckpoint,
                          StartEncryption,
                          Annotate,
                          Intvar,
                          Rand,
                          UserVar,
                          LoadData,
                          Incident,
                          TransactionPayload,
                          GroupReplication,
                          Ignorable,
                          TableMapped,
                          Rows>;

struct Event {
  Header header;
  Body body;
  bool is_inside_payload =
      false;  // it came out of a TRANSACTION_PAYLOAD: header.end_offset is of no use

  template <typename T>
  const T* as() const {
    return std::get_if<T>(&body);
  }
};

}  // namespace godwit::binlog
