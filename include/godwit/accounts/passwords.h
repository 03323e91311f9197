// --accounts FILE: passwords that the operator hands over. JSON, {"app": "secret", "app@10.%": "other"}, or lines "app:secret"; blank lines and those
// that begin with '#' do not count. The file must be the operator's alone (mode 0600). Errors name line or byte, never what stands there. Once read
// it may be used by any thread.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "godwit/auth/secret.h"

namespace godwit::accounts {

class Passwords {
 public:
  // Throws Error(accounts_file_unusable).
  static Passwords load(const std::string& path);
  static Passwords parse(std::string_view text, const std::string& name);

  // For app@10.%, else for app; nullptr: none. Valid as long as this.
  const auth::Secret* find(std::string_view user, std::string_view host) const;
  std::size_t size() const { return all_.size(); }

 private:
  std::map<std::string, auth::Secret, std::less<>> all_;  // by what stands before the password
};

}  // namespace godwit::accounts
