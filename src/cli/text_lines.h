// Text for people, by the width that it takes on a terminal. Pure. Private to cli.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace godwit::cli {

constexpr std::size_t kPageColumns = 80;  // of help and manual, wherever they go

// In columns: one for each character of UTF-8.
std::size_t width_of(std::string_view text);
// Broken at spaces into lines of at most `columns`; a longer word stands on a line of its own, whole: it may be there to be copied.
std::vector<std::string> wrapped(std::string_view text, std::size_t columns);

}  // namespace godwit::cli
