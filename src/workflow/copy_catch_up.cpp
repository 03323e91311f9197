#include "copy_catch_up.h"

#include "bindings.h"
#include "godwit/util/error.h"
#include "preparation.h"
#include "sidecar_checkpoint.h"

namespace godwit::workflow {

void BinlogCatchUp::reach(const std::vector<Part>& parts) {
  for (const auto& part : parts) reach_one(part);
}

void BinlogCatchUp::reach_one(const Part& part) {
  db::Connection source = db::Connection::open(source_endpoint(part.definition));
  db::Connection target = db::Connection::open(target_endpoint(part.definition));
  const Preparation prepared = prepare(part.definition, source, target);
  const auto bindings = bind_tables(prepared, source, target, part.stream.id, Definitions::recorded);
  SidecarCheckpoint checkpoint(source.server().flavour, part.stream.id, part.stream.epoch);
  apply::Applier applier(source_endpoint(part.definition), target_endpoint(part.definition), bindings, options_, checkpoint, progress_, stop_);
  applier.on_connected = [&](const db::Server& server) { require_same_server(part.stream, server); };
  switch (applier.run(gtid::Set::parse(part.until))) {
    case apply::ApplyEnd::reached:
      return;
    case apply::ApplyEnd::stopped:
      stop_.throw_if_requested();
      return;
    case apply::ApplyEnd::definitions_changed:
      throw Error(Code::table_changed,
                  {.object = "source", .cause = "a DDL statement came during the copy", .remedy = "let DDL wait until the copy is done: godwit cancel, and copy again"});
  }
}

}  // namespace godwit::workflow
