// Text without case and accents: the primary weights of its characters, under the root collation of CLDR 23 as Go's x/text/collate computes it, which
// is what vtgate uses. Any thread. Private to shard.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace godwit::shard {

// Of UTF-8, without the spaces at its end; nothing where it is not UTF-8.
std::optional<std::string> loose_key(std::string_view text);

}  // namespace godwit::shard
