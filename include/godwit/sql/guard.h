// What tells godwit's guard triggers from the application's, and godwit's sessions from the application's. Pure; any thread.
// What the guards are for: include/godwit/fence/fence.h.
#pragma once

#include <string_view>

namespace godwit::sql {

inline constexpr std::string_view kGuardPrefix = "_godwit_guard_";
// A trigger of this name is a guard: never carried, never set aside.
constexpr bool is_guard(std::string_view trigger) { return trigger.substr(0, kGuardPrefix.size()) == kGuardPrefix; }

// Once in each session that writes to a side that may be fenced. It protects from oversight, not from malice: any session can say so.
inline constexpr std::string_view kPassStatement = "SET @_godwit_pass = 1";

}  // namespace godwit::sql
