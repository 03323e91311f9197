#include "godwit/binlog/stream.h"

#include <fmt/format.h>

#include <random>
#include <utility>

#include "bytes.h"
#include "godwit/gtid/set.h"
#include "godwit/sql/quote.h"
#include "godwit/util/error.h"

namespace godwit::binlog {
namespace {

constexpr std::uint8_t kBinlogDump = 0x12;
constexpr std::uint8_t kBinlogDumpGtid = 0x1e;
constexpr std::uint16_t kFlagEndAtEnd = 1;    // BINLOG_DUMP_NON_BLOCK
constexpr std::uint16_t kFlagAnnotate = 2;    // MariaDB: BINLOG_SEND_ANNOTATE_ROWS_EVENT
constexpr std::uint64_t kFirstOffset = 4;     // behind a file's magic
constexpr unsigned kErrnoBinlogFatal = 1236;  // ER_SOURCE_FATAL_ERROR_READING_BINLOG
constexpr unsigned kErrnoSameId = 4052;       // MariaDB: ER_SLAVE_SAME_ID

// Small ids are what people give their servers: ours are from the upper half.
std::uint32_t random_server_id() {
  std::random_device device;
  return std::uniform_int_distribution<std::uint32_t>(0x80000000U, 0xfffffffeU)(device);
}

std::string random_uuid() {
  std::random_device device;
  gtid::Uuid uuid;
  for (auto& byte : uuid.bytes) byte = static_cast<std::uint8_t>(device());
  return gtid::to_string(uuid);
}

template <typename Integer>
void append(std::string& out, Integer value) {
  for (std::size_t i = 0; i < sizeof value; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
}

bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// What the server's words for 1236 mean; both flavours put every reason under the one number.
Code code_of_refusal(std::string_view cause) {
  if (has(cause, "same server_uuid/server_id") || has(cause, "same server_id") || has(cause, "same UUID")) return Code::dump_displaced;
  if (has(cause, "purged") || has(cause, "Could not find first log") || has(cause, "Could not find GTID state")) return Code::position_purged;
  if (has(cause, "anonymous transaction")) return Code::event_unsupported;
  const bool is_ahead = has(cause, "more GTIDs") || has(cause, "not in the master's binlog") || has(cause, "not in the source's binlog");
  return is_ahead ? Code::position_foreign : Code::dump_refused;
}

std::string remedy_of_refusal(Code code) {
  if (code == Code::position_purged) {
    return "the changes in between are gone from this server: restore its older binlog files, read "
           "from a replica that still has them, "
           "or copy anew; and keep binlogs for longer (binlog_expire_logs_seconds)";
  }
  if (code == Code::position_foreign) {
    return "is it the server the stream began with? It may have lost its newest transactions in a "
           "crash or failover (godwit vdiff shows what differs)";
  }
  if (code == Code::event_unsupported) return "SET GLOBAL gtid_mode = ON on the source (step by step) and FLUSH BINARY LOGS there, godwit cancel, and copy again";
  if (code == Code::dump_displaced) return "it is tried again with another server id";
  return "the server's own words are the cause; its error log says more";
}

}  // namespace

struct Stream::Impl {
  StreamOptions options;
  db::Connection connection;
  const db::Interrupter interrupter{connection};
  Decoder decoder;
  bool has_begun = false;
  bool has_ended = false;

  Impl(const db::Endpoint& endpoint, const StreamOptions& o)
      : options(o), connection(db::Connection::open(endpoint)), decoder(o.limits) {
    if (options.server_id == 0) options.server_id = random_server_id();
    if (connection.scalar("SELECT -0e0*1") != "-0") decoder.have_no_negative_zero();
  }

