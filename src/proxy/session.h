// One client and its connection to the serving side. Relaying is callbacks (session_requests.cpp, session_responses.cpp); what is a conversation is coroutines: the login
// (session_login.cpp, session_accounts.cpp), and the move to the other side (session_move.cpp, session_standby.cpp). Its end is session_end.cpp. All in the thread of its worker.
//
// A session is served, or in the proxy's own hands (`is_exclusive_`): then what the client sends stays in its buffer, and the server is asked by the proxy.
#pragma once

#include <asio/awaitable.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backend.h"
#include "channel.h"
#include "context.h"
#include "standby.h"
#include "steward.h"
#include "godwit/routing/diagnostics.h"
#include "godwit/routing/hints.h"
#include "godwit/routing/replay.h"
#include "godwit/routing/session_state.h"
#include "godwit/routing/text_statements.h"
#include "godwit/routing/user_locks.h"
#include "godwit/wire/execute.h"
#include "godwit/wire/reframing.h"
#include "godwit/wire/requests.h"
#include "godwit/wire/responses.h"
#include "statements.h"

namespace godwit::proxy {

class Worker;
class Seizure;

// Where a session is with respect to the gate.
enum class Hold { none, settling, held, refused };
std::string_view to_string(Hold hold);

struct SessionRow {  // for SHOW SESSIONS
  std::uint32_t id = 0;
  std::uint32_t server_id = 0;
  std::string account;
  std::string client;
  std::string side;
  std::string schema;
  std::string state;
  std::uint64_t statements = 0;
  std::uint64_t moves = 0;
  std::size_t prepared = 0;
  std::string what_it_is_in;  // why it is at no safe point
  std::string immovable;   // why it could not be moved now
  std::string refused_by;  // the side that refused it: nothing shows of that until it is warmed, or moved
};

class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(Worker& worker, std::shared_ptr<Channel> client, ClientAddress address);
  ~Session();
  void start();

  // The gate. hold() begins to hold it where it is at a safe point, and else as soon as it is; on_settled tells the worker.
  void hold();
  void release();
  Hold hold_state() const { return hold_; }
  bool is_served() const { return is_served_; }
  bool has_ended() const { return has_ended_; }
  bool is_movable() const { return refusals_.empty(); }
  // Of a held session: what it is made of, and what keeps it where it is.
  asio::awaitable<void> pull(const Census& census, Deadline deadline);
  void let_go_on();
  // Held, and nothing of its client's has been done since the census was begun.
  bool is_covered_by(const Census& census) const;
  // Of what it is now: nothing was asked for since.
  bool is_read() const { return state_.has_value() && !was_changed_; }
  bool is_at_safe_point() const;
  bool may_own_locks(const Census& census) const;  // that others wait for
  std::chrono::steady_clock::time_point began() const { return began_; }
  // Throws where it cannot be; it is then where it was.
  asio::awaitable<void> move(db::Side side, Deadline deadline);
  // Back to where it was before move(): free until release().
  void move_back();
  // To that side, whichever of these it takes; nothing where it is there.
  asio::awaitable<void> bring(db::Side side, Deadline deadline);
  asio::awaitable<void> warm(db::Side side, Deadline deadline);
  db::Side side() const;

  // A KILL by another session, in this one's thread (session_kill.cpp). Until it is let loose nothing more of its client's goes to its server, and it stays where it is.
  struct Seized {
    db::Side side = db::Side::source;
    std::uint32_t server_id = 0;
    std::string account;
    bool is_settled = false;  // else it is in the proxy's hands still
    bool is_waiting = false;  // a statement had come when it was seized, and was not sent on
    std::optional<std::uint64_t> late{};  // the statement that is under way, by number, if it was kept waiting before
  };
  void seize(Seized& seized);
  bool is_settled_for(Seized& seized);
  enum class Outcome { none, killed, interrupted };
  void let_loose(const Seized& seized, Outcome outcome);
  std::uint32_t client_id() const { return client_id_; }
  const std::string& account() const { return account_; }

