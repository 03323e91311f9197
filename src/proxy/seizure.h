// What a KILL has in its hands: the session that it means, which stays where it is until this ends. Made and ended in the thread of the session that kills.
#pragma once

#include <asio/post.hpp>
#include <memory>
#include <utility>

#include "session.h"

namespace godwit::proxy {

class Seizure {
 public:
  Seizure(std::shared_ptr<Session> session, asio::any_io_executor executor) : session_(std::move(session)), executor_(std::move(executor)) {}
  ~Seizure() {
    asio::post(executor_, [session = std::move(session_), what = std::move(what), outcome = outcome] { session->let_loose(what, outcome); });
  }
  Seizure(const Seizure&) = delete;
  Seizure& operator=(const Seizure&) = delete;

  Session& session() { return *session_; }
  const asio::any_io_executor& executor() const { return executor_; }

  Session::Seized what;
  bool is_query = false;
  Session::Outcome outcome = Session::Outcome::none;
  std::optional<bool> was_killed_there;  // on the other side, where the killer's own server does not know it

 private:
  std::shared_ptr<Session> session_;
  asio::any_io_executor executor_;
};

}  // namespace godwit::proxy
