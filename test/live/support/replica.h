// Makes one test server a replica of another by the servers' own means, from a position on.
#pragma once

#include <string>

#include "servers.h"

namespace godwit::test {

struct ReplicaOptions {
  std::string from;    // GTIDs that the replica is taken to hold
  std::string schema;  // replicate this one only; "" for all
  bool is_idempotent = false;  // a row that is there, or is missing, is no error
};

class Replica {
 public:
  Replica(const Server& source, const Server& replica, const ReplicaOptions& options);
  ~Replica();
  // Until all that the source has committed is applied. Throws with the replica's words when it stopped.
  void catch_up();

 private:
  void start_mariadb(const ReplicaOptions& options);
  void start_mysql(const ReplicaOptions& options);
  std::string applier_error();

  const Server& source_;
  const Server& replica_;
  Client client_;
};

}  // namespace godwit::test
