#include "client_error.h"

#include <fmt/format.h>

#include "godwit/util/error.h"
#include "godwit/wire/ok.h"

namespace godwit::proxy {

std::string error_packet(std::uint16_t number, std::string_view state, std::string_view text) {
  record_said(fmt::format("ERR {} ({}): {}", number, state, text));
  return wire::write_error({.number = number, .state = std::string(state), .text = std::string(text)});
}

}  // namespace godwit::proxy
