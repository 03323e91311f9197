#include "godwit/auth/prover.h"

#include "godwit/auth/ed25519.h"
#include "godwit/auth/native.h"
#include "godwit/auth/sha2.h"

namespace godwit::auth {
namespace {

using Reply = Prover::Reply;

constexpr std::string_view kAskSha256Key{"\x01", 1};

Reply sent(std::string bytes) { return {.kind = Reply::Kind::send, .bytes = std::move(bytes)}; }
Reply unanswerable() { return {.kind = Reply::Kind::cannot, .bytes = {}}; }

}  // namespace

Reply Prover::begin(std::string_view plugin, std::string_view data) {
  stage_ = Stage::none;
  if (++methods_ > kMethodsMax) return unanswerable();
  Reply reply = begin_known(plugin, data);
  if (reply.kind == Reply::Kind::cannot && options_.has_alternatives) return decline(plugin);
  return reply;
}

Reply Prover::begin_known(std::string_view plugin, std::string_view data) {
  const bool has_password = credentials_.has_password;
  nonce_ = data.substr(0, kNativeBytes);
  const bool has_nonce = nonce_.size() == kNativeBytes;
  if (plugin == "mysql_native_password" && has_nonce) {
    if (!credentials_.stage1.is_empty()) return sent(native_reply_of(credentials_.stage1, nonce_));
    return has_password ? sent(native_reply(credentials_.password.view(), nonce_)) : unanswerable();
  }
  if (!has_password) return unanswerable();
  if (plugin == "caching_sha2_password" && has_nonce) {
    stage_ = Stage::sha2;
    return sent(sha2_reply(credentials_.password.view(), nonce_));
  }
  if (plugin == "sha256_password" && has_nonce) {
    if (options_.is_secure || credentials_.password.is_empty()) return clear();
    stage_ = Stage::sha256_key;
    return sent(std::string(kAskSha256Key));
  }
  if (plugin == "client_ed25519" && data.size() >= kEd25519NonceBytes)
    return sent(ed25519_reply(credentials_.password.view(), data.substr(0, kEd25519NonceBytes)));
  const bool is_clear = plugin == "mysql_clear_password" || plugin == "dialog";
  return is_clear && options_.is_secure ? clear() : unanswerable();
}

Reply Prover::more(std::string_view data) {
  switch (stage_) {
    case Stage::sha2:
      if (data == kSha2FastOk) return {.kind = Reply::Kind::wait, .bytes = {}};
      if (data != kSha2AskPassword) return unanswerable();
      if (options_.is_secure) return clear();
      stage_ = Stage::sha2_key;
      return sent(std::string(kSha2AskKey));
    case Stage::sha2_key:
    case Stage::sha256_key: return encrypted(data);
    case Stage::other: return sent(std::string(1, '\0'));
    case Stage::none: return unanswerable();
  }
  return unanswerable();
}

Reply Prover::clear() {
  std::string bytes(credentials_.password.view());
  bytes.push_back('\0');
  return sent(std::move(bytes));
}

Reply Prover::encrypted(std::string_view public_pem) {
  auto bytes = rsa_encrypted(credentials_.password, nonce_, public_pem);
  return bytes ? sent(*std::move(bytes)) : unanswerable();
}

// Of the size that the method expects: of another one, MariaDB takes the client for broken and ends the login.
Reply Prover::decline(std::string_view plugin) {
  stage_ = Stage::other;
  if (plugin == "client_ed25519") return sent(std::string(kEd25519ReplyBytes, '\x2a'));
  if (plugin == "mysql_native_password") return sent(std::string(kNativeBytes, '\x2a'));
  return sent(std::string(1, '\0'));
}

}  // namespace godwit::auth
