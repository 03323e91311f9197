#include "vault.h"

namespace godwit::proxy {

std::string_view to_string(Origin origin) {
  switch (origin) {
    case Origin::none:
      return "none";
    case Origin::native_hash:
      return "native_hash";
    case Origin::password_heard:
      return "password_heard";
    case Origin::delegated:
      return "delegated";
    case Origin::accounts_file:
      return "accounts_file";
  }
  return "";
}

namespace {
std::size_t index_of(db::Side side) { return side == db::Side::source ? 0 : 1; }
}  // namespace

std::shared_ptr<const Credential> Vault::find(const std::string& account, db::Side side) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(account);
  if (found == entries_.end()) return nullptr;
  const auto& delegated = found->second.delegated[index_of(side)];
  return delegated ? delegated : found->second.credential;
}

std::shared_ptr<const Credential> Vault::find_delegated(const std::string& account, db::Side side) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(account);
  return found == entries_.end() ? nullptr : found->second.delegated[index_of(side)];
}

void Vault::put_delegated(const std::string& account, db::Side side, std::shared_ptr<const Credential> credential) {
  const std::lock_guard lock(mutex_);
  Entry& entry = entries_[account];
  entry.delegated[index_of(side)] = std::move(credential);
  entry.row.account = account;
  entry.row.origin = Origin::delegated;
  entry.row.note.clear();
}

void Vault::put(const std::string& account, Origin origin, std::shared_ptr<const Credential> credential) {
  const std::lock_guard lock(mutex_);
  Entry& entry = entries_[account];
  entry.credential = std::move(credential);
  entry.row.account = account;
  entry.row.origin = origin;
  entry.row.note.clear();
}

void Vault::note_login(const std::string& account) {
  const std::lock_guard lock(mutex_);
  Entry& entry = entries_[account];
  entry.row.account = account;
  ++entry.row.sessions;
}

void Vault::note_proof(const std::string& account, db::Side side) {
  const std::lock_guard lock(mutex_);
  auto& proved = entries_[account].row.proved_on;
  const auto name = db::to_string(side);
  if (proved.find(name) == std::string::npos) proved += (proved.empty() ? "" : ", ") + std::string(name);
}

void Vault::decide(const std::string& account, std::string why) {
  const std::lock_guard lock(mutex_);
  Entry& entry = entries_[account];
  entry.row.account = account;
  entry.row.note = std::move(why);
  entry.has_failed = false;
}

void Vault::note_failure(const std::string& account, std::string why) {
  const std::lock_guard lock(mutex_);
  Entry& entry = entries_[account];
  entry.row.account = account;
  entry.row.note = std::move(why);
  entry.has_failed = true;
}

bool Vault::has_failed(const std::string& account) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(account);
  return found != entries_.end() && found->second.has_failed;
}

void Vault::drop_delegated(const std::string& account, db::Side side) {
  const std::lock_guard lock(mutex_);
  if (const auto found = entries_.find(account); found != entries_.end()) found->second.delegated[index_of(side)].reset();
}

bool Vault::is_looked_at(const std::string& account) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(account);
  return found != entries_.end() && !found->second.row.note.empty();
}

std::vector<AccountRow> Vault::rows() const {
  const std::lock_guard lock(mutex_);
  std::vector<AccountRow> rows;
  for (const auto& [account, entry] : entries_) rows.push_back(entry.row);
  return rows;
}

std::uint64_t Vault::sessions_of(const std::string& user) const {
  const std::lock_guard lock(mutex_);
  const auto found = users_.find(user);
  return found == users_.end() ? 0 : found->second;
}

bool Vault::enter(const std::string& user, std::uint64_t limit) {
  const std::lock_guard lock(mutex_);
  auto& sessions = users_[user];
  if (limit > 0 && sessions >= limit) return false;
  ++sessions;
  return true;
}

void Vault::leave(const std::string& user) {
  const std::lock_guard lock(mutex_);
  const auto found = users_.find(user);
  if (found != users_.end() && --found->second == 0) users_.erase(found);
}

}  // namespace godwit::proxy
