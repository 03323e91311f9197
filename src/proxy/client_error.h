// What the proxy itself tells a client that it refuses: in a server's form, and in its words where a server has such an error.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace godwit::proxy {

// The packet, for the client that is told now.
std::string error_packet(std::uint16_t number, std::string_view state, std::string_view text);

}  // namespace godwit::proxy
