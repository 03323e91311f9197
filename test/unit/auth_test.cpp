#include "godwit/auth/ed25519.h"
#include "godwit/auth/native.h"
#include "godwit/auth/prover.h"
#include "godwit/auth/secret.h"
#include "godwit/auth/sha2.h"
#include "godwit/auth/terminator.h"

#include "catch.h"
#include "godwit/util/text.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

using namespace godwit;
using namespace godwit::auth;

namespace {

constexpr std::string_view kPassword = "secret-of-app";

std::string salt() {
  std::string bytes;
  for (int i = 1; i <= 20; ++i) bytes.push_back(static_cast<char>(i));
  return bytes;
}

const RsaKey& key() {
  static const RsaKey made = RsaKey::generate();
  return made;
}

using Kind = Prover::Reply::Kind;
using Told = Sha2Terminator::Answer::Kind;

Credentials with_password(std::string_view password) { return {.password = Secret(password), .has_password = true, .stage1 = {}}; }

// A whole caching_sha2 login between godwit as client and godwit as server; what the server learned.
std::optional<std::string> learned(std::string_view password, bool is_secure, const RsaKey* rsa, const Secret* known = nullptr, int* packets = nullptr) {
  const auto credentials = with_password(password);
  Prover prover(credentials, {.is_secure = is_secure});
  Sha2Terminator terminator(salt(), {.is_secure = is_secure, .key = rsa, .known = known});
  auto reply = prover.begin("caching_sha2_password", salt());
  for (int i = 1; i < 10; ++i) {
    if (reply.kind != Kind::send) return std::nullopt;
    auto answer = terminator.feed(reply.bytes);
    if (packets != nullptr) *packets = i;
    if (answer.kind == Told::refused) return std::nullopt;
    if (answer.kind == Told::password) return std::string(answer.password.view());
    reply = prover.more(answer.bytes);
  }
  return std::nullopt;
}

}  // namespace

TEST_CASE("auth: a secret is moved, copied on request, and its memory is zeroed before it is used again", "[auth]") {
  Secret first("0123456789abcdef0123456789abcdef");
  const char* address = first.view().data();
  Secret second = std::move(first);
  CHECK(first.is_empty());
  CHECK(second.view().data() == address);
  const Secret third = second.copy();
  CHECK(third.view() == second.view());
  CHECK(third.view().data() != address);
  second = Secret();
  CHECK(std::string_view(address + 8, 24) == std::string(24, '\0'));  // its first bytes link the free slots
  const Secret fourth("0123456789abcdef0123456789ABCDEF");
  CHECK(fourth.view().data() == address);
}

TEST_CASE("auth: secrets of every size, from many threads", "[auth]") {
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&wrong, t] {
      std::vector<Secret> all;
      for (std::size_t i = 0; i < 600; ++i) {
        all.emplace_back(std::string(i * 13 % 6000, static_cast<char>('a' + t)));
        if (i % 3 == 0) all.erase(all.begin() + static_cast<std::ptrdiff_t>(i % all.size()));
      }
      for (const auto& secret : all) wrong += secret.view().find_first_not_of(static_cast<char>('a' + t)) != std::string_view::npos;
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(wrong == 0);
}

