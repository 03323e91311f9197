#include "sidecar_checkpoint.h"

#include "godwit/fence/fence.h"
#include "godwit/sql/quote.h"

namespace godwit::workflow {
namespace {

std::string table(std::string_view name) { return sql::quote_table(state::kSidecarSchema, name); }

}  // namespace

apply::Checkpoint::State SidecarCheckpoint::load(db::Connection& target) {
  const auto read = [&](std::string_view how) {
    const db::Rows rows = target.query(fmt::format("SELECT epoch, position, overlap_end FROM {} WHERE id = {}{}", table("stream"), stream_, how));
    if (rows.empty() || rows.u64(0, "epoch") != epoch_) throw_fenced();
    return rows;
  };
  read("");  // whose epoch is over ends nobody's sessions
  state::end_sessions(target, stream_);
  begin_session(target, 0);
  // A COMMIT whose answer was lost may still be under way. Its transaction holds the row until it is there or gone: read any earlier, the
  // position could be the old one, and what that COMMIT brings would be applied again.
  const db::Rows rows = read(" FOR UPDATE");
  return {.position = gtid::Set::parse(flavour_, rows.text(0, "position")), .overlap_end = gtid::Set::parse(flavour_, rows.text(0, "overlap_end"))};
}

// Every session that writes comes by here: where the side it writes to is fenced by guard triggers, they let it pass.
void SidecarCheckpoint::begin_session(db::Connection& target, std::size_t number) const {
  state::begin_session(target, stream_, number);
  target.execute(fence::pass_statement());
}

std::string SidecarCheckpoint::advance_statement(const gtid::Set& position) const {
  return state::update_statement(stream_, epoch_, "position = " + sql::quote_string(position.to_string()));
}

std::string SidecarCheckpoint::overlap_statement(const gtid::Set& end) const {
  return state::update_statement(stream_, epoch_, "overlap_end = " + sql::quote_string(end.to_string()));
}

std::optional<apply::Checkpoint::Hold> SidecarCheckpoint::asked_hold(db::Connection& target) const {
  // The epoch in the same question: a source that writes nothing leaves no other occasion to notice that a switch, or another process, has taken
  // the stream away.
  const db::Rows rows = target.query(fmt::format("SELECT s.epoch, h.number, h.goal FROM {} s LEFT JOIN {} h ON h.stream = s.id AND h.state IN ('asked', 'held') WHERE s.id = {}",
                                                 table("stream"),
                                                 table("stream_hold"),
                                                 stream_));
  if (rows.empty() || rows.u64(0, "epoch") != epoch_) throw_fenced();
  if (rows.is_null(0, "number")) return std::nullopt;
  Hold hold{.number = rows.u64(0, "number"), .goal = {}};
  if (!rows.is_null(0, "goal")) hold.goal = gtid::Set::parse(flavour_, rows.text(0, "goal"));
  return hold;
}

void SidecarCheckpoint::note_held(db::Connection& target, const Hold& hold, const gtid::Set& position) const {
  target.execute(fmt::format("UPDATE {} SET state = 'held', position = {} WHERE stream = {} AND number = {}",
                             table("stream_hold"),
                             sql::quote_string(position.to_string()),
                             stream_,
                             hold.number));
}

void SidecarCheckpoint::give_up_hold(db::Connection& target, const Hold& hold) const {
  target.execute(fmt::format("UPDATE {} SET state = 'given_up' WHERE stream = {} AND number = {}", table("stream_hold"), stream_, hold.number));
}

std::string SidecarCheckpoint::park_statement(std::string_view place, std::string_view changes) const {
  return fmt::format("INSERT INTO {} (stream, place, changes, created) VALUES ({}, {}, {}, UTC_TIMESTAMP(3))",
                     table("parked_row"),
                     stream_,
                     sql::quote_string(place),
                     sql::quote_string(changes));
}

std::string SidecarCheckpoint::unpark_statement(std::string_view place) const {
  return fmt::format("DELETE FROM {} WHERE stream = {} AND place = {}", table("parked_row"), stream_, sql::quote_string(place));
}

std::string SidecarCheckpoint::select_parked_statement() const {
  return fmt::format("SELECT place, changes FROM {} WHERE stream = {} ORDER BY id", table("parked_row"), stream_);
}

std::string SidecarCheckpoint::store_prepared_statement(const std::string& xid, std::string_view changes) const {
  return fmt::format("INSERT INTO {} (stream, xid, changes, created) VALUES ({}, {}, {}, UTC_TIMESTAMP(3))",
                     table("prepared_xa"),
                     stream_,
                     sql::quote_string(xid),
                     sql::quote_string(changes));
}

std::string SidecarCheckpoint::select_prepared_statement(const std::string& xid) const {
  return fmt::format("SELECT changes FROM {} WHERE stream = {} AND xid = {}", table("prepared_xa"), stream_, sql::quote_string(xid));
}

std::string SidecarCheckpoint::erase_prepared_statement(const std::string& xid) const {
  return fmt::format("DELETE FROM {} WHERE stream = {} AND xid = {}", table("prepared_xa"), stream_, sql::quote_string(xid));
}

}  // namespace godwit::workflow
