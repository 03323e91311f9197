#include "godwit/db/connection.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <mysql.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <exception>
#include <mutex>
#include <utility>

#include "errno.h"
#include "godwit/layer/authorities.h"
#include "godwit/sql/guard.h"
#include "godwit/sql/quote.h"
#include "godwit/util/error.h"
#include "godwit/util/text.h"

namespace godwit::db {
namespace {

struct CloseHandle {
  void operator()(MYSQL* handle) const { mysql_close(handle); }
};
using Handle = std::unique_ptr<MYSQL, CloseHandle>;

struct CloseStatement {
  void operator()(MYSQL_STMT* statement) const { mysql_stmt_close(statement); }
};
using StatementHandle = std::unique_ptr<MYSQL_STMT, CloseStatement>;

struct FreeResult {
  void operator()(MYSQL_RES* result) const { mysql_free_result(result); }
};
using ResultHandle = std::unique_ptr<MYSQL_RES, FreeResult>;

constexpr std::size_t kPacketMax = 1U << 30;
constexpr unsigned long kApplierFlags = CLIENT_MULTI_RESULTS | CLIENT_MULTI_STATEMENTS | CLIENT_FOUND_ROWS;
constexpr unsigned kTlsError = 2026;
constexpr unsigned kServerLost = 2013;
constexpr unsigned kCannotConnect = 2003;
constexpr std::size_t kStatementShown = 300;  // bytes of a failed statement in a message

std::string shortened(std::string_view sql) {
  if (sql.size() <= kStatementShown) return std::string(sql);
  return std::string(sql.substr(0, kStatementShown)) + "…";
}

[[noreturn]] void fail(const Endpoint& endpoint, unsigned number, std::string_view message, std::string_view sql) {
  const Code code = code_of_errno(number, message);
  std::string cause = fmt::format("{} {}", number, message);
  if (!sql.empty()) cause += fmt::format(" in: {}", shortened(sql));
  throw Error(code, {.object = describe(endpoint), .cause = std::move(cause), .remedy = remedy_of(code)});
}

// Of a session that was established. Connector/C calls it a TLS error (2026) when such a one breaks or times out: it is
// lost, and connecting again is what helps.
[[noreturn]] void fail(const Endpoint& endpoint, MYSQL* handle, std::string_view sql = {}) {
  const unsigned number = mysql_errno(handle);
  fail(endpoint, number == kTlsError ? kServerLost : number, mysql_error(handle), sql);
}

template <typename T>
void set_option(MYSQL* handle, mysql_option option, const T& value) {
  mysql_options(handle, option, &value);
}

const char* text_or_null(const std::string& text) { return text.empty() ? nullptr : text.c_str(); }

void set_tls(MYSQL* handle, const Dsn& dsn, bool use_tls) {
  if (!use_tls) return;
  const bool asks_authority = dsn.ssl_mode != SslMode::preferred;  // which goes on in the clear at any refusal
  const bool asks_system = dsn.ssl_mode == SslMode::verify_identity && dsn.ssl_ca.empty();
  const layer::Authorities authorities = asks_system ? layer::system_authorities() : layer::Authorities{.file = asks_authority ? dsn.ssl_ca : "", .directory = ""};
  mysql_ssl_set(handle, text_or_null(dsn.ssl_key), text_or_null(dsn.ssl_cert), text_or_null(authorities.file), text_or_null(authorities.directory), nullptr);
  const my_bool enforce = 1;
  // Connector/C has the certificate's chain verified wherever ssl_ca is named, and its host name too where this is set.
  const my_bool verify = dsn.ssl_mode == SslMode::verify_identity;
  set_option(handle, MYSQL_OPT_SSL_ENFORCE, enforce);
  set_option(handle, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, verify);
}

Handle make_handle(const Endpoint& endpoint, bool use_tls) {
  static std::once_flag once;
  std::call_once(once, [] { mysql_server_init(0, nullptr, nullptr); });
  Handle handle(mysql_init(nullptr));
  GODWIT_CHECK(handle != nullptr);
  const auto connect_timeout = static_cast<unsigned>(endpoint.connect_timeout.count());
  set_option(handle.get(), MYSQL_OPT_CONNECT_TIMEOUT, connect_timeout);
  if (endpoint.read_timeout.count() > 0) {
    const auto read_timeout = static_cast<unsigned>(endpoint.read_timeout.count());
    set_option(handle.get(), MYSQL_OPT_READ_TIMEOUT, read_timeout);
    set_option(handle.get(), MYSQL_OPT_WRITE_TIMEOUT, read_timeout);
  }
  set_option(handle.get(), MYSQL_OPT_MAX_ALLOWED_PACKET, kPacketMax);
  const unsigned local_infile = endpoint.side == Side::target ? 1 : 0;
  set_option(handle.get(), MYSQL_OPT_LOCAL_INFILE, local_infile);
  // "localhost" too is a name for TCP: a socket file is named by socket=, and godwit's proxy could not guess it.
  if (endpoint.dsn.socket.empty()) set_option(handle.get(), MYSQL_OPT_PROTOCOL, static_cast<unsigned>(MYSQL_PROTOCOL_TCP));
  mysql_options(handle.get(), MYSQL_SET_CHARSET_NAME, "utf8mb4");
  mysql_options4(handle.get(), MYSQL_OPT_CONNECT_ATTR_ADD, "program_name", "godwit");
  set_tls(handle.get(), endpoint.dsn, use_tls);
  return handle;
}

// The kernel asks a silent peer whether it is still there: a half-open connection ends after 15 s + 4 * 5 s, however long the statement may
// rightly take. No TCP_USER_TIMEOUT: it would also end a session whose server is alive and only slow to read what is loaded into it.
void keep_alive(MYSQL* handle) {
  const auto socket = static_cast<int>(mysql_get_socket(handle));
  const auto set = [&](int level, int option, int value) { setsockopt(socket, level, option, &value, sizeof value); };
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, 15);
  set(IPPROTO_TCP, TCP_KEEPINTVL, 5);
  set(IPPROTO_TCP, TCP_KEEPCNT, 4);
}

Handle connect_once(const Endpoint& endpoint, bool use_tls) {
  Handle handle = make_handle(endpoint, use_tls);
  const Dsn& dsn = endpoint.dsn;
  const bool is_socket = !dsn.socket.empty();
  MYSQL* connected = mysql_real_connect(handle.get(),
                                        is_socket ? nullptr : dsn.host.c_str(),
                                        text_or_null(dsn.user),
                                        dsn.password.c_str(),
                                        endpoint.has_database ? text_or_null(dsn.schema) : nullptr,
                                        is_socket ? 0U : dsn.port,
                                        text_or_null(dsn.socket),
                                        endpoint.is_applier ? kApplierFlags : CLIENT_MULTI_RESULTS);
  if (connected != nullptr && !is_socket) keep_alive(handle.get());
  if (connected != nullptr) return handle;
  // Connector/C says 2026 for each TLS failure and 2013 or 2012 for a server that closed during the handshake.
  const unsigned number = mysql_errno(handle.get());
  const std::string_view message = mysql_error(handle.get());
  const bool was_cut = number == kTlsError && (message.find("unexpected eof") != std::string_view::npos || message.find("reset by peer") != std::string_view::npos);
  const bool was_closed = number == kServerLost || number == 2012 || was_cut;
  fail(endpoint, was_closed ? kCannotConnect : number, message, {});
}

Handle connect(const Endpoint& endpoint) {
  const SslMode mode = endpoint.dsn.ssl_mode;
  if (mode == SslMode::verify_ca && endpoint.dsn.ssl_ca.empty()) {
    throw Error(Code::bad_usage,
                {.object = describe(endpoint),
                 .cause = "ssl-mode=verify_ca, and no ssl-ca",
                 .remedy = "ssl-ca=FILE with the authority's certificate; verify_identity alone asks the system's authorities"});
  }
  // What goes through a socket file never leaves the machine: there TLS has to be asked for.
  const bool is_local = mode == SslMode::preferred && !endpoint.dsn.socket.empty();
  if (mode == SslMode::disabled || is_local) return connect_once(endpoint, false);
  try {
    return connect_once(endpoint, true);
  } catch (const Error& error) {
    const bool may_go_plain = mode == SslMode::preferred && error.code() == Code::tls_failed;
    if (!may_go_plain) throw;
    return connect_once(endpoint, false);
  }
}

Version parse_version(std::string_view text) {
  // MariaDB may print "5.5.5-10.11.6-MariaDB" on the wire, but VERSION() is clean.
  Version version;
  const auto parts = split(text.substr(0, text.find_first_not_of("0123456789.")), '.');
  const auto at = [&](std::size_t i) {
    return i < parts.size() ? static_cast<unsigned>(parse_u64(parts[i]).value_or(0)) : 0U;
  };
  return {.major = at(0), .minor = at(1), .patch = at(2)};
}

// The format of rows depends on none of the server's settings after this; each has stored or read rows otherwise somewhere.
std::vector<std::string> session_settings(const Endpoint& endpoint, const Server& server, Encoding encoding) {
  std::vector<std::string> settings{
      encoding == Encoding::bytes ? "SET NAMES binary" : "SET NAMES utf8mb4",
      "SET SESSION autocommit=1, time_zone='+00:00', sql_mode='NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES', "
      "net_write_timeout=600, net_read_timeout=600, wait_timeout=28800, lock_wait_timeout=60, "
      "group_concat_max_len=1048576",
      std::string(sql::kPassStatement)};  // every session of ours, so that no writer can be forgotten
  settings.emplace_back(server.is_mariadb() ? "SET SESSION max_statement_time=0"
                                            : "SET SESSION max_execution_time=0, information_schema_stats_expiry=0");
  if (endpoint.side == Side::target) {
    settings.emplace_back("SET SESSION foreign_key_checks=0, unique_checks=0");
    if (server.is_mariadb()) settings.emplace_back("SET SESSION check_constraint_checks=0");
  }
  return settings;
}

// Settings that some versions lack or some accounts may not set; the checks report what follows from that.
std::vector<std::string> wished_settings(const Endpoint& endpoint, const Server& server) {
  if (endpoint.side != Side::target) return {};
  if (server.is_mariadb()) return {"SET SESSION system_versioning_alter_history=KEEP"};
  return {"SET SESSION sql_generate_invisible_primary_key=0",
          "SET SESSION sql_require_primary_key=0",
          "SET SESSION restrict_fk_on_non_standard_key=0",
          "SET SESSION explicit_defaults_for_timestamp=1"};
}

}  // namespace

