// Events that no server writes, and what is said about each: the type, where it ends, and what is wrong with it.
#include <unistd.h>

#include <fstream>

#include "binlog_events.h"
#include "godwit/binlog/decoder.h"
#include "godwit/binlog/file.h"
#include "refused.h"

using namespace godwit;
using namespace godwit::binlog;
using namespace godwit::binlog::made;

namespace {

using Events = std::vector<std::string>;

void read_all(Decoder& decoder, const std::string& event) {
  decoder.feed(event);
  while (decoder.next() != nullptr) continue;
}

// Of the last event: those before it are fine.
Error refusal_of(const Events& events, const DecoderLimits& limits = {}) {
  Decoder decoder(limits);
  for (std::size_t i = 0; i + 1 < events.size(); ++i) read_all(decoder, events[i]);
  return refusal([&] { read_all(decoder, events.back()); });
}

std::string corrupt(const Events& events, const DecoderLimits& limits = {}) {
  const Error error = refusal_of(events, limits);
  CHECK(error.code() == Code::event_corrupt);
  CHECK(error.object() == "binlog");
  CHECK(has(error.remedy(), "godwit inspect binlog shows the events before it"));
  return error.cause();
}

// Of an event after its format description.
std::string corrupt(EventType type, const std::string& body) { return corrupt({format_description(), event(type, body)}); }

std::string corrupt_table(const Table& table) { return corrupt({format_description(), table_map(table)}); }

std::string corrupt_rows(const Inserted& rows) { return corrupt({format_description(), table_map(), write_rows(rows)}); }

std::string corrupt_payload(const std::string& payload, unsigned algorithm) { return corrupt({format_description(), transaction_payload(payload, algorithm)}); }

constexpr unsigned kZstd = 0;
constexpr unsigned kPlain = 255;

}  // namespace

TEST_CASE("binlog: an event that is not as long as its header says, or comes before the format", "[binlog]") {
  CHECK(corrupt({format_description(), "too short"}) == "an event shorter than a header");
  CHECK(corrupt({format_description(), event(EventType::xid, u64(1)) + "more"}) == "xid event that ends at 1000: it says 27 bytes and has 31");
  CHECK(corrupt({event(EventType::xid, u64(1))}) == "xid event that ends at 1000: it comes before any format description");
  CHECK(corrupt(EventType::xid, u32(1)) == "xid event that ends at 1000: it ends in the middle of a field");
  CHECK(corrupt(EventType::heartbeat_v2, u8(255)) == "heartbeat_v2 event that ends at 1000: a packed integer begins with a byte that none begins with");
  const Error error = refusal_of({format_description(), event(EventType::annotate_rows, std::string(200, 'x'))}, {.event_bytes_max = 150});
  CHECK(error.code() == Code::event_unsupported);
  CHECK(error.cause() == "an event of 219 bytes; 150 are the limit");
  CHECK(has(error.remedy(), "in smaller statements (binlog_row_event_max_size"));
}

TEST_CASE("binlog: a format that is older or newer than what is read", "[binlog]") {
  CHECK(corrupt({format_description({.described_types = 18})}) == "format_description event that ends at 1000: it does not describe table maps");
  const Error older = refusal_of({format_description({.version = 3})});
  CHECK(older.code() == Code::event_unsupported);
  CHECK(older.object() == "binlog format 3");
  CHECK(has(older.cause(), "only format 4 is read (MySQL from 5.6.1 on, MariaDB from 5.3 on)"));
  CHECK(older.remedy() == "move the data to a newer server first");
}

TEST_CASE("binlog: a checksum of an algorithm that is not known", "[binlog]") {
  std::string format = format_description({.checksum_algorithm = 2});
  // The event's own checksum is a CRC32 all the same.
  format.replace(format.size() - 4, 4, u32(static_cast<std::uint32_t>(::crc32_z(0, reinterpret_cast<const Bytef*>(format.data()), format.size() - 4))));
  const Error error = refusal_of({format});
  CHECK(error.code() == Code::event_unsupported);
  CHECK(error.object() == "binlog checksum algorithm 2");
  CHECK(has(error.cause(), "it is not known"));
  CHECK(error.remedy() == "SET GLOBAL binlog_checksum = CRC32, and flush the binlog");
}

TEST_CASE("binlog: a statement whose schema does not end where it says", "[binlog]") {
  const std::string head = u32(1) + u32(0) + u8(1) + u16(0) + u16(0);  // a schema of one byte, no variables
  CHECK(corrupt(EventType::query, head + "shop" + u8(0)) == "query event that ends at 1000: a schema name that does not end where it says");
  CHECK(corrupt(EventType::query, head).ends_with("it ends in the middle of a field"));
}

