// Which side the proxy serves when it starts. Before the event loops run.
#pragma once

#include <optional>
#include <string_view>

#include "authority_desk.h"
#include "godwit/proxy/proxy.h"

namespace godwit::proxy {

// What is known of the authority.
enum class Knowledge {
  unasked,
  none,         // there is no row: nothing was ever to be switched
  known,
  unreachable,  // what was read last may be over
  unreadable,   // the account may not
};
std::string_view to_string(Knowledge knowledge);

struct AuthorityView {
  Knowledge knowledge = Knowledge::unasked;
  std::optional<state::Route> route;  // the last that was read
};

struct StartView {
  AuthorityView view;
  bool is_undecided = false;  // it cannot be asked, and there was a switch: nobody is served
};

// Throws what connecting to the source throws, where the authority cannot be asked.
StartView look_at_start(AuthorityDesk& desk, const ProxyOptions& options);

}  // namespace godwit::proxy