std::string_view to_string(Side side) { return side == Side::source ? "source" : "target"; }

std::string describe(const Endpoint& endpoint) {
  const Side other = endpoint.side == Side::source ? Side::target : Side::source;
  return fmt::format("{} {}", to_string(endpoint.is_reversed ? other : endpoint.side), address(endpoint.dsn));
}

// --- Rows ---------------------------------------------------------------------------------------------------------

namespace {

const Rows::Cell& cell_of(const Rows& rows, std::size_t row, std::string_view column) {
  for (std::size_t i = 0; i < rows.columns.size(); ++i) {
    if (equals_ignoring_case(rows.columns[i], column)) return rows.rows.at(row).at(i);
  }
  GODWIT_CHECK(!"a column of that name");
  std::abort();
}

}  // namespace

std::string Rows::text(std::size_t row, std::string_view column) const {
  return cell_of(*this, row, column).value_or("");
}

bool Rows::is_null(std::size_t row, std::string_view column) const {
  return !cell_of(*this, row, column).has_value();
}

std::uint64_t Rows::u64(std::size_t row, std::string_view column) const {
  return parse_u64(text(row, column)).value_or(0);
}

std::string Rows::scalar() const { return rows.empty() ? "" : rows.front().at(0).value_or(""); }

// --- RowStream ----------------------------------------------------------------------------------------------------

