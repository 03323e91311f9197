#include "godwit/routing/hints.h"

#include "godwit/util/text.h"
#include "tokens.h"

namespace godwit::routing {
namespace {

bool is_kill_noise(const Token& token) { return token.is("HARD") || token.is("SOFT") || token.is("CONNECTION"); }

// One statement of the text, from its first word to its ';'.
class Pass {
 public:
  Pass(std::string_view sql, const HintOptions& options)
      : options_(options), is_cut_(sql.size() > options.bytes_max), tokens_(sql.substr(0, options.bytes_max), options.has_backslash_escapes) {}

  Hints run() {
    Token first = tokens_.next();
    while (first.kind != Token::Kind::end) {
      const bool is_done = statement(first);
      if (is_done && !options_.takes_several_statements) return hints_;
      const bool is_at_end = is_done ? skip_statement() : rest();
      if (is_at_end) break;
      first = tokens_.next();
      while (first.is_sign(';')) first = tokens_.next();
      add(Hint::several_statements, first.kind != Token::Kind::end);
      if (!options_.takes_several_statements) return hints_;
    }
    add(Hint::is_cut, is_cut_);
    return hints_;
  }

 private:
  void add(Hint hint, bool is_so = true) {
    if (is_so) hints_.bits |= static_cast<std::uint32_t>(hint);
  }

  // To the statement's end, without looking. True at the end of the text.
  bool skip_statement() {
    Token token = last_;
    while (token.kind != Token::Kind::end && !token.is_sign(';')) token = tokens_.next();
    last_ = token;
    return token.kind == Token::Kind::end;
  }

  // Looks at each word up to the statement's end. True at the end of the text.
  bool rest() {
    Token token = last_;
    while (token.kind != Token::Kind::end && !token.is_sign(';')) {
      look(token);
      token = tokens_.next();
    }
    last_ = token;
    return token.kind == Token::Kind::end;
  }

  void look(const Token& token) {
    if (token.kind == Token::Kind::system_variable) return look_at_variable(token.text.substr(2));
    if (token.kind != Token::Kind::word) return;
    switch (token.text.size()) {
      case 8:
        add(Hint::may_take_user_lock, token.is("GET_LOCK"));
        break;
      case 12:
        add(Hint::may_free_user_locks, token.is("RELEASE_LOCK"));
        break;
      case 17:
        add(Hint::may_free_user_locks, token.is("RELEASE_ALL_LOCKS"));
        break;
      default:
        break;
    }
    if (hints_.has(Hint::sets)) look_at_variable(token.text);
    if (is_flush_) look_at_flush(token);
  }

  // SET names a variable with or without its scope before it: @@session.timestamp comes as "session", '.', "timestamp".
  void look_at_variable(std::string_view name) {
    if (!hints_.has(Hint::sets)) return;
    add(Hint::sets_timestamp, equals_ignoring_case(name, "timestamp"));
    constexpr std::string_view kTrack = "session_track_";
    add(Hint::mentions_session_track, name.size() > kTrack.size() && equals_ignoring_case(name.substr(0, kTrack.size()), kTrack));
  }

  void look_at_flush(const Token& token) {
    add(Hint::flushes_status, token.is("STATUS"));
    add(Hint::flushes_with_read_lock, token.is("READ") || token.is("EXPORT"));
  }

  // Whether the statement's first words say all there is to say.
  bool statement(const Token& first) {
    is_flush_ = false;
    last_ = tokens_.next();
    if (first.kind != Token::Kind::word) return is_harmless();
    switch (first.text.front() | 0x20) {
      case 's':
        return of_s(first);
      case 'i':
      case 'u':
      case 'd':
      case 'r':
      case 'w':
      case 'v':
        return of_changes(first);
      default:
        return of_others(first);
    }
  }

  // A statement in which only user locks could be of interest.
  bool is_harmless() const { return !options_.looks_for_user_locks; }

  bool of_s(const Token& first) {
    if (first.is("SELECT") || first.is("SHOW")) return is_harmless();
    add(Hint::savepoint, first.is("SAVEPOINT"));
    add(Hint::begins_transaction, first.is("START"));
    if (!first.is("SET")) return is_harmless();
    add(Hint::sets);
    Token word = last_;
    if (word.is("SESSION") || word.is("GLOBAL") || word.is("LOCAL") || word.is("DEFAULT")) word = last_ = tokens_.next();
    add(Hint::sets_transaction, word.is("TRANSACTION"));
    add(Hint::sets_password, word.is("PASSWORD"));
    add(Hint::sets_role, word.is("ROLE"));
    return false;
  }

  bool of_changes(const Token& first) {
    if (first.is("DO")) return false;
    add(Hint::unlocks_tables, first.is("UNLOCK"));
    add(Hint::changes_schema, first.is("USE"));
    add(Hint::ends_transaction, first.is("ROLLBACK"));
    add(Hint::savepoint, first.is("RELEASE") || (first.is("ROLLBACK") && last_.is("TO")));
    add(Hint::prepares_text, first.is("DEALLOCATE") || (first.is("DROP") && last_.is("PREPARE")));
    return is_harmless();
  }

  bool of_others(const Token& first) {
    if (first.is("KILL")) return of_kill();
    if (first.is("CREATE")) return of_create();
    if (first.is("FLUSH")) {
      is_flush_ = true;
      return false;
    }
    if (first.is("CALL") || first.is("EXECUTE")) add(Hint::calls);
    add(Hint::prepares_text, first.is("PREPARE") || first.is("EXECUTE"));
    add(Hint::begins_transaction, first.is("BEGIN"));
    add(Hint::calls, first.is("BEGIN") && last_.is("NOT"));  // MariaDB's compound statement
    add(Hint::ends_transaction, first.is("COMMIT"));
    add(Hint::xa, first.is("XA"));
    add(Hint::locks_tables, first.is("LOCK") || first.is("BACKUP"));
    add(Hint::handler, first.is("HANDLER"));
    add(Hint::gets_diagnostics, first.is("GET"));
    add(Hint::sets_password, first.is("ALTER") && last_.is("USER"));
    return is_harmless() && !hints_.has(Hint::calls);
  }

  bool of_create() {
    while (last_.is("OR") || last_.is("REPLACE")) last_ = tokens_.next();
    add(Hint::creates_temporary_table, last_.is("TEMPORARY"));
    return is_harmless();
  }

  // KILL [HARD | SOFT] [CONNECTION | QUERY] id; MariaDB's KILL QUERY ID n and KILL USER name mean something else.
  bool of_kill() {
    add(Hint::several_kills, hints_.has(Hint::kills));
    add(Hint::kills);
    Kill kill;
    Token token = last_;
    while (is_kill_noise(token)) token = tokens_.next();
    if (token.is("QUERY")) {
      kill.is_query = true;
      token = tokens_.next();
    }
    last_ = token;
    const auto id = token.kind == Token::Kind::number ? parse_u64(token.text) : std::nullopt;
    if (id && hints_.kill.size == 0) {
      kill.id = *id;
      kill.offset = static_cast<std::uint32_t>(token.offset);
      kill.size = static_cast<std::uint32_t>(token.text.size());
      hints_.kill = kill;
    }
    return is_harmless();
  }

  const HintOptions& options_;
  const bool is_cut_;
  bool is_flush_ = false;
  Hints hints_;
  Token last_;
  Tokens tokens_;
};

}  // namespace

Hints hints_of(std::string_view sql, const HintOptions& options) { return Pass(sql, options).run(); }

}  // namespace godwit::routing
