// [packet u8][capabilities u16][payload]: the packets of a login. What is read and written again reads the same.
#include "godwit/wire/handshake.h"
#include "input.h"

using namespace godwit;
using fuzz::demand;

namespace {

void greeting(std::string_view payload) {
  const auto read = wire::read_greeting(payload);
  if (!read) return;
  const auto again = wire::read_greeting(wire::write_greeting(*read));
  demand(again && again->version == read->version && again->salt == read->salt && again->capabilities == read->capabilities && again->plugin == read->plugin &&
         again->connection_id == read->connection_id && again->charset == read->charset && again->status == read->status);
}

void login(std::string_view payload) {
  const auto read = wire::read_login(payload);
  if (!read) return;
  demand(!wire::is_tls_request(payload));
  const auto again = wire::read_login(wire::write_login(*read));
  demand(again && again->capabilities == read->capabilities && again->user == read->user && again->auth == read->auth && again->schema == read->schema && again->plugin == read->plugin &&
         again->attributes == read->attributes && again->zstd_level == read->zstd_level);
  demand(wire::is_tls_request(wire::write_tls_request(*read)));
}

void auth_switch(std::string_view payload) {
  const auto read = wire::read_auth_switch(payload);
  if (!read) return;
  const auto again = wire::read_auth_switch(wire::write_auth_switch(*read));
  demand(again && again->plugin == read->plugin && again->salt == read->salt);
}

void change_user(std::string_view payload, wire::Capabilities capabilities) {
  const auto read = wire::read_change_user(payload, capabilities);
  if (!read) return;
  const auto again = wire::read_change_user(wire::write_change_user(*read, capabilities), capabilities);
  demand(again && again->user == read->user && again->auth == read->auth && again->schema == read->schema && again->charset == read->charset && again->plugin == read->plugin &&
         again->attributes == read->attributes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input in(data, size);
  const std::uint8_t packet = in.u8();
  const std::uint16_t bits = in.u16();
  wire::Capabilities capabilities = wire::cap::protocol_41;
  if ((bits & 1) != 0) capabilities |= wire::cap::secure_connection;
  if ((bits & 2) != 0) capabilities |= wire::cap::plugin_auth;
  if ((bits & 4) != 0) capabilities |= wire::cap::connect_attrs;
  const auto payload = in.rest();
  switch (packet % 4) {
    case 0:
      greeting(payload);
      break;
    case 1:
      login(payload);
      break;
    case 2:
      auth_switch(payload);
      break;
    default:
      change_user(payload, capabilities);
  }
  return 0;
}