  // What the client gets instead of an answer; then the connection ends.
  void refuse(std::uint16_t number, std::string_view state, std::string_view text);
  void end(std::string_view reason);
  void count_statements();        // into the figures, those since the last time
  void look_after(Deadline now);  // each second: stalled clients, idle buffers
  SessionRow row() const;

 private:
  // --- session_login.cpp, session_accounts.cpp
  asio::awaitable<void> log_in();
  asio::awaitable<void> read_proxy_header(Deadline deadline);
  asio::awaitable<void> greet(Deadline deadline);
  asio::awaitable<wire::Login> read_login(Deadline deadline);
  asio::awaitable<void> connect_server(Deadline deadline);
  asio::awaitable<void> authenticate(wire::Login login, Deadline deadline);
  asio::awaitable<std::string> relay_auth(std::string plugin, std::string salt, Deadline deadline);
  asio::awaitable<void> relay_sha2_password(const std::string& salt, Deadline deadline);
  asio::awaitable<auth::Secret> ask_sha2_password(const std::string& salt, Deadline deadline);
  asio::awaitable<void> begin_service(std::string ok, Deadline deadline);
  asio::awaitable<void> harvest(Deadline deadline);
  asio::awaitable<Credential> secret_behind(std::string user, std::string reply, std::string salt);
  asio::awaitable<void> harvest_native();
  asio::awaitable<std::string> proof_of_certificate();
  asio::awaitable<std::shared_ptr<const Credential>> credential_on(db::Side side);
  asio::awaitable<void> serve_admin(wire::Login login, Deadline deadline);
  asio::awaitable<bool> is_admin_password(const wire::Login& login, Deadline deadline);
  asio::awaitable<void> change_user(std::string request);
  void forget_state();
  std::string what_it_is_in() const;
  std::string vault_key(const std::string& user) const;
  void fail_login(const std::exception& error);
  void note_native_reply(std::string_view reply, std::string_view salt);
  void serve();
  void begin_change_user(std::string request);
  void begin_reset();
  void begin_shuttle();
  void dismiss_server();
  bool may_become(const std::string& user);

  // --- session_requests.cpp, session_hints.cpp, session_statements.cpp, session_responses.cpp
  // What a connection calls: the session lives until it returns, and an exception ends it alone.
  void attempt(void (Session::*deed)());
  void on_client_input();
  void on_client_end();
  void on_client_drained();
  void on_server_input();
  void on_server_end();
  void relay_requests();
  void relay_responses();
  enum class Begin { passes, waits, replaced, reframed };
  using Request = wire::Requests::Step;
  Begin begin_request(const Request& request);
  Begin begin_query(const Request& request);
  Begin begin_prepare(const Request& request);
  Begin begin_statement(const Request& request);
  Begin begin_execute(const Request& request);
  bool feed_reframing();
  Begin begin_process_kill(const Request& request);
  // --- session_kill.cpp
  bool is_kill_alone(std::string_view sql, const routing::Kill& kill) const;
  std::optional<Begin> begin_kill(const Request& request, std::uint32_t id, bool is_query);
  asio::awaitable<void> seize_other(std::shared_ptr<Session> other, bool is_query);
  asio::awaitable<void> kill_there(bool is_query);
  void end_kill(bool is_error);
  Begin answer_interrupted(const Request& request);
  asio::awaitable<void> insist(std::uint64_t request);
  Begin begin_alone(const Request& request);
  Begin insert_types(const Request& request, const wire::ExecuteHead& head, std::string_view types, std::uint32_t server_id);
  Begin replace(const Request& request, std::string_view payload);
  Begin answer(const Request& request, std::string_view payload);
  Begin answer_error(const Request& request, std::uint16_t number, std::string_view state, std::string_view text);
  std::string_view seen(const Request& request);  // of its payload, what has come
  bool is_whole(const Request& request) const { return request.available == wire::kHeaderBytes + request.length && request.length < wire::kFrameMax; }
  bool may_begin() const;
  bool must_go_on() const;
  std::string_view text_of(std::string_view payload) const;
  routing::Hints hints_of(std::string_view sql) const;
  void note_hints(const routing::Hints& hints, std::string_view sql);
  void note_user_locks(std::string_view sql);
  void note_xa(std::string_view sql);
  void note_temporary_table(const std::string& name, ContextId context);
  void note_tracking(std::string_view sql);
  void answer_pings();
  void note_diagnostics(wire::Command command, std::string_view sql);
  Begin answer_diagnostic(const Request& request, const routing::DiagnosticQuestion& question);
  Begin begin_context();
  static constexpr std::size_t kContextsMax = 256;
  ContextId number_of(routing::PrepareContext context);
  void expect(wire::Command command, std::uint32_t statement = 0);
  void flush_requests();
  void note_partial(std::size_t bytes);
  bool is_client_at_fault() const;
  void flush_responses();
  using Response = wire::Responses::Step;
  void see_response(const Response& step);
  void see_ok(const Response& step);
  void see_prepared(const Response& step);
  void see_metadata(const Response& step);
  // What of an OK's trackers the client is to see; false where that is all of them, as they are.
  bool see_trackers(std::string_view trackers, std::string& kept);
  void see_status(std::uint16_t status);
  void see_warnings(unsigned warnings);
  asio::awaitable<void> ask_status();
  void note_waiting();
  void replace_packet(const Response& step, std::string_view payload);
  std::string_view payload_of(const Response& step);
  void on_answered(bool is_error);
  void on_idle();
  void settle_flow();

