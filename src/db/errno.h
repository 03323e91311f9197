// The one table from a server's or Connector/C's error number to our code. Private to db.
#pragma once

#include <string>
#include <string_view>

#include "godwit/util/error.h"

namespace godwit::db {

// `message` is looked at only where one number stands for several causes.
Code code_of_errno(unsigned number, std::string_view message);
std::string remedy_of(Code code);

}  // namespace godwit::db
