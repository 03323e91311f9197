// The prepared statements of one session: the client knows numbers of the proxy's, each server its own. One thread.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace godwit::proxy {

// What a statement was prepared in, among those of its session.
using ContextId = std::uint32_t;
inline constexpr ContextId kNoContext = ~ContextId{0};

struct Statement {
  std::string sql;
  std::uint32_t server_id = 0;
  std::uint16_t parameters = 0;
  std::uint64_t definitions = 0;
  std::string temporary_table;  // that it makes
  std::string types;         // of its parameters, as the client sent them last
  ContextId context = 0;
  bool is_kept = true;       // text and types; else it cannot be prepared again
  bool lacks_types = false;  // its server has never seen them: it was prepared there by the proxy
  bool has_long_data = false;
  bool has_cursor = false;
  // Since the session was moved: its number on the connection that it came from.
  std::uint32_t previous_id = 0;
  bool previous_lacks_types = false;
};

class Statements {
 public:
  // Of all texts and types, together: what would be more is not kept, and the session stays where it is.
  static constexpr std::size_t kTextBytesMax = std::size_t{16} << 20;

  // The text of a statement that is being prepared, told before its answer comes; answers come in order.
  enum class Text { kept, too_long };
  void begin(std::string sql, ContextId context, Text text = Text::kept);
  bool is_preparing() const { return !preparing_.empty(); }
  // Its answer: the client's number for it.
  std::uint32_t add(std::uint32_t server_id, std::uint16_t parameters);
  void fail();
  // Of its parameters, as the client has sent them.
  void set_types(Statement& statement, std::string_view types);
  void close(std::uint32_t client_id);
  void clear();

  Statement* find(std::uint32_t client_id);
  std::uint32_t last() const { return last_; }
  std::unordered_map<std::uint32_t, Statement>& all() { return all_; }
  std::size_t size() const { return all_.size(); }

  void set_cursor(Statement& statement, bool is_open);
  void set_long_data(Statement& statement, bool is_pending);
  bool has_open_cursor() const { return cursors_ > 0; }
  bool has_long_data() const { return long_data_ > 0; }
  bool is_too_large() const { return not_kept_ > 0; }

 private:
  bool has_room(std::size_t bytes) const { return bytes <= kTextBytesMax - text_bytes_; }
  void give_up(Statement& statement);

  struct Preparing {
    std::string sql;
    ContextId context = 0;
    Text text = Text::kept;
  };
  std::unordered_map<std::uint32_t, Statement> all_;
  std::deque<Preparing> preparing_;
  std::uint32_t next_ = 1;
  std::uint32_t last_ = 0;
  std::size_t cursors_ = 0;
  std::size_t long_data_ = 0;
  std::size_t text_bytes_ = 0;  // kept, those of statements being prepared too
  std::size_t not_kept_ = 0;
};

}  // namespace godwit::proxy