  // --- session_move.cpp
  void take();        // into the proxy's hands
  void hand_back();   // to the client
  void in_own_hands(std::function<asio::awaitable<void>()> deed);
  void refuse_move(std::vector<routing::Refusal> refusals);
  asio::awaitable<routing::SessionState> read_state(routing::PullOptions options, Deadline deadline);
  void add_refusals(const Census& census);
  void adopt(Standby& standby);
  void settle_move();
  asio::awaitable<void> follow_gate();
  void attach();

  // --- session_standby.cpp
  wire::Login login_for_standby() const;
  asio::awaitable<std::shared_ptr<Standby>> open_standby(db::Side side, Deadline deadline);
  asio::awaitable<std::shared_ptr<Standby>> ready_standby(db::Side side, Deadline deadline);
  void drop_standby();
  routing::ReplayOptions replay_options() const;
  Likeness likeness();
  asio::awaitable<bool> take_at_safe_point(Deadline deadline);
  asio::awaitable<void> wait_for(std::chrono::steady_clock::duration time);
  asio::awaitable<void> rest_since(Deadline began);
  asio::awaitable<bool> pull_taken(const Census& census, bool is_covered);
  bool give_at_safe_point();
  asio::awaitable<bool> pull_between(Deadline since);
  asio::awaitable<void> make_ready(db::Side side, Deadline deadline);
  asio::awaitable<void> follow_and_adopt(db::Side side, Deadline deadline);

  Worker& worker_;
  Context& context_;
  std::shared_ptr<Channel> client_;
  ClientAddress address_;
  std::shared_ptr<Backend> server_;
  std::shared_ptr<Standby> standby_;   // at the other side, and idle
  std::optional<std::uint64_t> warmed_at_;  // after so many requests it was like the session
  asio::steady_timer* safe_point_ = nullptr;  // of who waits for the session to come to one
  std::shared_ptr<Backend> previous_;  // where the session was before move(), until release()

  // The login, kept for the other side.
  wire::Login login_;
  std::string user_;  // counted as a client of this name
  std::optional<layer::Compression> compression_;
  int compression_level_ = 0;
  std::string client_salt_;
  std::string native_salt_;  // of the last switch to mysql_native_password
  std::string account_;  // as the server calls it: "app@10.%"
  std::optional<std::pair<std::string, std::string>> native_reply_;  // and the salt: what a stored hash makes a secret of
  std::shared_ptr<const Credential> heard_;                          // the password itself went by
  std::uint32_t client_id_ = 0;
  wire::Capabilities client_capabilities_ = 0;

