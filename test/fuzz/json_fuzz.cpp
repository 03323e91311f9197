// A document, and diffs upon it: [size u16][document][diffs].
#include <cstdlib>

#include "drive.h"

using namespace godwit;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input in(data, size);
  const auto document = in.sized();
  std::string printed;
  try {
    binlog::append_json(printed, document);
  } catch (const Error&) {
    return 0;
  }
  try {
    std::string again;
    binlog::append_json_after(again, document, {});
    if (again != printed) std::abort();  // the tree and the walk are two ways to one text
  } catch (const Error&) {
    std::abort();
  }
  try {
    std::string after;
    binlog::append_json_after(after, document, binlog::decode_json_diffs(in.rest()));
  } catch (const Error&) {
  }
  return 0;
}
