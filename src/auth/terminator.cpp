#include "godwit/auth/terminator.h"

namespace godwit::auth {
namespace {

using Answer = Sha2Terminator::Answer;

constexpr std::size_t kReplyBytes = 32;

Answer refused() { return {.kind = Answer::Kind::refused, .bytes = {}, .password = {}}; }
Answer more(std::string bytes) { return {.kind = Answer::Kind::more, .bytes = std::move(bytes), .password = {}}; }
Answer learned(Secret password, std::string_view bytes = {}) {
  return {.kind = Answer::Kind::password, .bytes = std::string(bytes), .password = std::move(password)};
}

}  // namespace

Answer Sha2Terminator::feed(std::string_view packet) {
  switch (stage_) {
    case Stage::reply: return on_reply(packet);
    case Stage::password: return on_password(packet);
    case Stage::encrypted: return on_encrypted(packet);
    case Stage::done: return refused();
  }
  return refused();
}

Answer Sha2Terminator::on_reply(std::string_view packet) {
  stage_ = Stage::done;
  const bool has_none = packet.empty() || packet == std::string_view("\0", 1);
  if (has_none) return learned(Secret());
  if (packet.size() != kReplyBytes) return refused();
  if (options_.known != nullptr && sha2_matches(packet, nonce_, options_.known->view())) return learned(options_.known->copy(), kSha2FastOk);
  if (!options_.is_secure && options_.key == nullptr) return refused();
  stage_ = Stage::password;
  return more(std::string(kSha2AskPassword));
}

Answer Sha2Terminator::on_password(std::string_view packet) {
  if (!options_.is_secure) {
    if (packet != kSha2AskKey) return on_encrypted(packet);  // a client that has the key in a file
    stage_ = Stage::encrypted;
    return more(options_.key->public_pem());
  }
  stage_ = Stage::done;
  const bool is_whole = !packet.empty() && packet.size() <= kPasswordBytesMax && packet.back() == '\0';
  return is_whole ? learned(Secret(packet.substr(0, packet.size() - 1))) : refused();
}

Answer Sha2Terminator::on_encrypted(std::string_view packet) {
  stage_ = Stage::done;
  auto password = options_.key->decrypt(packet, nonce_);
  return password ? learned(std::move(*password)) : refused();
}

}  // namespace godwit::auth
