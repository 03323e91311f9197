// Which session a client means by the connection id it was given, for KILL. Ids of two servers can be the same: the later session is then given another
// one, from the top. Any thread.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <unordered_map>

namespace godwit::proxy {

class Registry {
 public:
  // The id to give to a client whose server calls it `server_id`.
  std::uint32_t add(std::uint32_t server_id) {
    const std::lock_guard lock(mutex_);
    std::uint32_t id = server_id;
    while (!servers_.emplace(id, server_id).second) id = next_--;
    return id;
  }
  void move(std::uint32_t client_id, std::uint32_t server_id) {
    const std::lock_guard lock(mutex_);
    servers_[client_id] = server_id;
  }
  void remove(std::uint32_t client_id) {
    const std::lock_guard lock(mutex_);
    servers_.erase(client_id);
  }
  // What the serving side calls it.
  std::optional<std::uint32_t> server_id(std::uint32_t client_id) const {
    const std::lock_guard lock(mutex_);
    const auto found = servers_.find(client_id);
    if (found == servers_.end()) return std::nullopt;
    return found->second;
  }

 private:
  mutable std::mutex mutex_;
  std::unordered_map<std::uint32_t, std::uint32_t> servers_;
  std::uint32_t next_ = 0xFFFFFFF0;
};

}  // namespace godwit::proxy
