// How a session ends, what is looked after each second so that it does, and what SHOW SESSIONS says of it meanwhile.
#include <fmt/format.h>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/use_awaitable.hpp>

#include "godwit/util/log.h"
#include "client_error.h"
#include "seizure.h"
#include "session.h"
#include "worker.h"

namespace godwit::proxy {
namespace {

constexpr std::chrono::seconds kLeave{2};

}  // namespace

void Session::refuse(std::uint16_t number, std::string_view state, std::string_view text) {
  client_->set_sequence(1);
  // In the middle of a packet it would be taken for a part of it.
  if (responses_.is_between_packets()) client_->send_packet(error_packet(number, state, text));
  end(text);
}

// A server counts a greeting that nobody answers against the host it was sent to, and shuts that out after so many (max_connect_errors): here it is the
// proxy's, and all its clients'. So it is answered, by a login of nobody's; and a login that the client has left in the middle, by an empty packet.
void Session::dismiss_server() {
  if (!server_ || server_->channel().has_ended() || (has_begun_login_ && !owes_reply_)) return;
  asio::co_spawn(
      client_->executor(),
      [backend = std::exchange(server_, nullptr), has_begun = has_begun_login_]() -> asio::awaitable<void> {
        try {
          co_await backend->take_leave(has_begun, std::chrono::steady_clock::now() + kLeave);
        } catch (const std::exception&) {  // it is refused, or the server is gone
        }
        backend->channel().close();
      },
      asio::detached);
}

void Session::end(std::string_view reason) {
  if (has_ended_) return;
  const auto self = shared_from_this();
  has_ended_ = true;
  seizure_.reset();
  log::debug("session {} of {} has ended: {}", client_id_, address_.host, reason);
  client_->close_when_sent();
  if (!is_served_) dismiss_server();
  for (const auto* backend : {&server_, &previous_}) {
    if (*backend) (*backend)->channel().close();
  }
  if (standby_) standby_->backend().channel().close();
  if (client_id_ != 0) context_.registry.remove(client_id_);
  if (!user_.empty()) context_.vault.leave(user_);
  count_statements();
  worker_.on_ended(*this);
}

// What it has begun does not go on, and nothing but its own bytes is missing.
bool Session::is_client_at_fault() const {
  if (!is_served_ || is_exclusive_ || client_->is_reading_paused() || server_->channel().unsent_bytes() > 0) return false;
  return requests_.is_in_file() || requests_.is_inside_request() || reframing_ || (may_begin() && responses_.is_empty());
}

// Not as they come: nothing that all threads share is written for a packet.
void Session::count_statements() { context_.stats.statements += requests_seen_ - std::exchange(requests_counted_, requests_seen_); }

void Session::look_after(Deadline now) {
  count_statements();
  const auto& limits = context_.options.limits;
  if (client_->unsent_bytes() > 0 && now - client_->unsent_since() > limits.stalled_client) {
    ++context_.stats.stalled;
    return end("the client does not read");
  }
  if (partial_since_ != Deadline{} && !is_client_at_fault()) partial_since_ = now;
  if (partial_since_ != Deadline{} && now - partial_since_ > limits.stalled_client) {
    ++context_.stats.stalled;
    return end("the client does not finish its request");
  }
  if (!is_served_ || is_exclusive_) return;
  client_->shrink();
  server_->channel().shrink();
}

db::Side Session::side() const { return server_ ? server_->side() : context_.gate.serving(); }

SessionRow Session::row() const {
  SessionRow row;
  row.id = client_id_;
  row.server_id = server_ ? server_->id() : 0;
  row.account = account_;
  row.client = fmt::format("{}:{}", address_.host, address_.port);
  row.side = db::to_string(side());
  row.state = !is_served_ ? "login" : hold_ != Hold::none ? std::string(to_string(hold_)) : !responses_.is_empty() ? "statement" : must_go_on() ? "open" : "idle";
  row.statements = requests_seen_;
  row.moves = moves_;
  row.prepared = statements_.size();
  row.what_it_is_in = must_go_on() ? what_it_is_in() : "";
  if (is_refused_there_) row.refused_by = db::to_string(side() == db::Side::source ? db::Side::target : db::Side::source);
  for (const auto& refusal : refusals_) {
    if (!row.immovable.empty()) row.immovable += "; ";
    row.immovable += fmt::format("{}{}{}{}{}", refusal.reason, refusal.object.empty() ? "" : " ", refusal.object, refusal.detail.empty() ? "" : ": ", refusal.detail);
  }
  return row;
}

// Why it is at no safe point.
std::string Session::what_it_is_in() const {
  if ((status_ & wire::status::in_transaction) != 0 || has_savepoint_) return wire_.transaction_characteristics.rfind("XA", 0) == 0 ? "xa" : "transaction";
  if (wire_.has_table_locks) return "table_lock";
  if (statements_.has_open_cursor()) return "open_cursor";
  if (statements_.has_long_data()) return "long_data";
  return "";
}

}  // namespace godwit::proxy
