// The user locks that a session may hold, from the text of its statements: for servers that do not show who holds which (MariaDB without
// the plugin metadata_lock_info). A lock whose name stands in the text as a literal can be asked after; any other is held for good, as far as
// anybody can tell, until the session is reset. Pure; one thread at a time.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace godwit::routing {

class UserLocks {
 public:
  // A statement with Hint::may_take_user_lock, that was run or prepared.
  void saw(std::string_view sql, bool has_backslash_escapes = true);
  void clear();
  // The literals, as they were written: they mean the same in this session as long as its sql_mode and charset do.
  const std::vector<std::string>& names() const { return names_; }
  bool has_unknown() const { return has_unknown_; }

 private:
  std::vector<std::string> names_;
  bool has_unknown_ = false;
};

}  // namespace godwit::routing