TEST_CASE("binlog: GTIDs of numbers that no transaction has", "[binlog]") {
  const std::string uuid(16, 'u');
  CHECK(corrupt(EventType::gtid, u8(0) + uuid + u64(0)) == "gtid event that ends at 1000: a transaction number 0 that none has");
  CHECK(corrupt(EventType::gtid, u8(0) + uuid + u64(0x7fffffffffffffff)).ends_with("a transaction number 9223372036854775807 that none has"));
  CHECK(corrupt(EventType::anonymous_gtid, u8(0) + uuid + u64(3)).ends_with("a transaction number 3 that none has"));
  CHECK(corrupt(EventType::gtid_mariadb, u64(1) + u32(0)).ends_with("it ends in the middle of a field"));
  CHECK(corrupt(EventType::xa_prepare, u8(0) + u32(1) + u32(65) + u32(1) + std::string(66, 'x')) == "xa_prepare event that ends at 1000: an XA id that is too long");
}

TEST_CASE("binlog: tagged GTIDs whose message has other fields than it says", "[binlog]") {
  const auto message = [](const std::string& fields) { return varint(1) + varint(static_cast<unsigned>(3 + fields.size())) + varint(12) + fields; };
  const std::string where = "gtid_tagged event that ends at 1000: ";
  CHECK(corrupt(EventType::gtid_tagged, message(varint(1) + varint(256))) == where + "a UUID of bytes that are none");
  CHECK(corrupt(EventType::gtid_tagged, message(varint(3) + varint(33) + std::string(33, 't'))) == where + "a tag that is too long");
  CHECK(corrupt(EventType::gtid_tagged, message(varint(12))) == where + "a field 12 that must be understood");
  CHECK(corrupt(EventType::gtid_tagged, message(varint(13))) == where + "a transaction number 0 that none has");  // field 13 need not be understood, field 2 is missing
  CHECK(corrupt(EventType::gtid_tagged, varint(1) + varint(100) + varint(0)) == where + "its message is not as long as it says");
  CHECK(corrupt(EventType::gtid_tagged, varint(1) + varint(2) + varint(0)) == where + "its message is not as long as it says");
  const Error newer = refusal_of({format_description(), event(EventType::gtid_tagged, varint(2))});
  CHECK(newer.code() == Code::event_unsupported);
  CHECK(newer.object() == "tagged GTID event");
  CHECK(newer.cause() == where + "its serialization is not version 1");
  CHECK(newer.remedy() == "this godwit is older than the server: take a newer one");
}

TEST_CASE("binlog: the set of GTIDs before a file, in a form that none has", "[binlog]") {
  const std::string uuid(16, 'u');
  const std::string where = "previous_gtids event that ends at 1000: ";
  const auto cause = [](const std::string& body) {
    const Error error = refusal_of({format_description(), event(EventType::previous_gtids, body)});
    CHECK(error.code() == Code::event_corrupt);
    CHECK(error.object() == "GTID set in binary form");
    CHECK(has(error.remedy(), "compare with the server's own reader"));
    return error.cause();
  };
  const std::string tagged_set_of_one = u8(1) + u48(1) + u8(1);
  CHECK(cause(u64(std::uint64_t{2} << 56)) == where + "its format is not known");
  CHECK(cause(u32(1)) == where + "it ends early");
  CHECK(cause(u64(1) + uuid + u64(1) + u64(5) + u64(5)) == where + "an interval is none");
  CHECK(cause(u64(0) + "x") == where + "bytes are left over");
  CHECK(cause(tagged_set_of_one + uuid + u8(33)) == where + "a tag is too long");
  CHECK(cause(tagged_set_of_one + uuid + u8(2 * 3) + "a b") == where + "a tag is none");
}

TEST_CASE("binlog: a table map whose parts do not fit each other", "[binlog]") {
  const std::string where = "table_map event that ends at 1000: ";
  constexpr unsigned kVarchar = 15;
  constexpr unsigned kTypedArray = 20;
  constexpr unsigned kString = 254;
  CHECK(corrupt_table({.schema_end = "x"}) == where + "a name that does not end where it says");
  CHECK(corrupt_table({.meta = u16(1)}) == where + "more column metadata than columns");
  CHECK(corrupt_table({.types = u8(kString), .meta = u8(0) + u8(4)}) == where + "a string column's metadata names another type");
  CHECK(corrupt_table({.types = u8(kTypedArray), .meta = u8(kTypedArray)}) == where + "an array of arrays");
  CHECK(corrupt_table({.types = u8(99)}) == where + "a column of type 99");
  constexpr unsigned kDefaultCharset = 2;
  constexpr unsigned kPrimaryKey = 8;
  CHECK(corrupt_table({.types = u8(kVarchar), .meta = u16(20), .optional = optional_metadata(kDefaultCharset, u8(8) + u8(1) + u8(33))}) == where + "a character set for a column that is not there");
  CHECK(corrupt_table({.optional = optional_metadata(kPrimaryKey, u8(1))}) == where + "a primary key of a column that is not there");
  const std::string too_many(4097, '\x03');
  CHECK(corrupt(EventType::table_map, u48(7) + u16(0) + short_text("shop") + u8(0) + short_text("orders") + u8(0) + u8(252) + u16(4097) + too_many) ==
        where + "a table of more columns than a server allows");
}

