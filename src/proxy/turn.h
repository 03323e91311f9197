// While it lives, a command of the gate is under way: there is one at a time. Throws Error(gate_refused) where there is another. Private to the coordinator.
#pragma once

#include "coordinator.h"

namespace godwit::proxy {

class Proxy::Turn {
 public:
  explicit Turn(Proxy& proxy);
  ~Turn();
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  void set_alert(bool is_alert);
  Proxy& proxy_;
};

}  // namespace godwit::proxy
