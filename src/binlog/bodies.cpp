#include "bodies.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "compression.h"
#include "godwit/util/error.h"

namespace godwit::binlog {

// --- Format description -------------------------------------------------------------------------------------------
// version: u16 · server version: 50 bytes · created: u32 · header length: u8 · post-header lengths: u8 each · algorithm: u8 · crc32

FormatDescription decode_format_description(std::string_view body, Format& format) {
  constexpr std::size_t kVersionBytes = 50;
  constexpr std::size_t kTailBytes = 5;
  Bytes in(body);
  FormatDescription result;
  result.version = in.u16();
  const auto version = in.take(kVersionBytes);
  result.server_version = version.substr(0, std::min(version.find('\0'), version.size()));
  in.u32();
  const std::uint8_t header_bytes = in.u8();
  if (result.version != 4 || header_bytes != Header::kBytes) {
    throw Error(Code::event_unsupported,
                {.object = "binlog format " + std::to_string(result.version),
                 .cause = "only format 4 is read (MySQL from 5.6.1 on, MariaDB from 5.3 on)",
                 .remedy = "move the data to a newer server first"});
  }
  if (in.size() < kTailBytes) fail_short();
  const auto lengths = in.take(in.size() - kTailBytes);
  constexpr auto kTableMap = static_cast<std::size_t>(EventType::table_map) - 1;
  if (lengths.size() <= kTableMap) fail_corrupt("it does not describe table maps");
  const std::uint8_t algorithm = in.u8();
  if (algorithm > 1) {
    throw Error(Code::event_unsupported,
                {.object = fmt::format("binlog checksum algorithm {}", algorithm),
                 .cause = "it is not known",
                 .remedy = "SET GLOBAL binlog_checksum = CRC32, and flush the binlog"});
  }
  result.checksum = static_cast<Checksum>(algorithm);
  const bool is_mariadb = result.server_version.find("MariaDB") != std::string::npos;
  result.flavour = is_mariadb ? gtid::Flavour::mariadb : gtid::Flavour::mysql;
  format = {.flavour = result.flavour,
            .checksum = result.checksum,
            .table_id_bytes = byte_at(lengths, kTableMap) == 6 ? std::size_t{4} : std::size_t{6}};
  return result;
}

// --- Query --------------------------------------------------------------------------------------------------------
// thread: u32 · duration: u32 · schema length: u8 · error: u16 · variables length: u16 · [load: 13 bytes] ·
// variables: { code u8, value } · schema, 0 · statement

namespace {

constexpr std::size_t kUpdatedSchemasMax = 254;  // from there on: "too many to name"

// False for a code that is not known: the rest of the list cannot be read then.
bool read_variable(Query& query, Bytes& in) {
  switch (in.u8()) {
    case 0: query.flags2 = in.u32(); return true;
    case 1: query.sql_mode = in.u64(); return true;
    case 2:
      in.short_text();
      in.u8();
      return true;                  // catalog, with its end
    case 3: in.u32(); return true;  // auto_increment increment and offset
    case 4: {
      Query::Charset charset;
      charset.client = in.u16();
      charset.connection_collation = in.u16();
      charset.server_collation = in.u16();
      query.charset = charset;
      return true;
    }
    case 5: query.time_zone = in.short_text(); return true;
    case 6: in.short_text(); return true;  // catalog
    case 7: in.u16(); return true;         // lc_time_names
    case 8: query.schema_collation = in.u16(); return true;
    case 9: in.u64(); return true;   // tables of a multi-table update
    case 10: in.u32(); return true;  // bytes written on the first source
    case 11:
      in.short_text();
      in.short_text();
      return true;  // invoker: user, host
    case 12: {
      const std::size_t count = in.u8();
      if (count >= kUpdatedSchemasMax) return true;
      for (std::size_t i = 0; i < count; ++i) {
        const auto end = in.rest().find('\0');
        if (end == std::string_view::npos) fail_short();
        query.updated_schemas.push_back(in.take(end));
        in.u8();
      }
      return true;
    }
    case 13: in.u24(); return true;  // microseconds
    case 14: in.u64(); return true;  // commit time stamps of another server family
    case 15: in.take(16); return true;
    case 16: in.u8(); return true;   // explicit_defaults_for_timestamp
    case 17: in.u64(); return true;  // XID of DDL
    case 18: query.default_utf8mb4_collation = in.u16(); return true;
    case 19: in.u8(); return true;    // sql_require_primary_key
    case 20: in.u8(); return true;    // default_table_encryption
    case 128: in.u24(); return true;  // MariaDB: microseconds
    case 129: in.u64(); return true;  // MariaDB: XID of DDL
    case 130: {                       // MariaDB: halves of an ALTER
      const std::uint16_t flags = in.u16();
      constexpr unsigned kCommitOrRollbackAlter = 0x06;
      if ((flags & kCommitOrRollbackAlter) != 0) in.u64();
      return true;
    }
    default: return false;
  }
}

void read_variables(Query& query, Bytes in) {
  while (!in.is_at_end()) {
    if (!read_variable(query, in)) {
      query.are_all_variables_known = false;
      return;
    }
  }
}

Query decode_query_head(Bytes& in, std::size_t extra_bytes) {
  Query query;
  query.thread_id = in.u32();
  query.duration_s = in.u32();
  const std::size_t schema_bytes = in.u8();
  query.error_code = in.u16();
  const std::size_t variable_bytes = in.u16();
  in.take(extra_bytes);
  read_variables(query, Bytes(in.take(variable_bytes)));
  query.schema = in.take(schema_bytes);
  if (in.u8() != 0) fail_corrupt("a schema name that does not end where it says");
  return query;
}

}  // namespace

Query decode_query(std::string_view body) {
  Bytes in(body);
  Query query = decode_query_head(in, 0);
  query.sql = in.take_rest();
  return query;
}

Query decode_query_compressed(std::string_view body, std::string& text, std::size_t bytes_max) {
  Bytes in(body);
  Query query = decode_query_head(in, 0);
  text.clear();
  append_uncompressed(text, in.take_rest(), bytes_max);
  query.sql = text;
  return query;
}

LoadData decode_load_data(EventType type, std::string_view body) {
  LoadData load;
  if (type == EventType::execute_load_query) {
    constexpr std::size_t kQueryHeadBytes = 13;
    constexpr std::size_t kLoadBytes =
        13;  // file id u32, name's begin u32 and end u32 in the statement, duplicates u8
    Bytes head(body);
    head.take(kQueryHeadBytes);
    load.file_id = head.u32();
    Bytes in(body);
    load.execution = decode_query_head(in, kLoadBytes);
    load.execution->sql = in.take_rest();
    return load;
  }
  Bytes in(body);
  load.file_id = in.u32();
  load.block = in.take_rest();
  return load;
}

// --- GTIDs --------------------------------------------------------------------------------------------------------

namespace {

constexpr std::uint64_t kNumberMax = 0x7ffffffffffffffeULL;
constexpr std::uint8_t kFlagMayHaveStatements = 1;

gtid::Uuid uuid_of(std::string_view bytes) {
  gtid::Uuid uuid;
  std::memcpy(uuid.bytes.data(), bytes.data(), uuid.bytes.size());
  return uuid;
}

void check_number(const Gtid& event) {
  const std::uint64_t number = event.gtid.number;
  const bool is_fine = event.is_anonymous ? number == 0 : number != 0 && number <= kNumberMax;
  if (!is_fine) fail_corrupt(fmt::format("a transaction number {} that none has", number));
}

// flags u8 · UUID · number i64 · 2 · last committed i64 · sequence i64 · [immediate time u56, its top bit: original time u56 follows] ·
// [bytes packed] · [immediate version u32, its top bit: original version u32 follows] · [commit group u64]
Gtid decode_gtid_untagged(bool is_anonymous, Bytes in) {
  constexpr std::uint8_t kLogicalClock = 2;
  constexpr std::uint64_t kHasOriginalTime = std::uint64_t{1} << 55;
  constexpr std::uint32_t kHasOriginalVersion = std::uint32_t{1} << 31;
  Gtid event{.is_anonymous = is_anonymous};
  event.may_have_statements = (in.u8() & kFlagMayHaveStatements) != 0;
  event.gtid.uuid = uuid_of(in.take(16));
  event.gtid.number = in.u64();
  check_number(event);
  if (in.is_at_end() || in.u8() != kLogicalClock) return event;
  event.last_committed = static_cast<std::int64_t>(in.u64());
  event.sequence_number = static_cast<std::int64_t>(in.u64());
  if (in.is_at_end()) return event;
  const std::uint64_t time = in.u56();
  event.immediate_commit_us = time & ~kHasOriginalTime;
  event.original_commit_us = (time & kHasOriginalTime) != 0 ? in.u56() : event.immediate_commit_us;
  if (in.is_at_end()) return event;
  event.transaction_bytes = in.packed();
  if (in.is_at_end()) return event;
  const std::uint32_t version = in.u32();
  event.immediate_server_version = version & ~kHasOriginalVersion;
  event.original_server_version =
      (version & kHasOriginalVersion) != 0 ? in.u32() : event.immediate_server_version;
  return event;
}

gtid::Uuid varint_uuid(Bytes& in) {
  gtid::Uuid uuid;
  for (auto& byte : uuid.bytes) {
    const std::uint64_t value = in.varint();
    if (value > 255) fail_corrupt("a UUID of bytes that are none");
    byte = static_cast<std::uint8_t>(value);
  }
  return uuid;
}

std::string varint_tag(Bytes& in) {
  const std::uint64_t size = in.varint();
  if (size > 32) fail_corrupt("a tag that is too long");
  return std::string(in.take(static_cast<std::size_t>(size)));
}

// One field of Gtid_event's message; the ids are those of its field definitions. False for one that is not known.
bool read_tagged_field(std::uint64_t id, Gtid& event, Bytes& in) {
  switch (id) {
    case 0: event.may_have_statements = (in.varint() & kFlagMayHaveStatements) != 0; return true;
    case 1: event.gtid.uuid = varint_uuid(in); return true;
    case 2: event.gtid.number = static_cast<std::uint64_t>(in.signed_varint()); return true;
    case 3: event.gtid.tag = varint_tag(in); return true;
    case 4: event.last_committed = in.signed_varint(); return true;
    case 5: event.sequence_number = in.signed_varint(); return true;
    case 6: event.immediate_commit_us = in.varint(); return true;
    case 7: event.original_commit_us = in.varint(); return true;
    case 8: event.transaction_bytes = in.varint(); return true;
    case 9: event.immediate_server_version = static_cast<std::uint32_t>(in.varint()); return true;
    case 10: event.original_server_version = static_cast<std::uint32_t>(in.varint()); return true;
    case 11: in.varint(); return true;  // commit group
    default: return false;
  }
}

// mysql::serialization: version varint · message bytes varint · last field that may not be ignored varint · { field id varint, value }
Gtid decode_gtid_tagged(Bytes in) {
  Gtid event;
  const std::size_t whole = in.size();
  if (in.varint() != 1) {
    throw Error(Code::event_unsupported,
                {.object = "tagged GTID event",
                 .cause = "its serialization is not version 1",
                 .remedy = "this godwit is older than the server: take a newer one"});
  }
  const std::uint64_t message_bytes = in.varint();
  const std::uint64_t last_required = in.varint();
  const std::size_t head_bytes = whole - in.size();
  if (message_bytes < head_bytes || message_bytes > whole)
    fail_corrupt("its message is not as long as it says");
  Bytes fields(in.take(static_cast<std::size_t>(message_bytes) - head_bytes));
  while (!fields.is_at_end()) {
    const std::uint64_t id = fields.varint();
    if (read_tagged_field(id, event, fields)) continue;
    if (id <= last_required) fail_corrupt(fmt::format("a field {} that must be understood", id));
    break;  // of a newer server, and the rest may be ignored
  }
  if (event.original_commit_us == 0) event.original_commit_us = event.immediate_commit_us;
  if (event.original_server_version == 0)
    event.original_server_version = event.immediate_server_version;
  check_number(event);
  return event;
}

}  // namespace

Gtid decode_gtid(EventType type, std::string_view body) {
  if (type == EventType::gtid_tagged) return decode_gtid_tagged(Bytes(body));
  return decode_gtid_untagged(type == EventType::anonymous_gtid, Bytes(body));
}

// sequence u64 · domain u32 · flags u8 · [commit id u64] · [format i32, gtrid length u8, bqual length u8, both] ·
// [extra flags u8 · [engines u8] · [sequence of the ALTER's start u64] · …]
GtidMariadb decode_gtid_mariadb(std::string_view body, std::uint32_t server_id) {
  constexpr std::uint8_t kMultiEngine = 1;
  constexpr std::uint8_t kCommitAlter = 2;
  constexpr std::uint8_t kRollbackAlter = 4;
  Bytes in(body);
  GtidMariadb event;
  event.gtid.sequence = in.u64();
  event.gtid.domain = in.u32();
  event.gtid.server = server_id;
  event.flags = in.u8();
  if ((event.flags & GtidMariadb::kGroupCommit) != 0) event.commit_id = in.u64();
  if ((event.flags & (GtidMariadb::kPreparedXa | GtidMariadb::kCompletedXa)) != 0) {
    XaId id;
    id.format = static_cast<std::int32_t>(in.u32());
    const std::size_t global_bytes = in.u8();
    const std::size_t branch_bytes = in.u8();
    id.global = in.take(global_bytes);
    id.branch = in.take(branch_bytes);
    event.xa = std::move(id);
  }
  // Older servers pad the event to 19 bytes with zeros, which read as no extra flags.
  if (in.is_at_end()) return event;
  event.flags_extra = in.u8();
  if ((event.flags_extra & kMultiEngine) != 0) in.u8();
  if ((event.flags_extra & (kCommitAlter | kRollbackAlter)) != 0) event.alter_sequence = in.u64();
  return event;
}

GtidList decode_gtid_list(std::string_view body) {
  constexpr std::uint32_t kCountMask = 0x0fffffff;
  constexpr std::size_t kGtidBytes = 16;
  Bytes in(body);
  const std::size_t count = in.u32() & kCountMask;
  if (count > in.size() / kGtidBytes) fail_short();
  GtidList list;
  list.gtids.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    gtid::MariadbGtid gtid;
    gtid.domain = in.u32();
    gtid.server = in.u32();
    gtid.sequence = in.u64();
    list.gtids.push_back(gtid);
  }
  return list;
}

