// What is read about accounts: rows of mysql.global_priv, host patterns, the file of passwords.
#include "godwit/accounts/facts.h"
#include "godwit/accounts/method.h"
#include "godwit/accounts/passwords.h"
#include "godwit/util/error.h"
#include "input.h"

using namespace godwit;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const auto how = input.u8();
  if (how % 3 == 0) {
    const auto pattern = input.sized();
    accounts::host_matches(pattern.substr(0, 255), input.rest().substr(0, 255));
  } else if (how % 3 == 1) {
    const auto facts = accounts::facts_of_global_priv(input.rest(), 1800000000, 10);
    if (facts) accounts::decide(&*facts, &*facts, {.client_has_tls = true, .may_delegate = true});
  } else {
    try {
      accounts::Passwords::parse(input.rest(), "file");
    } catch (const Error&) {
    }
  }
  return 0;
}
