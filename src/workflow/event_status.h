// Whether an event is enabled, in its CREATE EVENT as a server gives it back: the words behind ON COMPLETION [NOT] PRESERVE, which servers always print. Pure.
#pragma once

#include <string>
#include <string_view>

namespace godwit::workflow {

// A text that does not say it is not.
bool is_enabled(std::string_view create_event);
bool is_disabled(std::string_view create_event);  // by DISABLE alone: not on a replica only
// The same event, ENABLE or DISABLE; a text that says neither comes back as it is.
std::string with_enabled(const std::string& create_event, bool is_enabled);
// ALTER EVENT that changes nothing but that; its definer stays who it was, which ALTER EVENT would change to the session's account. `name` with its schema, quoted.
std::string alter_enabled(const std::string& create_event, std::string_view name, bool is_enabled);

}  // namespace godwit::workflow