TEST_CASE("auth: mysql_native_password, and what a reply gives away", "[auth]") {
  const std::string reply = native_reply(kPassword, salt());
  CHECK(hex(reply) == "628E630293FADAC76687A98FC5EA348421F14726");
  CHECK(native_reply("", salt()).empty());
  CHECK(native_matches(reply, salt(), kPassword));
  CHECK_FALSE(native_matches(reply, salt(), "another"));
  CHECK_FALSE(native_matches("", salt(), kPassword));
  CHECK(native_matches("", salt(), ""));

  const auto stage2 = stage2_of("*18909B4997396E3206F3F88F04027DEDC776E92A");
  REQUIRE(stage2);
  CHECK(star_hex_of(*stage2) == "*18909B4997396E3206F3F88F04027DEDC776E92A");
  CHECK(*stage2 == native_stage2(native_stage1(kPassword).view()));
  const auto stage1 = recover_stage1(reply, salt(), *stage2);
  REQUIRE(stage1);
  CHECK(hex(stage1->view()) == "9AB47CA70EFCE55CD5D3CE4A0A365198EBA6FE23");
  const std::string other_salt = make_salt();
  CHECK(native_reply_of(*stage1, other_salt) == native_reply(kPassword, other_salt));
  CHECK_FALSE(recover_stage1(native_reply("another", salt()), salt(), *stage2));
  CHECK_FALSE(recover_stage1(reply.substr(1), salt(), *stage2));
  CHECK_FALSE(recover_stage1("", salt(), *stage2));
  CHECK_FALSE(stage2_of("18909B4997396E3206F3F88F04027DEDC776E92A*"));
  CHECK_FALSE(stage2_of("*18909B4997396E3206F3F88F04027DEDC776E92G"));
  CHECK_FALSE(stage2_of(""));
}

TEST_CASE("auth: a salt has 20 bytes, none of them zero, '$' or above 127", "[auth]") {
  for (int i = 0; i < 200; ++i) {
    const std::string made = make_salt();
    CHECK(made.size() == 20);
    CHECK(std::all_of(made.begin(), made.end(), [](char c) { return c > 0 && c != '$'; }));
  }
  CHECK(make_salt() != make_salt());
}

TEST_CASE("auth: the fast reply of caching_sha2_password", "[auth]") {
  CHECK(hex(sha2_reply(kPassword, salt())) == "B7CDE728464F3D009C8BFBF66DCAB491986E43408A6E265ECE6BDFE82BBA5609");
  CHECK(sha2_reply("", salt()).empty());
  CHECK(sha2_matches(sha2_reply(kPassword, salt()), salt(), kPassword));
  CHECK_FALSE(sha2_matches(sha2_reply("another", salt()), salt(), kPassword));
}

TEST_CASE("auth: a password encrypted for the key is read, other bytes are not", "[auth]") {
  const Secret password(kPassword);
  const auto encrypted = rsa_encrypted(password, salt(), key().public_pem());
  REQUIRE(encrypted);
  CHECK(key().decrypt(*encrypted, salt())->view() == kPassword);
  CHECK_FALSE(key().decrypt(*encrypted, std::string(20, 'x')));
  CHECK_FALSE(key().decrypt(std::string(256, 'x'), salt()));
  CHECK_FALSE(key().decrypt("", salt()));
  CHECK_FALSE(rsa_encrypted(password, salt(), "no key"));
  CHECK_FALSE(rsa_encrypted(Secret(std::string(300, 'p')), salt(), key().public_pem()));
  CHECK(key().decrypt(*rsa_encrypted(Secret(), salt(), key().public_pem()), salt())->is_empty());
}

