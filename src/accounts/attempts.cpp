#include "godwit/accounts/attempts.h"

namespace godwit::accounts {
namespace {

std::string address_key(std::string_view address) { return std::string(address); }
std::string user_key(std::string_view user, std::string_view address) { return std::string(address) + '\n' + std::string(user); }

}  // namespace

// Two windows take turns: a failure counts for one to two of them, and nothing has to be searched for what is over.
void Attempts::turn(Time now) {
  const auto age = now - began_;
  if (age < limits_.window && current_.size() < limits_.entries_max) return;
  const bool is_long_over = age >= 2 * limits_.window;
  previous_ = is_long_over ? Counts() : std::move(current_);
  current_ = Counts();
  began_ = now;
}

unsigned Attempts::count(const std::string& key) const {
  const auto of = [&](const Counts& counts) {
    const auto it = counts.find(key);
    return it == counts.end() ? 0U : it->second;
  };
  return of(current_) + of(previous_);
}

bool Attempts::is_refused(std::string_view user, std::string_view address, Time now) {
  std::lock_guard lock(mutex_);
  turn(now);
  return count(user_key(user, address)) >= limits_.failures_per_user_max || count(address_key(address)) >= limits_.failures_per_address_max;
}

void Attempts::failed(std::string_view user, std::string_view address, Time now) {
  std::lock_guard lock(mutex_);
  turn(now);
  ++current_[user_key(user, address)];
  ++current_[address_key(address)];
}

void Attempts::succeeded(std::string_view user, std::string_view address) {
  std::lock_guard lock(mutex_);
  current_.erase(user_key(user, address));
  previous_.erase(user_key(user, address));
}

}  // namespace godwit::accounts
