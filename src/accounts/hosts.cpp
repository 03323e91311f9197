#include <arpa/inet.h>

#include <algorithm>
#include <string>

#include "godwit/accounts/facts.h"
#include "godwit/util/text.h"

namespace godwit::accounts {
namespace {

std::optional<std::uint32_t> ipv4_of(std::string_view text) {
  in_addr parsed{};
  if (inet_pton(AF_INET, std::string(text).c_str(), &parsed) != 1) return std::nullopt;
  return ntohl(parsed.s_addr);
}

// LIKE, without an escape; text and pattern are short.
bool is_like(std::string_view text, std::string_view pattern) {
  std::size_t at = 0;
  std::size_t in = 0;
  std::size_t last_any = std::string_view::npos;
  std::size_t resume = 0;
  while (at < text.size()) {
    if (in < pattern.size() && pattern[in] == '%') {
      last_any = in++;
      resume = at;
    } else if (in < pattern.size() && (pattern[in] == '_' || pattern[in] == text[at])) {
      ++in;
      ++at;
    } else if (last_any != std::string_view::npos) {
      in = last_any + 1;
      at = ++resume;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('%', in) == std::string_view::npos;
}

// 10.1.0.0/255.255.0.0, and MySQL's 10.1.0.0/16.
bool is_in_network(std::string_view network, std::string_view mask_text, std::string_view address) {
  const auto base = ipv4_of(network);
  const auto ip = ipv4_of(address);
  if (!base || !ip) return false;
  auto mask = ipv4_of(mask_text);
  if (const auto bits = parse_u64(mask_text); !mask && bits && *bits <= 32) mask = *bits == 0 ? 0U : ~0U << (32 - *bits);
  return mask && (*ip & *mask) == *base;
}

bool is_loopback(std::string_view address) { return address.empty() || address == "::1" || address.starts_with("127."); }

// As servers sort them: the later the first wildcard, the earlier they are asked; those without one first.
std::size_t exactness(std::string_view host) {
  if (host.empty()) return 0;
  const auto wildcard = host.find_first_of("%_/");
  return wildcard == std::string_view::npos ? 1000 : wildcard + 1;
}

}  // namespace

bool host_matches(std::string_view pattern, std::string_view address) {
  if (pattern.empty() || pattern == "%") return true;
  if (equals_ignoring_case(pattern, "localhost")) return is_loopback(address);
  if (const auto slash = pattern.find('/'); slash != std::string_view::npos) return is_in_network(pattern.substr(0, slash), pattern.substr(slash + 1), address);
  return is_like(lower(address), lower(pattern));
}

const AccountFacts* find(const std::vector<AccountFacts>& all, std::string_view current_user) {
  const auto at = current_user.rfind('@');
  if (at == std::string_view::npos) return nullptr;
  const auto user = current_user.substr(0, at);
  const auto host = current_user.substr(at + 1);
  const auto it = std::find_if(all.begin(), all.end(), [&](const AccountFacts& facts) { return facts.user == user && equals_ignoring_case(facts.host, host); });
  return it == all.end() ? nullptr : &*it;
}

const AccountFacts* match(const std::vector<AccountFacts>& all, std::string_view user, std::string_view address) {
  const AccountFacts* best = nullptr;
  const auto rank = [](const AccountFacts& facts) { return std::pair(exactness(facts.host), !facts.user.empty()); };
  for (const auto& facts : all) {
    const bool fits = (facts.user == user || facts.user.empty()) && host_matches(facts.host, address);
    if (fits && (best == nullptr || rank(facts) > rank(*best))) best = &facts;
  }
  return best;
}

}  // namespace godwit::accounts
