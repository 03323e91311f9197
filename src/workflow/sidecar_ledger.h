// copy's ledger over the sidecar. Any thread: calls without a connection share one, reopened after it was lost.
#pragma once

#include <memory>
#include <mutex>

#include "godwit/copy/ledger.h"
#include "godwit/state/sidecar.h"

namespace godwit::workflow {

class SidecarLedger : public copy::Ledger {
 public:
  SidecarLedger(db::Endpoint target, std::uint64_t stream, std::uint64_t epoch)
      : target_(std::move(target)), stream_(stream), epoch_(epoch) {}

  std::vector<copy::Chunk> chunks(const copy::TableName& table) override;
  void plan(const copy::TableName& table, const std::vector<copy::Chunk>& chunks) override;
  bool begin_chunk(db::Connection& writer, const copy::TableName& table, const copy::Chunk& chunk) override;
  void commit_chunk(db::Connection& writer, const copy::TableName& table, const copy::Chunk& done,
                    const std::vector<copy::Chunk>& rest) override;
  void finish_table(const copy::TableName& table, std::uint64_t rows, std::uint64_t bytes,
                    std::uint64_t copy_ms) override;

  // Runs `work(sidecar)` in one transaction that checks the epoch (I3).
  template <typename Work>
  void guarded(Work work) {
    std::lock_guard lock(mutex_);
    use([&](db::Connection& connection) {
      state::Sidecar sidecar(connection);
      connection.execute("START TRANSACTION");
      sidecar.guard(stream_, epoch_);
      work(sidecar);
      connection.execute("COMMIT");
    });
  }

  std::uint64_t stream() const { return stream_; }
  std::uint64_t epoch() const { return epoch_; }

 private:
  template <typename Work>
  void use(Work work) {
    if (!connection_) connection_ = std::make_unique<db::Connection>(db::Connection::open(target_));
    try {
      work(*connection_);
    } catch (...) {
      connection_.reset();  // an open transaction goes with it
      throw;
    }
  }

  const db::Endpoint target_;
  const std::uint64_t stream_;
  const std::uint64_t epoch_;
  std::mutex mutex_;
  std::unique_ptr<db::Connection> connection_;
};

}  // namespace godwit::workflow
