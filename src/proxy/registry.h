// Which session a client means by the connection id it was given, for KILL. Ids of two servers can be the same: the later session is then given another
// one, from the top. Any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>

namespace godwit::proxy {

class Session;

class Registry {
 public:
  // The id to give to a client whose server calls it `server_id`.
  std::uint32_t add(std::uint32_t server_id, std::weak_ptr<Session> session) {
    const std::lock_guard lock(mutex_);
    std::uint32_t id = server_id;
    while (!entries_.emplace(id, Entry{server_id, session}).second) id = next_--;
    return id;
  }
  void move(std::uint32_t client_id, std::uint32_t server_id) {
    const std::lock_guard lock(mutex_);
    entries_[client_id].server_id = server_id;
  }
  void remove(std::uint32_t client_id) {
    const std::lock_guard lock(mutex_);
    entries_.erase(client_id);
  }
  // What its server calls it.
  std::optional<std::uint32_t> server_id(std::uint32_t client_id) const {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(client_id);
    if (found == entries_.end()) return std::nullopt;
    return found->second.server_id;
  }
  // Itself; to be spoken to in its own thread.
  std::shared_ptr<Session> session(std::uint32_t client_id) const {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(client_id);
    return found == entries_.end() ? nullptr : found->second.session.lock();
  }

 private:
  struct Entry {
    std::uint32_t server_id = 0;
    std::weak_ptr<Session> session;
  };
  mutable std::mutex mutex_;
  std::unordered_map<std::uint32_t, Entry> entries_;
  std::uint32_t next_ = 0xFFFFFFF0;
};

}  // namespace godwit::proxy