TEST_CASE("auth: ed25519 signs as RFC 8032 has it, and with passwords of any length", "[auth]") {
  const std::string seed =
      "\x9d\x61\xb1\x9d\xef\xfd\x5a\x60\xba\x84\x4a\xf4\x92\xec\x2c\xc4\x44\x49\xc5\x69\x7b\x32\x69\x19\x70\x3b\xac\x03\x1c\xae\x7f\x60";
  CHECK(lower(hex(ed25519_public_key(seed))) == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
  CHECK(lower(hex(ed25519_reply(seed, ""))) ==
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b");
  // As MariaDB stores it: ED25519_PASSWORD('secret').
  CHECK(lower(hex(ed25519_public_key("secret"))) == "648814444520e4f56043a2ec9215e63be7992d2d270bc6dee873e36164786096");
}

TEST_CASE("auth: a prover answers what its secrets can answer", "[auth]") {
  const auto known = with_password(kPassword);
  Prover plain(known, {});
  Prover secure(known, {.is_secure = true});
  CHECK(plain.begin("mysql_native_password", salt() + '\0').bytes == native_reply(kPassword, salt()));
  CHECK(plain.begin("mysql_clear_password", "").kind == Kind::cannot);
  CHECK(secure.begin("mysql_clear_password", "").bytes == std::string(kPassword) + '\0');
  CHECK(secure.begin("dialog", "\x04Password: ").bytes == std::string(kPassword) + '\0');
  CHECK(secure.begin("auth_gssapi_client", "").kind == Kind::cannot);
  CHECK(plain.begin("client_ed25519", std::string(32, 'n')).bytes == ed25519_reply(kPassword, std::string(32, 'n')));
  CHECK(plain.begin("client_ed25519", std::string(31, 'n')).kind == Kind::cannot);
  CHECK(plain.begin("mysql_native_password", "short").kind == Kind::cannot);
  CHECK(plain.more("\x04").kind == Kind::cannot);
  CHECK(secure.begin("caching_sha2_password", salt()).kind == Kind::send);
  CHECK(secure.more(kSha2FastOk).kind == Kind::wait);
}

TEST_CASE("auth: with SHA1(password) alone, native is answered and other methods are declined where there is an alternative", "[auth]") {
  const Credentials half{.password = {}, .has_password = false, .stage1 = native_stage1(kPassword)};
  Prover strict(half, {.is_secure = true});
  CHECK(strict.begin("client_ed25519", std::string(32, 'n')).kind == Kind::cannot);
  CHECK(strict.begin("caching_sha2_password", salt()).kind == Kind::cannot);
  CHECK(strict.begin("mysql_native_password", salt()).bytes == native_reply(kPassword, salt()));
  Prover patient(half, {.is_secure = true, .has_alternatives = true});
  CHECK(patient.begin("client_ed25519", std::string(32, 'n')).bytes.size() == kEd25519ReplyBytes);
  CHECK(patient.begin("mysql_native_password", salt()).bytes == native_reply(kPassword, salt()));
  for (int i = 0; i < 6; ++i) patient.begin("client_ed25519", std::string(32, 'n'));
  CHECK(patient.begin("mysql_native_password", salt()).kind == Kind::cannot);  // a server that asks for ever
}

TEST_CASE("auth: a client's password is learned over TLS, and over RSA without", "[auth]") {
  CHECK(learned(kPassword, true, nullptr) == kPassword);
  CHECK(learned(kPassword, false, &key()) == kPassword);
  CHECK_FALSE(learned(kPassword, false, nullptr));
  CHECK(learned("", false, nullptr) == "");
  CHECK(learned(std::string(200, 'p'), false, &key()) == std::string(200, 'p'));
}

TEST_CASE("auth: a password that is known is not asked for again, another one is", "[auth]") {
  int packets = 0;
  const Secret known(kPassword);
  CHECK(learned(kPassword, true, nullptr, &known, &packets) == kPassword);
  CHECK(packets == 1);
  CHECK(learned("changed", true, nullptr, &known, &packets) == "changed");
  CHECK(packets == 2);
}

TEST_CASE("auth: a client that breaks the rules of caching_sha2 is refused at each step", "[auth]") {
  const auto told = [](std::initializer_list<std::string> packets, bool is_secure) {
    Sha2Terminator terminator(salt(), {.is_secure = is_secure, .key = &key()});
    auto kind = Told::more;
    for (const auto& packet : packets) kind = terminator.feed(packet).kind;
    return kind;
  };
  const std::string reply = sha2_reply(kPassword, salt());
  CHECK(told({"short"}, true) == Told::refused);
  CHECK(told({reply, "no zero at the end"}, true) == Told::refused);
  CHECK(told({reply, std::string(kPasswordBytesMax, 'p') + '\0'}, true) == Told::refused);
  CHECK(told({reply, ""}, true) == Told::refused);
  CHECK(told({reply, "\x03"}, false) == Told::refused);
  CHECK(told({reply, "\x02", std::string(256, 'x')}, false) == Told::refused);
  CHECK(told({reply, "\x02"}, false) == Told::more);
  CHECK(told({reply, *rsa_encrypted(Secret(kPassword), salt(), key().public_pem())}, false) == Told::password);
  CHECK(told({"", reply}, false) == Told::refused);  // after the end
}
