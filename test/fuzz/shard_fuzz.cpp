// What the operator writes of shards, and any value of a row as its shard key.
#include <string>

#include "godwit/shard/layout.h"
#include "godwit/util/error.h"
#include "input.h"

using namespace godwit;
using namespace godwit::shard;

namespace {

// Every id is in one of two halves.
void place(const std::string& function, std::string_view text) {
  const Vindex vindex = make_vindex({.function = function}, "--vindex");
  const Value value{.kind = ValueKind::text, .text = text};
  const auto id = keyspace_id(vindex, {&value, 1});
  if (id) fuzz::demand(KeyRange{.upper = "\x80"}.contains(*id) != KeyRange{.lower = "\x80"}.contains(*id));
}

void parse(std::uint8_t how, const std::string& text) {
  LayoutOptions options{.shards = {"-80=mysql://u@a/s", "80-=mysql://u@b/s"}};
  switch (how % 5) {
    case 0: options.shards = {text}; break;
    case 1: options.vindexes = {text}; break;
    case 2: options.partitions = {text}; break;
    case 3: options.references = {text}; break;
    default: options.unsharded = {text}; break;
  }
  try {
    parse_layout(options);
  } catch (const Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const auto how = input.u8();
  const std::string text(input.rest());
  if (how < 128) {
    place("unicode_loose_xxhash", text);
    place("binary", text);
    place("hash", text);
  } else {
    parse(how, text);
  }
  return 0;
}
