// Sessions of godwit's own with a test server, and a server without a sidecar.
#pragma once

#include "godwit/db/connection.h"
#include "servers.h"

namespace godwit::test {

// As the account godwit, or another one with its password "godwit".
inline db::Endpoint endpoint_of(const Server& server, db::Side side, const std::string& user = "godwit") {
  db::Endpoint endpoint;
  endpoint.side = side;
  endpoint.dsn = db::parse_dsn("mysql://" + user + "@127.0.0.1:" + std::to_string(server.port()) + "/", "--test");
  endpoint.dsn.password = "godwit";
  return endpoint;
}

inline db::Connection session_with(const Server& server, db::Side side, const std::string& user = "godwit") {
  return db::Connection::open(endpoint_of(server, side, user));
}

struct FreshSidecar {
  explicit FreshSidecar(const Server& on) : server(on) { drop(); }
  ~FreshSidecar() { drop(); }
  void drop() const { server.client().execute("DROP DATABASE IF EXISTS _godwit"); }
  const Server& server;
};

}  // namespace godwit::test
