// `godwit proxy` between two MariaDB servers, a and b, whose tables tell which of them was asked: what the tests of its gate begin with.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "asked.h"
#include "proxy.h"

namespace godwit::test {

struct GateStage {
  static constexpr const char* kSchema = "gate";
  Server source{"a"};
  Server target{"b"};
  std::unique_ptr<Proxy> proxy;

  explicit GateStage(const std::vector<std::string>& options = {});
  AppClient client() const { return AppClient(proxy->app(kSchema)); }
};

std::string side_of(AppClient& client);  // "source" or "target"

}  // namespace godwit::test
