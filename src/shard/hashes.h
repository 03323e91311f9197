// The hashes that vindexes are made of, as bytes. Any thread. Private to shard.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace godwit::shard {

std::string big_endian(std::uint64_t number);
std::string md5(std::string_view bytes);
std::string xxh64(std::string_view bytes);  // seed 0, the lowest byte first
std::string des_of_zero_key(std::uint64_t number);

}  // namespace godwit::shard
