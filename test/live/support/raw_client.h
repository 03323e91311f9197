// A client that speaks the protocol byte by byte, for what no driver does: pipelines, ids of -1, executions without types, requests that stop half way, packets
// out of order. It shares no code with godwit, so that a mistake there cannot hide behind itself. One thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "servers.h"

namespace godwit::test {

namespace raw {  // capability bits of the login, as the server's manual numbers them
constexpr std::uint64_t kLongPassword = 1U << 0;  // MariaDB reads it the other way round: set means "no extended capabilities"
constexpr std::uint64_t kConnectWithDb = 1U << 3;
constexpr std::uint64_t kLocalFiles = 1U << 7;
constexpr std::uint64_t kProtocol41 = 1U << 9;
constexpr std::uint64_t kTransactions = 1U << 13;
constexpr std::uint64_t kSecureConnection = 1U << 15;
constexpr std::uint64_t kMultiStatements = 1U << 16;
constexpr std::uint64_t kMultiResults = 1U << 17;
constexpr std::uint64_t kPsMultiResults = 1U << 18;
constexpr std::uint64_t kPluginAuth = 1U << 19;
constexpr std::uint64_t kSessionTrack = 1U << 23;
constexpr std::uint64_t kDeprecateEof = 1U << 24;
constexpr std::uint64_t kQueryAttributes = 1U << 27;
constexpr std::uint64_t kBulkOperations = std::uint64_t{1} << 34;  // MariaDB's own from here on
constexpr std::uint64_t kCacheMetadata = std::uint64_t{1} << 36;
constexpr std::uint64_t kUsual = kLongPassword | kProtocol41 | kTransactions | kSecureConnection | kMultiStatements | kMultiResults | kPsMultiResults | kPluginAuth;

constexpr std::uint16_t kInTransaction = 1;
constexpr std::uint16_t kMoreResults = 8;
constexpr std::uint16_t kCursorExists = 0x40;
constexpr std::uint16_t kLastRowSent = 0x80;

std::string number(std::uint64_t value, unsigned bytes);  // little endian
std::string lenenc(std::string_view text);
}  // namespace raw

struct RawAnswer {
  unsigned error = 0;
  std::string sqlstate;
  std::string message;
  std::vector<std::string> columns;  // their names
  std::vector<Cells> rows;           // of text results; of binary ones as far as all columns are strings
  std::uint64_t affected_rows = 0;
  std::uint64_t insert_id = 0;
  std::uint16_t status = 0;
  unsigned warnings = 0;
  std::string trackers;              // as they came
  bool has_definitions = true;       // false where the server has left them out (kCacheMetadata)
  bool is_file_request = false;
  std::string scalar() const { return rows.empty() || rows[0].empty() ? "" : rows[0][0].value_or("NULL"); }
};

struct RawPrepared {
  unsigned error = 0;
  std::string message;
  std::uint32_t id = 0;
  unsigned columns = 0;
  unsigned parameters = 0;
};

class RawClient {
 public:
  struct Options {
    int port = 0;
    std::string user = "godwit";
    std::string password = "godwit";
    std::string schema;
    std::uint64_t capabilities = raw::kUsual;
    std::uint8_t charset = 45;
    std::string before;  // sent before anything is read: a PROXY header
    std::string plugin;  // claimed instead of the one that the server names: it then asks for another
    std::function<void()> before_proof;  // called when it has asked, before the reply
  };
  explicit RawClient(Options options);
  ~RawClient();
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  std::uint32_t connection_id() const { return connection_id_; }
  const std::string& server_version() const { return version_; }
  std::uint64_t offered() const { return offered_; }  // by the greeting

  // A request of any length, cut into packets. `sequence` is that of its first packet.
  void send(std::string_view payload, std::uint8_t sequence = 0);
  void send_query(std::string_view sql) { send(query_payload(sql)); }
  std::string query_payload(std::string_view sql) const;
  void send_bytes(std::string_view bytes);
  static std::string packet(std::string_view payload, std::uint8_t sequence = 0);
  void vanish();  // the connection is reset

  // Throws std::runtime_error when the connection has ended, or nothing comes within the limit.
  std::string read_packet(std::chrono::milliseconds limit = std::chrono::seconds(30));
  bool has_answer_within(std::chrono::milliseconds limit);
  bool has_ended_within(std::chrono::milliseconds limit);  // what comes before is thrown away
  RawAnswer read_answer(bool is_binary = false);
  RawAnswer ask(std::string_view sql);
  std::string scalar(std::string_view sql) { return ask(sql).scalar(); }

  RawPrepared prepare(std::string_view sql);
  RawPrepared read_prepared();
  // Parameters are strings. Without types: "as last time".
  static std::string execute_payload(std::uint32_t id, const std::vector<std::string>& parameters, bool has_types = true, std::uint8_t flags = 0);
  RawAnswer execute(std::uint32_t id, const std::vector<std::string>& parameters, bool has_types = true);

 private:
  void connect(int port);
  void log_in(const Options& options);
  void finish_login(std::string plugin, std::string salt, const Options& options);
  std::string read_bytes(std::size_t count, std::chrono::milliseconds limit);
  bool wait_readable(std::chrono::milliseconds limit) const;
  void read_result(std::string_view head, bool is_binary, RawAnswer& answer);
  bool read_end(std::string_view payload, RawAnswer& answer) const;

  int socket_ = -1;
  std::uint64_t capabilities_ = 0;
  std::uint64_t offered_ = 0;
  std::uint8_t sequence_ = 0;  // of the last packet that was read
  std::uint32_t connection_id_ = 0;
  std::string version_;
};

}  // namespace godwit::test
