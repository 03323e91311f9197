#include "godwit/auth/native.h"

#include <openssl/rand.h>

#include "digest.h"
#include "godwit/util/text.h"

namespace godwit::auth {
namespace {

int nibble(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

std::string masked(std::string_view stage1, std::string_view salt, std::string_view stage2) {
  auto reply = sha1({salt, stage2});
  reply ^= stage1;
  return reply.text();
}

}  // namespace

Secret native_stage1(std::string_view password) { return Secret(sha1({password}).view()); }
std::string native_stage2(std::string_view stage1) { return sha1({stage1}).text(); }

std::string native_reply(std::string_view password, std::string_view salt) {
  if (password.empty()) return {};
  const auto stage1 = sha1({password});
  return masked(stage1.view(), salt, native_stage2(stage1.view()));
}

std::string native_reply_of(const Secret& stage1, std::string_view salt) {
  if (stage1.is_empty()) return {};
  GODWIT_CHECK(stage1.view().size() == kNativeBytes);
  return masked(stage1.view(), salt, native_stage2(stage1.view()));
}

std::optional<Secret> recover_stage1(std::string_view reply, std::string_view salt, std::string_view stage2) {
  if (reply.size() != kNativeBytes || stage2.size() != kNativeBytes) return std::nullopt;
  auto stage1 = sha1({salt, stage2});
  stage1 ^= reply;
  if (!is_equal(sha1({stage1.view()}).view(), stage2)) return std::nullopt;
  return Secret(stage1.view());
}

bool native_matches(std::string_view reply, std::string_view salt, std::string_view password) { return is_equal(reply, native_reply(password, salt)); }

std::optional<std::string> stage2_of(std::string_view star_hex) {
  if (star_hex.size() != 1 + 2 * kNativeBytes || star_hex.front() != '*') return std::nullopt;
  std::string stage2;
  for (std::size_t i = 1; i < star_hex.size(); i += 2) {
    const int high = nibble(star_hex[i]);
    const int low = nibble(star_hex[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    stage2.push_back(static_cast<char>(high * 16 + low));
  }
  return stage2;
}

std::string star_hex_of(std::string_view stage2) { return "*" + hex(stage2); }

std::string make_salt() {
  std::string salt(kNativeBytes, '\0');
  GODWIT_CHECK(RAND_bytes(reinterpret_cast<unsigned char*>(salt.data()), static_cast<int>(salt.size())) == 1);
  for (char& c : salt) {
    c = static_cast<char>(c & 0x7f);
    if (c == '\0' || c == '$') c = static_cast<char>(c + 1);
  }
  return salt;
}

}  // namespace godwit::auth
