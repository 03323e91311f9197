// The head of a CREATE TRIGGER, as a server gives it back: the words of whoever wrote it. There it may name its schema and table in full, by the names of
// another server, and a trigger that it fires before or after, which need not be there yet. The body is nobody's business. Pure.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace godwit::workflow {

struct TriggerHead {
  std::string_view name;
  // Of the table that the text names, its name here.
  std::function<std::string(const std::string&)> table;
};

// The same trigger under an unqualified name, on an unqualified table, without FOLLOWS or PRECEDES. A text that is no such statement comes back as it is.
std::string with_head(const std::string& create_trigger, const TriggerHead& head);

}  // namespace godwit::workflow
