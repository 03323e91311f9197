// apply's checkpoint over the sidecar's stream row. Statements may be made by any thread.
#pragma once

#include <fmt/format.h>

#include "godwit/apply/checkpoint.h"
#include "godwit/state/sidecar.h"

namespace godwit::workflow {

class SidecarCheckpoint : public apply::Checkpoint {
 public:
  SidecarCheckpoint(gtid::Flavour source_flavour, std::uint64_t stream, std::uint64_t epoch)
      : flavour_(source_flavour), stream_(stream), epoch_(epoch) {}

  State load(db::Connection& target) override;
  void begin_session(db::Connection& target, std::size_t number) const override;
  std::string guard_statement() const override { return state::guard_statement(stream_); }
  bool is_own_epoch(const std::string& epoch) const override { return epoch == fmt::format("{}", epoch_); }
  std::string advance_statement(const gtid::Set& position) const override;
  std::string overlap_statement(const gtid::Set& end) const override;
  [[noreturn]] void throw_fenced() const override { state::throw_fenced(stream_, epoch_); }
  std::optional<Hold> asked_hold(db::Connection& target) const override;
  void note_held(db::Connection& target, const Hold& hold, const gtid::Set& position) const override;
  void give_up_hold(db::Connection& target, const Hold& hold) const override;
  std::string park_statement(std::string_view place, std::string_view changes) const override;
  std::string unpark_statement(std::string_view place) const override;
  std::string select_parked_statement() const override;
  std::string store_prepared_statement(const std::string& xid, std::string_view changes) const override;
  std::string select_prepared_statement(const std::string& xid) const override;
  std::string erase_prepared_statement(const std::string& xid) const override;

 private:
  const gtid::Flavour flavour_;
  const std::uint64_t stream_;
  const std::uint64_t epoch_;
};

}  // namespace godwit::workflow
