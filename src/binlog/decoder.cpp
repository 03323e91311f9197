#include "godwit/binlog/decoder.h"

#include <fmt/format.h>
#include <zlib.h>

#include <array>
#include <unordered_map>

#include "bodies.h"
#include "bytes.h"
#include "compression.h"
#include "godwit/util/error.h"
#include "table_map.h"

namespace godwit::binlog {
namespace {

constexpr std::size_t kChecksumBytes = 4;
constexpr std::uint64_t kNoTable = 0x00ffffff;  // of a rows event that only ends a statement

std::uint32_t crc_of(std::uint32_t crc, std::string_view bytes) {
  return static_cast<std::uint32_t>(
      ::crc32_z(crc, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

bool has_right_checksum(std::string_view event, bool is_format_description) {
  const auto covered = event.substr(0, event.size() - kChecksumBytes);
  const auto expected = little_endian<std::uint32_t>(event.substr(covered.size()));
  if (!is_format_description) return crc_of(0, covered) == expected;
  // Of an open file the format description says "in use", which its checksum does not cover.
  constexpr std::size_t kFlagsAt = 17;
  constexpr std::uint8_t kInUse = 1;
  std::array<char, Header::kBytes> header{};
  covered.copy(header.data(), header.size());
  header[kFlagsAt] = static_cast<char>(byte_at(covered, kFlagsAt) & ~kInUse);
  return crc_of(crc_of(0, {header.data(), header.size()}), covered.substr(Header::kBytes)) ==
         expected;
}

[[noreturn]] void fail_too_large(std::size_t bytes, std::size_t bytes_max) {
  throw Error(Code::event_unsupported,
              {.object = "binlog",
               .cause = fmt::format("an event of {} bytes; {} are the limit", bytes, bytes_max),
               .remedy = "change such rows in smaller statements (binlog_row_event_max_size limits "
                         "what several rows take together)"});
}

// What a rows event of each type is.
struct RowsForm {
  RowsKind kind = RowsKind::insert;
  bool has_extra = false;  // version 2
  bool is_compressed = false;
  bool is_partial = false;
};

std::optional<RowsForm> rows_form(EventType type) {
  switch (static_cast<int>(type)) {
    case 23: return RowsForm{.kind = RowsKind::insert};
    case 24: return RowsForm{.kind = RowsKind::update};
    case 25: return RowsForm{.kind = RowsKind::erase};
    case 30: return RowsForm{.kind = RowsKind::insert, .has_extra = true};
    case 31: return RowsForm{.kind = RowsKind::update, .has_extra = true};
    case 32: return RowsForm{.kind = RowsKind::erase, .has_extra = true};
    case 39: return RowsForm{.kind = RowsKind::update, .has_extra = true, .is_partial = true};
    case 166: return RowsForm{.kind = RowsKind::insert, .is_compressed = true};
    case 167: return RowsForm{.kind = RowsKind::update, .is_compressed = true};
    case 168: return RowsForm{.kind = RowsKind::erase, .is_compressed = true};
    case 169: return RowsForm{.kind = RowsKind::insert, .has_extra = true, .is_compressed = true};
    case 170: return RowsForm{.kind = RowsKind::update, .has_extra = true, .is_compressed = true};
    case 171: return RowsForm{.kind = RowsKind::erase, .has_extra = true, .is_compressed = true};
    default: return std::nullopt;
  }
}

// Of a TRANSACTION_PAYLOAD: { field packed (0 end, 1 payload bytes, 2 compression, 3 uncompressed bytes), packed length, value }
TransactionPayload decode_payload_head(Bytes& in) {
  constexpr std::uint64_t kZstd = 0;
  constexpr std::uint64_t kNone = 255;
  TransactionPayload payload;
  std::uint64_t algorithm = kNone;
  while (const std::uint64_t field = in.packed()) {
    Bytes value(in.take(in.packed_size()));
    if (field == 1) payload.compressed_bytes = value.packed();
    if (field == 2) algorithm = value.packed();
    if (field == 3) payload.uncompressed_bytes = value.packed();
  }
  if (algorithm != kZstd && algorithm != kNone) {
    throw Error(Code::event_unsupported,
                {.object = fmt::format("transaction payload with compression {}", algorithm),
                 .cause = "it is not known",
                 .remedy = "SET GLOBAL binlog_transaction_compression = OFF on the source"});
  }
  if (payload.compressed_bytes != in.size()) fail_corrupt("its payload is not as long as it says");
  payload.is_compressed = algorithm == kZstd;
  return payload;
}

}  // namespace

Header decode_header(std::string_view bytes) {
  Bytes in(bytes);
  Header header;
  header.time_s = in.u32();
  header.type = static_cast<EventType>(in.u8());
  header.server_id = in.u32();
  header.size = in.u32();
  header.end_offset = in.u32();
  header.flags = in.u16();
  if (header.size < Header::kBytes) fail_corrupt("an event shorter than its header");
  return header;
}

struct Decoder::Impl {
  struct Known {
    std::string bytes;  // its description as it came: the same bytes are the same table
    std::shared_ptr<const TableMap> table;
  };

  explicit Impl(const DecoderLimits& l) : limits(l) {}

  DecoderLimits limits;
  Format format;
  bool has_format = false;
  bool has_negative_zero = true;
  std::unordered_map<std::uint64_t, Known> tables;
  std::size_t table_bytes = 0;     // of all descriptions since they were last forgotten
  bool is_statement_open = false;  // a table map came, and no end of its statement yet
  std::string_view fed;
  std::optional<PayloadStream> payload;
  std::string payload_place;  // where the payload is: that of an event inside says nothing
  std::string inner;  // the event that came out of the payload
  std::string uncompressed;
  Event event;

  void forget_tables() {
    tables.clear();
    table_bytes = 0;
    is_statement_open = false;
  }

  // Between statements no table map is needed any more: each statement brings its own.
  void make_room_for_tables() {
    if (is_statement_open) fail_corrupt("a statement on more tables than can be remembered");
    forget_tables();
  }

  void start_anew() {
    format = {};
    has_format = false;
    forget_tables();
    payload.reset();
    fed = {};
  }

  const Event* next() {
    if (!fed.empty()) {
      const auto bytes = fed;
      fed = {};
      decode(bytes, false);
      return &event;
    }
    if (payload && next_inside()) return &event;
    payload.reset();
    return nullptr;
  }

  bool next_inside() {
    try {
      return read_inside();
    } catch (const Error& error) {
      throw error.in(payload_place);
    }
  }

  bool read_inside() {
    inner.clear();
    if (!payload->append(inner, Header::kBytes)) return false;
    const Header header = decode_header(inner);
    if (header.size > limits.event_bytes_max) fail_too_large(header.size, limits.event_bytes_max);
    const std::size_t rest = header.size - Header::kBytes;
    if (rest > 0 && !payload->append(inner, rest)) fail_corrupt("its payload ends inside an event");
    decode(inner, true);
    return true;
  }

  void decode(std::string_view bytes, bool is_inside_payload) {
    event.header = decode_header(bytes);
    event.is_inside_payload = is_inside_payload;
    event.body = Unknown{};
    try {
      if (event.header.size != bytes.size())
        fail_corrupt(fmt::format("it says {} bytes and has {}", event.header.size, bytes.size()));
      event.body = decode_body(event.header, body_of(bytes, is_inside_payload));
    } catch (const Error& error) {
      throw error.in(place());
    }
  }

  std::string place() const { return fmt::format("{} event that ends at {}", type_name(event.header.type), event.header.end_offset); }

  // Without header and checksum; the checksum is verified.
  std::string_view body_of(std::string_view bytes, bool is_inside_payload) {
    const auto body = bytes.substr(Header::kBytes);
    if (is_inside_payload) return body;
    if (event.header.type == EventType::format_description) {
      constexpr std::size_t kTailBytes = 1 + kChecksumBytes;
      if (body.size() < kTailBytes) fail_short();
      if (body[body.size() - kTailBytes] != '\0') verify(bytes, true);
      return body;
    }
    if (event.header.type == EventType::rotate && !is_rotate_checksummed(bytes)) return body;
    const bool is_rotate = event.header.type == EventType::rotate;
    if (!has_format && !is_rotate) fail_corrupt("it comes before any format description");
    if (format.checksum == Checksum::none && !is_rotate) return body;
    verify(bytes, false);
    return body.substr(0, body.size() - kChecksumBytes);
  }

  // The rotate that opens a stream comes before the format that says whether there are checksums, and one that leads
  // from a file with them to one without may follow either's: the bytes themselves tell.
  bool is_rotate_checksummed(std::string_view bytes) const {
    const bool must_look = !has_format || event.header.is_artificial() || event.header.time_s == 0;
    if (!must_look) return format.checksum == Checksum::crc32;
    return bytes.size() >= Header::kBytes + kChecksumBytes && has_right_checksum(bytes, false);
  }

  static void verify(std::string_view bytes, bool is_format_description) {
    if (bytes.size() < Header::kBytes + kChecksumBytes) fail_short();
    if (has_right_checksum(bytes, is_format_description)) return;
    throw Error(Code::event_checksum_wrong,
                {.object = "binlog",
                 .cause = "its bytes do not have the checksum that stands behind them",
                 .remedy = "if it is so at each attempt, the server's binlog file is damaged: "
                           "begin anew from a later position"});
  }

  Body decode_body(const Header& header, std::string_view body) {
    if (const auto form = rows_form(header.type)) return decode_rows(*form, Bytes(body));
    Bytes in(body);
    switch (header.type) {
      case EventType::format_description: return new_format(body);
      case EventType::rotate: return decode_rotate(body);
      case EventType::stop: return Stop{};
      case EventType::query: return decode_query(body);
      case EventType::query_compressed:
        return decode_query_compressed(body, uncompressed, limits.event_bytes_max);
      case EventType::xid: return Xid{.id = in.u64()};
      case EventType::xa_prepare: return decode_xa_prepare(body);
      case EventType::gtid:
      case EventType::anonymous_gtid:
      case EventType::gtid_tagged: return decode_gtid(header.type, body);
      case EventType::gtid_mariadb: return decode_gtid_mariadb(body, header.server_id);
      case EventType::gtid_list: return decode_gtid_list(body);
      case EventType::previous_gtids: return PreviousGtids{.set = gtid::Set::decode(body)};
      case EventType::heartbeat: return Heartbeat{.file = body, .offset = header.end_offset};
      case EventType::heartbeat_v2: return decode_heartbeat_v2(body);
      case EventType::binlog_checkpoint: return BinlogCheckpoint{.file = in.take(in.u32())};
      case EventType::start_encryption: return StartEncryption{};
      case EventType::annotate_rows: return Annotate{.sql = body};
      case EventType::rows_query:
        in.u8();
        return Annotate{.sql = in.take_rest()};  // its length byte holds 255 at most
      case EventType::intvar: return decode_intvar(body);
      case EventType::rand: return decode_rand(body);
      case EventType::user_var: return decode_user_var(body);
      case EventType::begin_load_query:
      case EventType::append_block:
      case EventType::delete_file:
      case EventType::execute_load_query: return decode_load_data(header.type, body);
      case EventType::incident: return decode_incident(body);
      case EventType::transaction_payload: return open_payload(in);
      case EventType::transaction_context:
      case EventType::view_change: return GroupReplication{};
      case EventType::ignorable: return Ignorable{};
      case EventType::table_map: return TableMapped{.table = decode_table(in)};
      case EventType::unknown:
      case EventType::start_v3:
      case EventType::load:
      case EventType::slave:
      case EventType::create_file:
      case EventType::exec_load:
      case EventType::new_load:
      case EventType::pre_ga_write_rows:
      case EventType::pre_ga_update_rows:
      case EventType::pre_ga_delete_rows:
      case EventType::write_rows_v1:
      case EventType::update_rows_v1:
      case EventType::delete_rows_v1:
      case EventType::write_rows:
      case EventType::update_rows:
      case EventType::delete_rows:
      case EventType::partial_update_rows:
      case EventType::write_rows_compressed_v1:
      case EventType::update_rows_compressed_v1:
      case EventType::delete_rows_compressed_v1:
      case EventType::write_rows_compressed:
      case EventType::update_rows_compressed:
      case EventType::delete_rows_compressed: break;
    }
    return Unknown{.bytes = body};
  }

  Body new_format(std::string_view body) {
    FormatDescription description = decode_format_description(body, format);
    has_format = true;
    forget_tables();  // table ids mean nothing across a restart of the server
    return description;
  }

  Body open_payload(Bytes in) {
    if (event.is_inside_payload) fail_corrupt("a payload inside a payload");
    const TransactionPayload head = decode_payload_head(in);
    payload_place = place();
    payload.emplace(in.take_rest(), head.is_compressed);
    return head;
  }

  std::uint64_t read_table_id(Bytes& in) const {
    return format.table_id_bytes == 4 ? in.u32() : in.u48();
  }

  std::shared_ptr<const TableMap> decode_table(Bytes in) {
    const std::uint64_t id = read_table_id(in);
    in.u16();
    const auto known = tables.find(id);
    if (known != tables.end() && known->second.bytes == in.rest()) {
      is_statement_open = true;
      return known->second.table;
    }
    auto table = decode_table_map(
        {.id = id, .flavour = format.flavour, .has_negative_zero = has_negative_zero}, in);
    if (table_bytes + in.size() > limits.table_bytes_max) make_room_for_tables();
    is_statement_open = true;
    table_bytes += in.size();
    tables[id] = Known{.bytes = std::string(in.rest()), .table = table};
    return table;
  }

  // table id · flags u16 · [extra length u16 (with itself), extra] · columns packed · present: bitmap · [present after: bitmap] · rows
  Body decode_rows(const RowsForm& form, Bytes in) {
    Rows rows{.kind = form.kind, .is_partial = form.is_partial};
    rows.table_id = read_table_id(in);
    rows.flags = in.u16();
    if (form.has_extra) {
      const std::uint16_t extra_bytes = in.u16();
      if (extra_bytes < 2) fail_corrupt("its extra data is shorter than its length");
      in.take(extra_bytes - 2U);
    }
    const std::size_t columns = static_cast<std::size_t>(in.packed());
    if (columns > in.size() * 8) fail_short();
    rows.column_count = static_cast<std::uint32_t>(columns);
    const auto present = in.bitmap(columns);
    if (form.kind != RowsKind::insert) rows.present_before = present;
    if (form.kind == RowsKind::insert) rows.present_after = present;
    if (form.kind == RowsKind::update) rows.present_after = in.bitmap(columns);
    rows.rows = form.is_compressed ? uncompressed_rows(in.take_rest()) : in.take_rest();
    find_table(rows);
    if (rows.is_statement_end()) is_statement_open = false;
    return rows;
  }

  std::string_view uncompressed_rows(std::string_view bytes) {
    uncompressed.clear();
    append_uncompressed(uncompressed, bytes, limits.event_bytes_max);
    return uncompressed;
  }

  void find_table(Rows& rows) const {
    const auto known = tables.find(rows.table_id);
    if (known != tables.end()) {
      rows.table = known->second.table;
      if (rows.column_count != rows.table->columns.size())
        fail_corrupt("it has other columns than its table map");
      return;
    }
    const bool only_ends_statement = rows.table_id == kNoTable && rows.rows.empty();
    if (!only_ends_statement)
      fail_corrupt(
          fmt::format("rows of table id {} without a table map before them", rows.table_id));
  }
};

Decoder::Decoder(const DecoderLimits& limits) : impl_(std::make_unique<Impl>(limits)) {}
Decoder::Decoder(Decoder&&) noexcept = default;
Decoder& Decoder::operator=(Decoder&&) noexcept = default;
Decoder::~Decoder() = default;

void Decoder::feed(std::string_view event) {
  GODWIT_CHECK(impl_->fed.empty());
  impl_->payload.reset();
  if (event.size() < Header::kBytes) fail_corrupt("an event shorter than a header");
  if (event.size() > impl_->limits.event_bytes_max)
    fail_too_large(event.size(), impl_->limits.event_bytes_max);
  impl_->fed = event;
}

const Event* Decoder::next() { return impl_->next(); }
void Decoder::have_no_negative_zero() { impl_->has_negative_zero = false; }
void Decoder::reset() { impl_->start_anew(); }

}  // namespace godwit::binlog
