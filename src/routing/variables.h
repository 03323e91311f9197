// Which of a session's variables travel, and under which name. Pure tables.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "godwit/routing/session_state.h"

namespace godwit::routing {

// Never replayed: what follows from something else, what the replay sets in its own place, what belongs to replication or to the proxy.
bool is_left_alone(std::string_view name);
// character_set_client and the like: they are set together, last.
bool is_of_charsets(std::string_view name);
// Means the same on both flavours, and changes what statements do: it travels between flavours even when it was only the old server's default.
bool is_semantic(std::string_view name);
// The name on the other server, where there is one: itself, tx_isolation ↔ transaction_isolation, …
std::optional<std::string> name_on(const ServerFacts& to, const std::string& name);
// MariaDB lists some variables under two names.
bool is_second_name(const ServerFacts& from, std::string_view name);
// The order within one SET: sql_mode, others, what depends on others, autocommit.
int rank_of(std::string_view name);

}  // namespace godwit::routing
