// Compares tables of two servers by what each renders of its own rows in hexadecimal: none of godwit's code is used.
#pragma once

#include <string>
#include <vector>

#include "servers.h"

namespace godwit::test {

// What the server itself makes of a column's value, so that any changed bit shows. `type` as in information_schema, in lower case.
std::string hex_expression(const std::string& name, const std::string& type);
// The tables of a schema, by name.
std::vector<std::string> tables_of(Client& client, const std::string& schema);
// One text per row, sorted.
std::vector<std::string> rendered(Client& client, const std::string& schema, const std::string& table);
// "" when equal, else what differs first.
std::string difference(Client& source, const std::string& source_schema, Client& target, const std::string& target_schema);
std::string table_difference(Client& source, const std::string& source_schema, Client& target,
                             const std::string& target_schema, const std::string& table);
std::string quoted(const std::string& name);
std::string literal(const std::string& text);

}  // namespace godwit::test
