#include "errno.h"

#include <algorithm>
#include <array>

namespace godwit::db {
namespace {

struct Mapped {
  unsigned number;
  Code code;
};

// Numbers: MySQL "Server Error Message Reference" and MariaDB "Error Codes"; 2xxx are the client library's.
constexpr std::array<Mapped, 75> kTable{{
    {1005, Code::statement_failed},        // cannot create table
    {1021, Code::server_full},             // disk full
    {1030, Code::statement_failed},        // error from engine (28 inside the message means disk full)
    {1040, Code::too_many_connections},    // ER_CON_COUNT_ERROR
    {1041, Code::too_many_connections},    // out of resources
    {1044, Code::privilege_missing},       // access denied to database
    {1045, Code::access_denied},           // access denied for user
    {1049, Code::no_such_schema},          // unknown database
    {1051, Code::no_such_table},           // unknown table
    {1053, Code::server_shutting_down},    // shutdown in progress
    {1054, Code::table_changed},           // unknown column
    {1062, Code::duplicate_key},           // duplicate entry
    {1078, Code::server_shutting_down},    // got signal
    {1079, Code::server_shutting_down},    // shutdown complete
    {1114, Code::server_full},             // table is full
    {1129, Code::access_denied},           // host blocked
    {1130, Code::access_denied},           // host not allowed
    {1136, Code::table_changed},           // column count does not match
    {1142, Code::privilege_missing},       // command denied for table
    {1143, Code::privilege_missing},       // command denied for column
    {1146, Code::no_such_table},           // no such table
    {1152, Code::connection_lost},         // aborted connection
    {1153, Code::statement_failed},        // packet too large
    {1158, Code::connection_lost},         // network read error
    {1159, Code::connection_lost},         // network read timeout
    {1160, Code::connection_lost},         // network write error
    {1161, Code::connection_lost},         // network write timeout
    {1203, Code::too_many_connections},    // user has too many connections
    {1205, Code::lock_contention},         // lock wait timeout
    {1206, Code::lock_contention},         // lock table full
    {1213, Code::lock_contention},         // deadlock
    {3572, Code::lock_contention},         // NOWAIT, and the lock is another's
    {1226, Code::too_many_connections},    // user resource limit
    {1227, Code::privilege_missing},       // specific access denied
    {1251, Code::access_denied},           // authentication protocol
    {1264, Code::bad_data},                // out of range
    {1265, Code::bad_data},                // data truncated
    {1269, Code::privilege_missing},       // cannot revoke grants
    {1273, Code::unsupported_collation},   // unknown collation
    {1115, Code::unsupported_collation},   // unknown character set
    {1286, Code::unsupported_engine},      // unknown storage engine
    {1290, Code::server_read_only},        // --read-only or another option
    {1292, Code::bad_data},                // truncated wrong value
    {1317, Code::interrupted},             // query interrupted
    {1364, Code::bad_data},                // no default for field
    {1366, Code::bad_data},                // incorrect value
    {1370, Code::privilege_missing},       // alter routine denied
    {1406, Code::bad_data},                // data too long
    {1412, Code::snapshot_lost},           // table definition has changed
    {1419, Code::privilege_missing},       // no SUPER and binary logging is on
    {1524, Code::access_denied},           // plugin not loaded
    {1698, Code::access_denied},           // access denied without password
    {1792, Code::statement_failed},        // read only transaction
    {1836, Code::server_read_only},        // running in read-only mode
    {1862, Code::access_denied},           // password expired
    {1927, Code::connection_lost},         // MariaDB: connection was killed
    {1969, Code::connection_lost},         // MariaDB: max_statement_time exceeded
    {3024, Code::connection_lost},         // MySQL: maximum execution time exceeded
    {3159, Code::tls_failed},              // secure transport required
    {3105, Code::table_changed},           // value for a generated column
    {3118, Code::access_denied},           // account locked
    {3572, Code::lock_contention},         // NOWAIT
    {3780, Code::schema_differs},          // incompatible foreign key column
    {3819, Code::bad_data},                // check constraint
    {4025, Code::bad_data},                // MariaDB: check constraint
    {4031, Code::connection_lost},         // disconnected for inactivity
    {4151, Code::access_denied},           // MariaDB: account locked
    {2002, Code::cannot_connect},          // socket
    {2003, Code::cannot_connect},          // TCP
    {2005, Code::cannot_connect},          // unknown host
    {2006, Code::connection_lost},         // server has gone away
    {2012, Code::connection_lost},         // error in server handshake
    {2013, Code::connection_lost},         // lost connection during query
    {2026, Code::tls_failed},              // TLS connection error
    {2059, Code::access_denied},           // authentication plugin cannot be loaded
}};

struct Remedy {
  Code code;
  std::string_view words;
};

// Of what connections meet; the caller that knows more says more.
constexpr auto kRemedies = std::to_array<Remedy>({
    {Code::cannot_connect, "is the server running, and are host, port and firewall right?"},
    {Code::access_denied, "check the user, and GODWIT_SOURCE_PASSWORD / GODWIT_TARGET_PASSWORD or the defaults file"},
    {Code::no_such_schema, "name an existing schema in the DSN"},
    {Code::tls_failed, "check ssl-mode, ssl-ca and the server's certificate"},
    {Code::privilege_missing, "godwit check prints the GRANT that is missing"},
    {Code::server_full, "free space on the server, then run the same command again"},
    {Code::server_read_only, "SET GLOBAL read_only = OFF (or super_read_only) on that server"},
    {Code::no_such_table, "was the table changed or dropped while godwit was at work?"},
    {Code::table_changed, "was the table changed or dropped while godwit was at work?"},
    {Code::too_many_connections, "raise max_connections, or ask for fewer with --readers"},
    {Code::connection_lost, "it is tried again; if that ends too: is the server up, and does its log name who ended the connection?"},
    {Code::server_shutting_down, "it is tried again; start the server if nobody else does"},
    {Code::lock_contention, "it is tried again; SHOW PROCESSLIST on that server names who holds the lock"},
    {Code::snapshot_lost, "run the same command again: it takes a new snapshot"},
    {Code::interrupted, "somebody has ended the statement on the server; run the same command again"},
    {Code::duplicate_key, "godwit vdiff names the rows that differ; who else writes to that server?"},
    {Code::bad_data, "compare the column's definition on both sides, and sql_mode of that server"},
});
constexpr std::string_view kOtherRemedy = "the server's own words are the cause: mend that, and run the same command again";

}  // namespace

Code code_of_errno(unsigned number, std::string_view message) {
  if (message.find("No space left") != std::string_view::npos) return Code::server_full;
  if (number == 1030 && message.find(" 28 ") != std::string_view::npos) return Code::server_full;
  for (const auto& mapped : kTable) {
    if (mapped.number == number) return mapped.code;
  }
  return Code::statement_failed;
}

std::string remedy_of(Code code) {
  const auto known = std::ranges::find(kRemedies, code, &Remedy::code);
  return std::string(known == kRemedies.end() ? kOtherRemedy : known->words);
}

}  // namespace godwit::db
