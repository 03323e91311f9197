// UTF-8 to code points. Pure; any thread. Private to shard.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace godwit::shard {

// Nothing where it is not UTF-8: cut short, longer than need be, a surrogate, or beyond the last code point.
std::optional<std::u32string> decode_utf8(std::string_view text);

}  // namespace godwit::shard