TEST_CASE("binlog: a statement on more tables than can be remembered", "[binlog]") {
  const Events both{format_description(), table_map(), table_map({.id = 8})};
  CHECK(corrupt(both, {.table_bytes_max = 30}) == "table_map event that ends at 1000: a statement on more tables than can be remembered");
}

TEST_CASE("binlog: rows that are not of the table before them", "[binlog]") {
  const std::string where = "write_rows event that ends at 1000: ";
  CHECK(corrupt_rows({.extra = u16(1)}) == where + "its extra data is shorter than its length");
  CHECK(corrupt_rows({.columns = 2}) == where + "it has other columns than its table map");
  CHECK(corrupt_rows({.table_id = 8, .rows = u8(0) + u32(1)}) == where + "rows of table id 8 without a table map before them");
}

TEST_CASE("binlog: a compressed statement that is not what it says", "[binlog]") {
  const std::string head = u32(1) + u32(0) + u8(0) + u16(0) + u16(0) + u8(0);
  const std::string where = "query_compressed event that ends at 1000: ";
  const std::string packed = deflated("DELETE FROM t");
  const auto cause = [&](const std::string& part) { return corrupt({format_description(), event(EventType::query_compressed, head + part)}, {.event_bytes_max = 150}); };
  constexpr unsigned kZlib = 0x80;
  CHECK(cause(u8(0x90 | 1) + u8(13) + packed) == where + "its compression is not known");
  CHECK(cause(u8(kZlib) + packed) == where + "its compression is not known");
  CHECK(cause(u8(kZlib | 1) + u8(151) + packed) == where + "it is larger than the limit after decompression");
  CHECK(cause(u8(kZlib | 1) + u8(13) + "DELETE FROM t") == where + "a compressed part is no zlib stream");
  CHECK(cause(u8(kZlib | 1) + u8(14) + packed) == where + "a compressed part ends early");
  CHECK(cause(u8(kZlib | 1) + u8(13) + packed.substr(0, 9)) == where + "a compressed part ends early");
  CHECK(cause(u8(kZlib | 1) + u8(12) + packed) == where + "a compressed part is longer than it says");
}

TEST_CASE("binlog: a transaction's payload that is not what it says", "[binlog]") {
  const std::string inner = event(EventType::xid, u64(1));
  const std::string frame = zstd_frame(inner);
  const std::string where = "transaction_payload event that ends at 1000: ";
  CHECK(corrupt({format_description(), transaction_payload(inner, kPlain, inner.size() + 1)}) == where + "its payload is not as long as it says");
  CHECK(corrupt_payload("no frame of zstd", kZstd).starts_with(where + "its payload is no zstd frame: "));
  CHECK(corrupt_payload(frame.substr(0, frame.size() - 3), kZstd) == where + "its payload ends early");
  CHECK(corrupt_payload(inner.substr(0, 10), kPlain) == where + "its payload ends inside an event");
  CHECK(corrupt_payload(inner.substr(0, Header::kBytes), kPlain) == where + "its payload ends inside an event");
  CHECK(corrupt_payload(transaction_payload("", kPlain), kPlain) == where + where + "a payload inside a payload");
  const Error newer = refusal_of({format_description(), transaction_payload(inner, 1)});
  CHECK(newer.code() == Code::event_unsupported);
  CHECK(newer.object() == "transaction payload with compression 1");
  CHECK(newer.cause() == where + "it is not known");
  CHECK(newer.remedy() == "SET GLOBAL binlog_transaction_compression = OFF on the source");
}

TEST_CASE("binlog: a file that is encrypted from its first event on, and one that cannot be read at all", "[binlog]") {
  std::string path = "/tmp/godwit-binlog-XXXXXX";
  ::close(::mkstemp(path.data()));
  std::ofstream(path, std::ios::binary) << "\xfe" << "bin" << format_description() << event(EventType::start_encryption, std::string(17, '\1'));
  FileReader encrypted({path});
  REQUIRE(encrypted.next() != nullptr);
  const Error error = refusal([&] { encrypted.next(); });
  ::unlink(path.c_str());
  CHECK(error.code() == Code::binlog_file_unreadable);
  CHECK(error.object() == path);
  CHECK(error.cause() == "it is encrypted (encrypt_binlog)");
  CHECK(error.remedy() == "read it from the server: godwit inspect binlog mysql://…");

  FileReader directory({"/tmp"});
  const Error unread = refusal([&] { directory.next(); });
  CHECK(unread.code() == Code::binlog_file_unreadable);
  CHECK(unread.object() == "/tmp");
  CHECK(unread.cause() == "Is a directory");
  CHECK(unread.remedy() == "name a binlog file; if it is one: is the disk sound?");
}
