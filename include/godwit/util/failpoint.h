// Named places where a test can make godwit fail, die or wait. Off by default: one relaxed load when none is armed.
// Armed by $GODWIT_FAILPOINTS="name=action[@hit][;…]"; actions: kill (SIGKILL to itself), error (a retryable Error),
// fatal (an Error that is not retried), sleep:MS. "@3" acts from the third hit on; kill and error act once, at that hit.
// Any thread may hit one. Every name is registered in failpoint_names(), which `godwit inspect failpoints` lists and the
// crash test walks through, so a new one is covered without anybody adding a test.
#pragma once

#include <atomic>
#include <string_view>
#include <vector>

namespace godwit {

struct Failpoint {
  std::string_view name;
  std::string_view where;  // what has happened when it is hit, and what has not
};

// X(identifier, "name", "where")
#define GODWIT_FAILPOINTS_LIST(X)                                                                       \
  X(copy_recorded, "copy.recorded", "the workflow is in the state file; nothing is on the target yet")  \
  X(copy_sidecar_created, "copy.sidecar_created", "the sidecar exists; no stream row yet")              \
  X(copy_stream_claimed, "copy.stream_claimed", "the stream row is ours; no table is created")          \
  X(copy_table_created, "copy.table_created", "one table is created on the target; it has no chunk")    \
  X(copy_schema_created, "copy.schema_created", "all tables are created; no snapshot is open")          \
  X(copy_snapshot_opened, "copy.snapshot_opened", "the snapshots are open; their position is not stored") \
  X(copy_position_stored, "copy.position_stored", "the start position is stored; no chunk is planned")  \
  X(copy_chunks_planned, "copy.chunks_planned", "chunks are recorded as pending; not yet read")         \
  X(copy_chunk_read, "copy.chunk_read", "a chunk's query is running; its rows are partly sent")         \
  X(copy_chunk_loaded, "copy.chunk_loaded", "a chunk's rows are on the target; not committed")          \
  X(copy_chunk_recorded, "copy.chunk_recorded", "rows and chunk are written in one transaction; not committed") \
  X(copy_chunk_committed, "copy.chunk_committed", "a chunk is committed; nobody has heard of it yet")   \
  X(copy_table_copied, "copy.table_copied", "all chunks of a table are committed; its proof is not recorded") \
  X(copy_table_proved, "copy.table_proved", "a table is proved complete; its keys are not built")       \
  X(copy_keys_building, "copy.keys_building", "a deferred ALTER is about to be sent")                   \
  X(copy_keys_built, "copy.keys_built", "a deferred ALTER has ended; its row is not marked done")       \
  X(copy_cycle_ended, "copy.cycle_ended", "the snapshots of a cycle are closed; its end is not recorded") \
  X(copy_objects_creating, "copy.objects_creating", "tables are finished; views and routines are not created") \
  X(copy_object_created, "copy.object_created", "a view or routine is created; not marked done")        \
  X(copy_finished, "copy.finished", "the stream row says copied; the state file does not know yet")      \
  X(apply_window_taken, "apply.window_taken", "transactions are read; nothing of them is on the target")  \
  X(apply_end_recorded, "apply.end_recorded", "the end of a window is recorded; no job of it has begun")  \
  X(apply_job_written, "apply.job_written", "a job's rows are on the target; not committed")              \
  X(apply_job_committed, "apply.job_committed", "a job of several is committed; others are not")          \
  X(apply_jobs_done, "apply.jobs_done", "all jobs of a window are committed; the position has not moved") \
  X(apply_position_moved, "apply.position_moved", "rows and position are committed; nobody has heard of it yet") \
  X(apply_statement_run, "apply.statement_run", "a DDL statement has run on the target; the position has not moved") \
  X(apply_xa_stored, "apply.xa_stored", "an XA transaction's rows are stored; not committed")             \
  X(stream_held, "stream.held", "the stream stands still, as it was asked to; what asked does not know yet")\
  X(stream_row_locked, "stream.row_locked", "a switch has locked a stream's row, and read the authority; the row is not changed") \
  X(vdiff_begun, "vdiff.begun", "the comparison is recorded; no snapshot is open")                         \
  X(vdiff_held, "vdiff.held", "the stream stands still for the snapshots; none is open")                   \
  X(vdiff_paired, "vdiff.paired", "both sides' snapshots are open, the stream goes on; nothing is compared") \
  X(vdiff_chunk_compared, "vdiff.chunk_compared", "a chunk is compared; not recorded")                     \
  X(vdiff_chunk_recorded, "vdiff.chunk_recorded", "a chunk's result is recorded")                          \
  X(vdiff_rechecking, "vdiff.rechecking", "suspected rows are about to be read again")                      \
  X(vdiff_repairing, "vdiff.repairing", "rows are about to be rewritten; their repair is journaled")          \
  X(vdiff_repaired, "vdiff.repaired", "rows are rewritten, and marked so; nobody has looked at them again") \
  X(objects_recorded, "objects.recorded", "triggers and events of a side are recorded; none is dropped")      \
  X(objects_dropped, "objects.dropped", "one of them is dropped; others are not")                              \
  X(objects_created, "objects.created", "a trigger or event is created again; not marked so")                  \
  X(objects_enabled, "objects.enabled", "an event of the side that serves is enabled; not marked so")          \
  X(proxy_credential_recorded, "proxy.credential_recorded", "a delegated credential is recorded; the account does not have it") \
  X(proxy_credential_first, "proxy.credential_first", "a delegated credential is the account's first password, its own the second") \
  X(proxy_credential_given, "proxy.credential_given", "an account has its delegated credential; nobody has heard of it yet") \
  X(proxy_credential_taken, "proxy.credential_taken", "a delegated credential is taken back; its record is there still") \
  X(switch_check_before, "switch.check.before", "nothing is looked at yet") \
  X(switch_check_after, "switch.check.after", "nothing stands in the way; nothing is changed") \
  X(switch_prepare_before, "switch.prepare.before", "nothing is changed") \
  X(switch_prepare_after, "switch.prepare.after", "the passive side is ready; the authority knows nothing of it") \
  X(switch_begin_before, "switch.begin.before", "the authority knows of no switch") \
  X(switch_begin_after, "switch.begin.after", "the authority says that a switch is under way") \
  X(switch_gate_before, "switch.gate.before", "no proxy holds anything") \
  X(switch_gate_after, "switch.gate.after", "every proxy holds its sessions") \
  X(switch_move_before, "switch.move.before", "sessions are held") \
  X(switch_move_after, "switch.move.after", "the proxies have been told to make their sessions again on the other side") \
  X(switch_fence_before, "switch.fence.before", "the serving side accepts writes") \
  X(switch_fence_after, "switch.fence.after", "the serving side is fenced") \
  X(switch_final_position_before, "switch.final_position.before", "the position is not read") \
  X(switch_final_position_after, "switch.final_position.after", "it is read; the other side may be behind it") \
  X(switch_catch_up_before, "switch.catch_up.before", "the other side may be behind") \
  X(switch_catch_up_after, "switch.catch_up.after", "it contains the final position") \
  X(switch_freeze_before, "switch.freeze.before", "the stream could still commit") \
  X(switch_freeze_after, "switch.freeze.after", "it can commit nothing more") \
  X(switch_prove_before, "switch.prove.before", "nothing is compared") \
  X(switch_prove_after, "switch.prove.after", "the newest rows are the same") \
  X(switch_objects_before, "switch.objects.before", "counters, triggers and events are as they were") \
  X(switch_objects_after, "switch.objects.after", "they are on the other side") \
  X(switch_return_position_before, "switch.return_position.before", "the stream back has no position of this switch") \
  X(switch_return_position_after, "switch.return_position.after", "it has one") \
  X(switch_commit_before, "switch.commit.before", "everything can be undone") \
  X(switch_commit_after, "switch.commit.after", "the other side serves; nobody has heard of it") \
  X(switch_unfence_before, "switch.unfence.before", "committed; both sides are fenced") \
  X(switch_unfence_after, "switch.unfence.after", "the new serving side accepts writes") \
  X(switch_release_before, "switch.release.before", "the proxies hold on") \
  X(switch_release_after, "switch.release.after", "they serve on the new side") \
  X(switch_old_side_before, "switch.old_side.before", "triggers and events are on both sides") \
  X(switch_old_side_after, "switch.old_side.after", "they are set aside on the passive side") \
  X(complete_stop_streams_before, "complete.stop_streams.before", "the migration is whole") \
  X(complete_stop_streams_after, "complete.stop_streams.after", "no stream can commit anything more") \
  X(complete_proxy_credentials_before, "complete.proxy_credentials.before", "delegated credentials are there") \
  X(complete_proxy_credentials_after, "complete.proxy_credentials.after", "they are taken back") \
  X(complete_fences_before, "complete.fences.before", "fences are as the authority has them") \
  X(complete_fences_after, "complete.fences.after", "they are as was asked") \
  X(complete_old_side_before, "complete.old_side.before", "the old side's tables are as they were") \
  X(complete_old_side_after, "complete.old_side.after", "the old side is as was asked") \
  X(complete_sidecar_before, "complete.sidecar.before", "the sidecars are there") \
  X(complete_sidecar_after, "complete.sidecar.after", "the sidecars are gone") \
  X(cancel_claim_before, "cancel.claim.before", "nothing is dropped") \
  X(cancel_claim_after, "cancel.claim.after", "no other godwit can go on with it") \
  X(cancel_objects_before, "cancel.objects.before", "objects and rows are there") \
  X(cancel_objects_after, "cancel.objects.after", "objects and rows are dropped") \
  X(cancel_sidecar_before, "cancel.sidecar.before", "the sidecar is there") \
  X(cancel_sidecar_after, "cancel.sidecar.after", "the sidecar is gone") \
  X(cancel_source_before, "cancel.source.before", "credentials, fences and the heartbeat are there") \
  X(cancel_source_after, "cancel.source.after", "nothing of godwit is on either side")

#define GODWIT_FAILPOINT_ENUM(identifier, name, where) identifier,
enum class Fp { GODWIT_FAILPOINTS_LIST(GODWIT_FAILPOINT_ENUM) };
#undef GODWIT_FAILPOINT_ENUM

const std::vector<Failpoint>& all_failpoints();

// Reads $GODWIT_FAILPOINTS: those that it names are armed, and no others. Throws Error(bad_usage) for a name or an action it does not know.
void arm_failpoints_from_environment();

extern std::atomic<bool> failpoints_armed;
void hit_failpoint_slow(Fp point);

inline void failpoint(Fp point) {
  if (failpoints_armed.load(std::memory_order_relaxed)) hit_failpoint_slow(point);
}

}  // namespace godwit