  void begin() {
    has_begun = true;
    // In the same words for both: a server looks only at those that it knows.
    const auto heartbeat_ns =
        std::chrono::duration_cast<std::chrono::nanoseconds>(options.heartbeat).count();
    connection.execute(
        "SET @master_binlog_checksum = @@GLOBAL.binlog_checksum, @source_binlog_checksum = "
        "@@GLOBAL.binlog_checksum");
    connection.execute(fmt::format(
        "SET @master_heartbeat_period = {0}, @source_heartbeat_period = {0}", heartbeat_ns));
    // A reader that is busy applying must not be cut off by the server, after 60 s by default.
    connection.execute("SET SESSION net_write_timeout = 3600");
    if (connection.server().is_mariadb()) {
      begin_mariadb();
    } else {
      begin_mysql();
    }
  }

  std::uint16_t flags() const { return options.is_endless ? 0 : kFlagEndAtEnd; }

  // flags u16 · server id u32 · name length u32, name · offset u64 · set length u32, set
  void begin_mysql() {
    const std::string uuid = random_uuid();
    connection.execute(fmt::format("SET @slave_uuid = '{0}', @replica_uuid = '{0}'", uuid));
    const std::string set = gtid::Set::parse(options.from).encode();
    std::string arguments;
    append(arguments, flags());
    append(arguments, options.server_id);
    append(arguments, std::uint32_t{0});
    append(arguments, kFirstOffset);
    append(arguments, static_cast<std::uint32_t>(set.size()));
    connection.begin_dump(kBinlogDumpGtid, arguments + set);
  }

  // offset u32 · flags u16 · server id u32 · name
  void begin_mariadb() {
    const std::string state = gtid::Set::parse(options.from).to_string();
    connection.execute("SET @mariadb_slave_capability = 4");
    connection.execute("SET @slave_connect_state = " + sql::quote_string(state));
    connection.execute("SET @slave_gtid_strict_mode = 1, @slave_gtid_ignore_duplicates = 0");
    std::string arguments;
    append(arguments, static_cast<std::uint32_t>(kFirstOffset));
    append(arguments,
           static_cast<std::uint16_t>(flags() | (options.has_statements ? kFlagAnnotate : 0U)));
    append(arguments, options.server_id);
    connection.begin_dump(kBinlogDump, arguments);
  }

  const Event* next() {
    if (has_ended) return nullptr;
    if (!has_begun) begin();
    while (true) {
      if (const Event* event = decoder.next()) return event;
      const auto packet = next_packet();
      if (!packet) {
        has_ended = true;
        return nullptr;
      }
      decoder.feed(*packet);
    }
  }

  std::optional<std::string_view> next_packet() {
    try {
      return connection.next_packet();
    } catch (const Error& error) {
      const unsigned number = connection.last_errno();
      if (number != kErrnoBinlogFatal && number != kErrnoSameId) throw;
      const Code code = code_of_refusal(error.cause());
      throw Error(
          code,
          {.object = error.object(), .cause = error.cause(), .remedy = remedy_of_refusal(code)});
    }
  }
};

namespace {

db::Endpoint with_deadline(db::Endpoint endpoint, std::chrono::seconds deadline) {
  endpoint.read_timeout = deadline;
  return endpoint;
}

}  // namespace

Stream::Stream(const db::Endpoint& endpoint, const StreamOptions& options)
    : impl_(std::make_unique<Impl>(with_deadline(endpoint, options.deadline), options)) {
  const bool is_same_flavour = server().flavour == options.from.flavour;
  if (is_same_flavour) return;
  throw Error(Code::position_foreign,
              {.object = describe(endpoint),
               .cause = fmt::format("it is a {} server, the position is of a {} one",
                                    gtid::to_string(server().flavour),
                                    gtid::to_string(options.from.flavour)),
               .remedy = "is it the server the stream began with?"});
}
Stream::Stream(Stream&&) noexcept = default;
Stream& Stream::operator=(Stream&&) noexcept = default;
Stream::~Stream() = default;

const db::Server& Stream::server() const { return impl_->connection.server(); }
const Event* Stream::next() { return impl_->next(); }
void Stream::interrupt() const noexcept { impl_->interrupter.interrupt(); }

}  // namespace godwit::binlog