struct RowStream::Impl {
  const Connection* connection = nullptr;
  MYSQL* handle = nullptr;
  ResultHandle result;
  Endpoint endpoint;
  std::vector<Value> values;
  bool at_end = false;
};

RowStream::RowStream(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
RowStream::RowStream(RowStream&&) noexcept = default;

RowStream::~RowStream() {
  // Freeing the result reads the rest of it: have the server stop first.
  if (impl_ && impl_->result && !impl_->at_end) impl_->connection->cancel();
}

std::size_t RowStream::column_count() const { return impl_->values.size(); }

std::optional<Row> RowStream::next() {
  Impl& it = *impl_;
  MYSQL_ROW row = mysql_fetch_row(it.result.get());
  if (row == nullptr) {
    it.at_end = true;
    if (mysql_errno(it.handle) != 0) fail(it.endpoint, it.handle);
    return std::nullopt;
  }
  const unsigned long* lengths = mysql_fetch_lengths(it.result.get());
  for (std::size_t i = 0; i < it.values.size(); ++i) it.values[i] = {row[i], lengths[i]};
  return Row(it.values);
}

// --- Connection ---------------------------------------------------------------------------------------------------

struct Connection::Impl {
  Endpoint endpoint;
  Handle handle;
  Server server;
  unsigned last_errno = 0;
  std::size_t statements_done = 0;
  const InfileReader* infile_reader = nullptr;
  std::exception_ptr infile_failure;

  void run(std::string_view sql) { run(sql, sql); }

  void run(std::string_view sql, std::string_view quoted) {
    last_errno = 0;
    if (mysql_real_query(handle.get(), sql.data(), sql.size()) == 0) return;
    last_errno = mysql_errno(handle.get());
    if (infile_failure) std::rethrow_exception(std::exchange(infile_failure, nullptr));
    fail(endpoint, handle.get(), quoted);
  }

  Executed executed() {
    Executed result{.affected_rows = mysql_affected_rows(handle.get()),
                    .warnings = mysql_warning_count(handle.get()),
                    .message = {}};
    if (const char* message = mysql_info(handle.get()); message != nullptr) result.message = message;
    return result;
  }

  // Reads and drops whatever further results a statement (CALL) has.
  void drain(std::string_view sql) {
    while (true) {
      ResultHandle dropped(mysql_use_result(handle.get()));
      dropped.reset();
      const int more = mysql_next_result(handle.get());
      if (more < 0) return;
      if (more > 0) fail(endpoint, handle.get(), sql);
    }
  }

  static int infile_begin(void** state, const char*, void* self) {
    *state = self;
    // A server may ask for a file at any statement: there is only ever what load_data() gives.
    return static_cast<Impl*>(self)->infile_reader == nullptr ? 1 : 0;
  }
  static int infile_read(void* state, char* buffer, unsigned int size) {
    auto* self = static_cast<Impl*>(state);
    try {
      return static_cast<int>((*self->infile_reader)(buffer, size));
    } catch (...) {
      self->infile_failure = std::current_exception();
      return -1;
    }
  }
  static void infile_end(void*) {}
  static int infile_error(void*, char* buffer, unsigned int size) {
    std::strncpy(buffer, "godwit gives no file here", size);
    return 2068;  // CR_LOAD_DATA_LOCAL_INFILE_REJECTED
  }
};

Connection::Connection(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Connection::Connection(Connection&&) noexcept = default;
Connection& Connection::operator=(Connection&&) noexcept = default;
Connection::~Connection() = default;

Connection Connection::open(const Endpoint& endpoint, Encoding encoding) {
  auto impl = std::make_unique<Impl>();
  impl->endpoint = endpoint;
  impl->handle = connect(endpoint);
  mysql_set_local_infile_handler(
      impl->handle.get(), Impl::infile_begin, Impl::infile_read, Impl::infile_end, Impl::infile_error, impl.get());
  Connection connection(std::move(impl));

  Server& server = connection.impl_->server;
  const Rows about = connection.query(
      "SELECT VERSION() AS version, @@max_allowed_packet AS packet, @@lower_case_table_names AS names, "
      "@@server_id AS server_id");
  server.version_text = about.text(0, "version");
  server.version = parse_version(server.version_text);
  server.flavour = lower(server.version_text).find("mariadb") != std::string::npos ? Flavour::mariadb : Flavour::mysql;
  server.max_allowed_packet = about.u64(0, "packet");
  server.lower_case_table_names = static_cast<int>(about.u64(0, "names"));
  server.identity =
      server.is_mariadb() ? "server_id:" + about.text(0, "server_id") : connection.scalar("SELECT @@server_uuid");

  for (const auto& setting : session_settings(endpoint, server, encoding)) connection.execute(setting);
  for (const auto& setting : wished_settings(endpoint, server)) {
    mysql_real_query(connection.impl_->handle.get(), setting.data(), setting.size());
  }
  return connection;
}

Connection Connection::open_bare(const Endpoint& endpoint) {
  auto impl = std::make_unique<Impl>();
  impl->endpoint = endpoint;
  impl->handle = connect(endpoint);
  return Connection(std::move(impl));
}

const Server& Connection::server() const { return impl_->server; }
const Endpoint& Connection::endpoint() const { return impl_->endpoint; }
std::uint64_t Connection::id() const { return mysql_thread_id(impl_->handle.get()); }
bool Connection::is_tls() const { return mysql_get_ssl_cipher(impl_->handle.get()) != nullptr; }
unsigned Connection::last_errno() const { return impl_->last_errno; }

Executed Connection::execute(std::string_view sql) {
  impl_->run(sql);
  const Executed result = impl_->executed();
  impl_->drain(sql);
  return result;
}

void Connection::send(std::string_view sql) {
  MYSQL* handle = impl_->handle.get();
  impl_->last_errno = 0;
  if (mysql_send_query(handle, sql.data(), sql.size()) == 0) return;
  impl_->last_errno = mysql_errno(handle);
  fail(impl_->endpoint, handle, sql);
}

void Connection::await_sent(std::string_view sql) {
  MYSQL* handle = impl_->handle.get();
  if (mysql_read_query_result(handle) == 0) return impl_->drain(sql);
  impl_->last_errno = mysql_errno(handle);
  fail(impl_->endpoint, handle, sql);
}

Executed Connection::execute_unquoted(std::string_view sql) {
  impl_->run(sql, {});
  const Executed result = impl_->executed();
  impl_->drain({});
  return result;
}

Rows Connection::query(std::string_view sql) {
  impl_->run(sql);
  const ResultHandle result(mysql_store_result(impl_->handle.get()));
  if (!result && mysql_field_count(impl_->handle.get()) != 0) fail(impl_->endpoint, impl_->handle.get(), sql);
  Rows rows;
  if (result) {
    const unsigned count = mysql_num_fields(result.get());
    const MYSQL_FIELD* fields = mysql_fetch_fields(result.get());
    for (unsigned i = 0; i < count; ++i) rows.columns.emplace_back(fields[i].name);
    while (MYSQL_ROW row = mysql_fetch_row(result.get())) {
      const unsigned long* lengths = mysql_fetch_lengths(result.get());
      auto& cells = rows.rows.emplace_back(count);
      for (unsigned i = 0; i < count; ++i) {
        if (row[i] != nullptr) cells[i] = std::string(row[i], lengths[i]);
      }
    }
  }
  impl_->drain(sql);
  return rows;
}

RowStream Connection::stream(std::string_view sql) {
  impl_->run(sql);
  auto stream = std::make_unique<RowStream::Impl>();
  stream->connection = this;
  stream->handle = impl_->handle.get();
  stream->endpoint = impl_->endpoint;
  stream->result.reset(mysql_use_result(impl_->handle.get()));
  if (!stream->result) fail(impl_->endpoint, impl_->handle.get(), sql);
  stream->values.resize(mysql_num_fields(stream->result.get()));
  return RowStream(std::move(stream));
}

Executed Connection::load_data(std::string_view sql, const InfileReader& reader) {
  impl_->infile_reader = &reader;
  impl_->infile_failure = nullptr;
  struct Disarm {
    Impl* impl;
    ~Disarm() { impl->infile_reader = nullptr; }
  } disarm{impl_.get()};
  impl_->run(sql);
  // The reader's failure wins over what the server made of a file that ended early.
  if (impl_->infile_failure) std::rethrow_exception(std::exchange(impl_->infile_failure, nullptr));
  return impl_->executed();
}

bool Connection::takes_bulk_insert() const {
  unsigned long extended = 0;  // which is what the library writes, whatever its page says
  const bool is_known = mariadb_get_infov(impl_->handle.get(), MARIADB_CONNECTION_EXTENDED_SERVER_CAPABILITIES, &extended) == 0;
  return is_known && (extended & (MARIADB_CLIENT_STMT_BULK_OPERATIONS >> 32)) != 0;
}

std::size_t Connection::statements_done() const { return impl_->statements_done; }

std::vector<Executed> Connection::execute_many(std::string_view sql) {
  GODWIT_CHECK(impl_->endpoint.is_applier);
  MYSQL* handle = impl_->handle.get();
  impl_->statements_done = 0;
  impl_->run(sql);
  std::vector<Executed> results;
  while (true) {
    Executed one = impl_->executed();
    if (const ResultHandle rows(mysql_store_result(handle)); rows) {
      MYSQL_ROW row = mysql_fetch_row(rows.get());
      const bool has_value = row != nullptr && row[0] != nullptr;
      one.scalar = has_value ? std::string(row[0], mysql_fetch_lengths(rows.get())[0]) : std::string();
    } else if (mysql_errno(handle) != 0) {
      impl_->last_errno = mysql_errno(handle);
      fail(impl_->endpoint, handle, sql);
    }
    results.push_back(std::move(one));
    ++impl_->statements_done;
    const int more = mysql_next_result(handle);
    if (more < 0) return results;
    if (more > 0) {
      impl_->last_errno = mysql_errno(handle);
      fail(impl_->endpoint, handle, sql);
    }
  }
}

std::string Connection::warnings_text() {
  const Rows rows = query("SHOW WARNINGS LIMIT 3");
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    lines.push_back(fmt::format("{} {}", rows.text(i, "Code"), rows.text(i, "Message")));
  }
  return join(lines, "; ");
}

bool Connection::ping() noexcept { return mysql_ping(impl_->handle.get()) == 0; }

void Connection::begin_dump(std::uint8_t command, std::string_view arguments) {
  MYSQL* handle = impl_->handle.get();
  constexpr my_bool kSkipAnswer = 1;
  const auto code = static_cast<enum_server_command>(command);
  if (handle->methods->db_command(handle, code, arguments.data(), arguments.size(), kSkipAnswer, nullptr) == 0) return;
  impl_->last_errno = mysql_errno(handle);
  fail(impl_->endpoint, handle);
}

std::optional<std::string_view> Connection::next_packet() {
  constexpr std::uint8_t kEnd = 0xfe;
  constexpr unsigned long kEndBytesMax = 8;
  MYSQL* handle = impl_->handle.get();
  const unsigned long size = mysql_net_read_packet(handle);
  if (size == packet_error) {
    impl_->last_errno = mysql_errno(handle);
    fail(impl_->endpoint, handle);
  }
  const unsigned char* bytes = handle->net.read_pos;
  if (size == 0) fail(impl_->endpoint, 2013, "an empty packet in the binlog stream", {});
  if (bytes[0] == kEnd && size <= kEndBytesMax) return std::nullopt;
  return std::string_view(reinterpret_cast<const char*>(bytes) + 1, size - 1);
}

void Connection::shut() const noexcept { ::shutdown(static_cast<int>(mysql_get_socket(impl_->handle.get())), SHUT_RDWR); }

// Connector/C frees what mysql_get_socket() reads when the connection is lost, in the thread that finds it out.
Interrupter::Interrupter(const Connection& connection) : socket_(::fcntl(static_cast<int>(mysql_get_socket(connection.impl_->handle.get())), F_DUPFD_CLOEXEC, 0)) {}
Interrupter::~Interrupter() { ::close(socket_); }
void Interrupter::interrupt() const noexcept { ::shutdown(socket_, SHUT_RDWR); }

void Connection::cancel() const noexcept {
  try {
    const Handle other = connect(impl_->endpoint);
    const std::string kill = fmt::format("KILL QUERY {}", id());
    mysql_real_query(other.get(), kill.data(), kill.size());
  } catch (const std::exception&) {
    // The server is out of reach: then it does nothing for that session either.
  }
}

// --- BulkInsert ---------------------------------------------------------------------------------------------------

struct BulkInsert::Impl {
  Connection::Impl& connection;
  std::string sql;
  StatementHandle statement;
  std::string packet;  // kept for its memory
  std::size_t head_bytes = 0;
};

namespace {

// What stands before the rows: the statement, "the types follow", and a type for each parameter, as whose bytes nothing is transcoded.
std::string bulk_head(MYSQL_STMT* statement) {
  const auto id = static_cast<std::uint32_t>(statement->stmt_id);
  std::string head;
  for (unsigned shift = 0; shift < 32; shift += 8) head.push_back(static_cast<char>(id >> shift & 0xff));
  head += {static_cast<char>(STMT_BULK_FLAG_CLIENT_SEND_TYPES), 0};
  for (unsigned long i = 0; i < mysql_stmt_param_count(statement); ++i) head += {static_cast<char>(MYSQL_TYPE_STRING), 0};
  return head;
}

}  // namespace

BulkInsert::BulkInsert(Connection& connection, std::string_view sql)
    : impl_(new Impl{.connection = *connection.impl_, .sql = std::string(sql), .statement = StatementHandle(mysql_stmt_init(connection.impl_->handle.get())), .packet = {}}) {
  Impl& it = *impl_;
  GODWIT_CHECK(it.statement != nullptr);
  if (mysql_stmt_prepare(it.statement.get(), sql.data(), sql.size()) != 0) {
    it.connection.last_errno = mysql_errno(it.connection.handle.get());
    fail(it.connection.endpoint, it.connection.handle.get(), sql);
  }
  it.packet = bulk_head(it.statement.get());
  it.head_bytes = it.packet.size();
}

BulkInsert::BulkInsert(BulkInsert&&) noexcept = default;
BulkInsert::~BulkInsert() = default;

Executed BulkInsert::execute(std::string_view rows) {
  Impl& it = *impl_;
  it.packet.resize(it.head_bytes);
  it.packet += rows;
  // Not by mysql_stmt_execute(): it would take each value apart and together again, and the rows are in the packet's form already.
  MYSQL* handle = it.connection.handle.get();
  constexpr my_bool kSkipAnswer = 1;
  it.connection.last_errno = 0;
  const bool is_sent = handle->methods->db_command(handle, COM_STMT_BULK_EXECUTE, it.packet.data(), it.packet.size(), kSkipAnswer, nullptr) == 0;
  if (is_sent && mysql_read_query_result(handle) == 0) return it.connection.executed();
  it.connection.last_errno = mysql_errno(handle);
  fail(it.connection.endpoint, handle, it.sql);
}

}  // namespace godwit::db