// --- The others ---------------------------------------------------------------------------------------------------

XaPrepare decode_xa_prepare(std::string_view body) {
  constexpr std::uint32_t kPartBytesMax = 64;  // of the XA standard
  Bytes in(body);
  XaPrepare event;
  event.is_one_phase = in.u8() != 0;
  event.id.format = static_cast<std::int32_t>(in.u32());
  const std::uint32_t global_bytes = in.u32();
  const std::uint32_t branch_bytes = in.u32();
  if (global_bytes > kPartBytesMax || branch_bytes > kPartBytesMax)
    fail_corrupt("an XA id that is too long");
  event.id.global = in.take(global_bytes);
  event.id.branch = in.take(branch_bytes);
  return event;
}

// { field u8 (0 end, 1 file, 2 offset), packed length, value }
Heartbeat decode_heartbeat_v2(std::string_view body) {
  Bytes in(body);
  Heartbeat event;
  while (!in.is_at_end()) {
    const std::uint64_t field = in.packed();
    if (field == 0) break;
    Bytes value(in.take(in.packed_size()));
    if (field == 1) event.file = value.take_rest();
    if (field == 2) event.offset = value.packed();
  }
  return event;
}

Rotate decode_rotate(std::string_view body) {
  Bytes in(body);
  Rotate event;
  event.offset = in.u64();
  event.file = in.take_rest();
  return event;
}

Intvar decode_intvar(std::string_view body) {
  constexpr std::uint8_t kInsertId = 2;
  Bytes in(body);
  Intvar event;
  event.is_insert_id = in.u8() == kInsertId;
  event.value = in.u64();
  return event;
}

Rand decode_rand(std::string_view body) {
  Bytes in(body);
  Rand event;
  event.seed1 = in.u64();
  event.seed2 = in.u64();
  return event;
}

Incident decode_incident(std::string_view body) {
  Bytes in(body);
  Incident event;
  event.number = in.u16();
  if (!in.is_at_end()) event.message = in.short_text();
  return event;
}

UserVar decode_user_var(std::string_view body) {
  Bytes in(body);
  UserVar event;
  event.name = in.take(in.u32());
  event.is_null = in.u8() != 0;
  if (event.is_null) return event;
  event.type = in.u8();
  event.collation = in.u32();
  event.value = in.take(in.u32());
  return event;
}

}  // namespace godwit::binlog
