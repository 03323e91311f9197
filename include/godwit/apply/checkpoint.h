// Where a stream keeps its position, as statements that the applier puts into its own transactions (I1), so that apply knows nothing of
// the sidecar. Implemented by workflow. load() from the applier's thread; the statements are made by any.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "godwit/db/connection.h"
#include "godwit/gtid/set.h"

namespace godwit::apply {

class Checkpoint {
 public:
  struct State {
    gtid::Set position;     // these transactions are on the target
    gtid::Set overlap_end;  // up to here changes may be on it already
  };

  virtual ~Checkpoint() = default;
  // Ends what sessions an earlier run has left on the target, whose last transaction is then there or gone for good; calls begin_session(0).
  // Throws Error(stream_fenced) when another process owns the stream.
  virtual State load(db::Connection& target) = 0;
  // Every session that writes, by a number of its own: so that a later run finds it, should its end not be heard of on the target.
  virtual void begin_session(db::Connection& target, std::size_t number) const = 0;
  // A SELECT that locks the stream's row shared and gives its epoch: in the transactions that do not move the position (I3).
  virtual std::string guard_statement() const = 0;
  virtual bool is_own_epoch(const std::string& epoch) const = 0;
  // An UPDATE of exactly one row while the epoch is ours, of none when it is over.
  virtual std::string advance_statement(const gtid::Set& position) const = 0;
  virtual std::string overlap_statement(const gtid::Set& end) const = 0;
  [[noreturn]] virtual void throw_fenced() const = 0;

  // Somebody asks the stream to stand still for a moment, between two of its transactions: at `goal`, or where it is.
  struct Hold {
    std::uint64_t number = 0;  // of the request
    std::optional<gtid::Set> goal;
  };
  virtual std::optional<Hold> asked_hold(db::Connection& target) const = 0;
  virtual void note_held(db::Connection& target, const Hold& hold, const gtid::Set& position) const = 0;
  // The stream goes on, though nobody has said so: whoever still counts on its standing still finds out.
  virtual void give_up_hold(db::Connection& target, const Hold& hold) const = 0;

  // Rows of this stream that wait for another shard's row to go (src/apply/shared_rows.h), each by its place: table and locator.
  virtual std::string park_statement(std::string_view place, std::string_view changes) const = 0;
  virtual std::string unpark_statement(std::string_view place) const = 0;  // affects one row where there is one
  virtual std::string select_parked_statement() const = 0;                 // place, changes; the oldest first

  // Rows of XA transactions that are prepared and not yet decided.
  virtual std::string store_prepared_statement(const std::string& xid, std::string_view changes) const = 0;
  virtual std::string select_prepared_statement(const std::string& xid) const = 0;  // no row: was never stored
  virtual std::string erase_prepared_statement(const std::string& xid) const = 0;
};

}  // namespace godwit::apply
