// godwit inspect binlog: the events of files or of a server, one line each, rows below. Private to cli.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "godwit/util/stop.h"

namespace godwit::cli {

struct InspectBinlogArguments {
  std::vector<std::string> inputs;  // files, or one DSN
  std::string from;
  std::vector<std::string> tables;     // schema.table or table, * and ? are wildcards
  std::uint64_t limit = 0;             // events shown; 0: all
  std::uint64_t rows_per_event = 100;  // 0: all
  bool is_following = false;
  std::string defaults_file;
};

void inspect_binlog(const InspectBinlogArguments& arguments, bool is_json, const Stop& stop);

}  // namespace godwit::cli
