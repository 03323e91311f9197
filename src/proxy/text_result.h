// A result set of the proxy's own, as packets: for the admin's commands, and for questions that the proxy answers in a server's place.
#pragma once

#include <string>
#include <vector>

#include "godwit/db/connection.h"
#include "godwit/wire/protocol.h"

namespace godwit::proxy {

struct ResultForm {
  wire::Capabilities capabilities = 0;  // of the client
  std::uint16_t status = wire::status::autocommit;
  std::uint8_t first_sequence = 1;
  unsigned warnings = 0;
  std::vector<bool> is_number = {};  // by column; where there is none, text
};
void append_text_result(std::string& out, const db::Rows& rows, const ResultForm& form);

}  // namespace godwit::proxy
