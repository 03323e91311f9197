// Compares what clients wrote into their books with what a server has: every acknowledged write exactly once and as it was sent, nothing that was
// undone, nothing that nobody sent, no key handed out twice. By plain SELECTs; none of godwit's code is used.
#pragma once

#include <string>
#include <vector>

#include "bypass.h"
#include "switch_ledger.h"

namespace godwit::test {

struct Evidence {
  const SwitchLedger* ledger = nullptr;  // at rest
  std::vector<const Bypass*> bypasses{};  // stopped
  // A server that is killed may forget a key that it gave to a transaction which was never committed, and give it once more.
  bool has_server_died = false;
  bool has_trigger = false;  // `audit` has a row for each order, by a trigger
};

// "" when all is there as it must be; else the first things that are not.
std::string judge(const Evidence& evidence, Client& server);

}  // namespace godwit::test
