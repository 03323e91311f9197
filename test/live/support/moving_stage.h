// `godwit proxy` between servers of either flavour, with the schema, roles and routines that tests of what a session is made of move it between.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "proxy.h"

namespace godwit::test {

struct MovingPair {
  std::string name;
  std::string from;
  std::string to;
};
// a and b are MariaDB, c and d MySQL.
const std::vector<MovingPair>& moving_pairs();

struct MovingStage {
  static constexpr const char* kSchema = "moving";
  Server from;
  Server to;
  bool is_across;
  std::unique_ptr<Proxy> proxy;

  explicit MovingStage(const MovingPair& pair, std::vector<std::string> more = {});
  // A native reply is good for no caching_sha2_password, unless there is no password.
  AppClient::Options login() const;
  AppClient client() const { return AppClient(login()); }
};

inline const std::string kCharsets = "SELECT @@character_set_client, @@character_set_connection, @@collation_connection, COALESCE(@@character_set_results, 'none')";
// What MariaDB and MySQL call differently.
std::string in_common_words(std::string text);

}  // namespace godwit::test
