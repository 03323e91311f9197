// What godwit leaves on a server: looked for by name in the server's own catalog.
#pragma once

#include <string>

#include "servers.h"

namespace godwit::test {

// What a migration could change of a server, without the rows of tables: equal texts, equal servers.
std::string picture(const Server& server);
// Schemas, tables, triggers, events, routines and accounts with godwit in their names, second passwords, persisted settings; "" for none.
std::string traces(const Server& server);
// All rows and columns of a query, a line each.
std::string text_of(Client& client, const std::string& sql);

}  // namespace godwit::test