  // Relaying.
  wire::Requests requests_;
  std::optional<wire::Reframing> reframing_;  // the request under way is cut anew
  wire::Responses responses_;
  Statements statements_;
  std::vector<routing::PrepareContext> contexts_;  // that a statement was prepared in
  ContextId context_id_ = 0;                        // of these, the one now, where it is known
  bool is_context_known_ = false;
  bool has_prepared_ = false;  // ever
  routing::TextStatements text_statements_;
  routing::UserLocks user_locks_;
  std::optional<std::string> temporary_table_;  // that the statement under way makes; its answer is the next
  std::optional<routing::TextPrepare> text_prepare_;  // whose answer is the next
  std::string text_prepare_sql_;
  std::string edited_;  // a packet in another's place
  std::string kept_;     // of the trackers of an OK
  std::string changed_;  // a payload
  bool replaced_ = false;
  // The run of bytes that goes on as it came: from, and up to where it was looked at.
  struct Run {
    std::size_t from = 0;
    std::size_t at = 0;
  };
  Run request_run_;
  Run response_run_;

  // What the session is in, as far as the wire tells.
  std::uint16_t status_ = wire::status::autocommit;
  bool is_status_known_ = true;
  bool owns_tracking_ = false;        // it has set session_track_… itself; and of that:
  bool owns_state_change_ = false;
  bool owns_transaction_info_ = false;
  bool has_multi_statements_ = false;
  bool tells_of_transactions_ = false;  // the server does
  bool has_prepared_xa_ = false;      // it has prepared one, and not ended one since
  bool has_savepoint_ = false;        // outside of a transaction, as far as the server tells: it does so while autocommit is off
  bool is_one_shot_unknown_ = false;  // a SET TRANSACTION for the next transaction alone, and whether that has been
  bool adds_metadata_flag_ = false;   // its server does not leave definitions out, and the client expects to be told
  bool has_changed_variables_ = true;  // since the last pull, as far as the server tells
  routing::WireState wire_;
  std::optional<routing::SessionState> state_;
  std::map<std::string, std::string> collations_before_;  // its names for some of them, on the side that it came from
  std::optional<routing::Diagnostics> diagnostics_;  // of the statement before the move
  bool keeps_diagnostics_ = false;  // the request that is begun now
  std::vector<routing::Refusal> refusals_;
  bool is_refused_there_ = false;  // by what the other side lacks: it may be mended by the next MOVE

  Hold hold_ = Hold::none;
  bool is_exclusive_ = true;
  bool is_served_ = false;
  bool has_begun_login_ = false;  // at its server, which has heard something in answer to its greeting
  bool owes_reply_ = false;       // the server waits for more of it
  bool has_ended_ = false;
  bool is_relaying_ = false;
  std::shared_ptr<Seizure> seizure_;  // of the session that its client's KILL, which is the next request or under way, means
  bool is_seizing_ = false;
  unsigned seizures_ = 0;  // by others
  bool is_interrupted_ = false;  // its next statement was killed before it was sent on
  std::uint64_t late_request_ = 0;  // the last that was kept waiting while the session was in the proxy's hands
  Deadline late_at_{};
  bool was_changed_ = false;  // a request since the last pull
  bool has_drifted_ = false;
  Deadline held_since_{};
  Deadline waiting_since_{};  // a request has come while it is held
  Deadline partial_since_{};
  std::uint64_t partial_bytes_ = 0;  // that have come since
  std::chrono::steady_clock::time_point began_;
  std::uint64_t requests_seen_ = 0;
  std::uint64_t requests_counted_ = 0;
  std::uint64_t moves_ = 0;
};

// The trackers are needed even where the client did not ask for them.
wire::Login with_session_track(wire::Login login, const Backend& backend);

}  // namespace godwit::proxy
