// What the account of --admin-user can say, over the same protocol, so that any client will do. docs/proxy.md, "Admin".
#pragma once

#include <asio/awaitable.hpp>

#include "channel.h"
#include "godwit/wire/protocol.h"

namespace godwit::proxy {

class Proxy;

// From behind the login until the client leaves. In the client's own event loop.
asio::awaitable<void> run_admin(Channel& client, wire::Capabilities capabilities, Proxy& proxy);

}  // namespace godwit::proxy
