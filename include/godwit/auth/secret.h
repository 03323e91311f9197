// A password, or what can be used like one: in memory that is locked (never in swap, never in a core file) and zeroed when it ends. It is moved,
// and copied only where copy() says so; there is no formatter for it. Many secrets share a page, since locked pages are few. Any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace godwit::auth {

class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string_view bytes);
  Secret(Secret&& other) noexcept;
  Secret& operator=(Secret&& other) noexcept;
  ~Secret();

  Secret copy() const { return Secret(view()); }
  std::string_view view() const { return {data_, size_}; }  // valid while the secret is
  bool is_empty() const { return size_ == 0; }

 private:
  void wipe() noexcept;

  char* data_ = nullptr;
  std::size_t size_ = 0;
};

// Overwrites what held a secret for a moment: a packet, a line of a file.
void wipe(std::string& text) noexcept;

// False once the system refused to lock memory (RLIMIT_MEMLOCK): the secrets are then zeroed still, but may reach the swap. Logged once.
bool secrets_are_locked();

}  // namespace godwit::auth
