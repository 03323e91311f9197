// Table patterns of the command line. Pure. Private to catalog.
#pragma once

#include <string_view>

namespace godwit::catalog {

// "orders", "shop.orders", "shop.*", "tmp_?": * is any run of characters, ? one of them.
bool matches_table(std::string_view pattern, std::string_view schema, std::string_view table);

}  // namespace godwit::catalog
