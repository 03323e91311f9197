// mysql_native_password. stage1 = SHA1(password), stage2 = SHA1(stage1); a server stores stage2 (as "*" and hex), and a client replies
// stage1 XOR SHA1(salt, stage2). So whoever knows stage2 and sees one reply has stage1, and stage1 logs in wherever stage2 is stored. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "godwit/auth/secret.h"

namespace godwit::auth {

inline constexpr std::size_t kNativeBytes = 20;  // of a salt, a stage and a reply

// Empty for an empty password. `salt` has 20 bytes: without the zero that a greeting ends it with.
std::string native_reply(std::string_view password, std::string_view salt);
std::string native_reply_of(const Secret& stage1, std::string_view salt);
Secret native_stage1(std::string_view password);
std::string native_stage2(std::string_view stage1);

// What the reply gives away to one who knows stage2; nothing where it was made with another password, or where sizes are wrong.
std::optional<Secret> recover_stage1(std::string_view reply, std::string_view salt, std::string_view stage2);
bool native_matches(std::string_view reply, std::string_view salt, std::string_view password);

// "*94BDCEBE19083CE2A1F959FD02F964C7AF4CFC29", as servers print it, and back.
std::optional<std::string> stage2_of(std::string_view star_hex);
std::string star_hex_of(std::string_view stage2);

// 20 bytes for a greeting: neither zero nor '$', below 128, as servers make them.
std::string make_salt();

}  // namespace godwit::auth
