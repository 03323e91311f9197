// Every error code, once. Append within a block, never renumber, never reuse: scripts and runbooks hold these numbers.
// Blocks: 00 general, 01 connections, 02 catalog, 03 checks, 04 state and sidecar, 05 copy, 06 accounts,
// 07 positions and the binlog, 08 streams, 09 vdiff, 10 the proxy, 11 the switch, 12 shards, 13 rehearsals.
#pragma once

// X(number, name, reaction, title)
#define GODWIT_CODES(X)                                                                            \
  X(0001, internal_error, internal, "a promise inside godwit does not hold")                       \
  X(0002, bad_usage, usage, "the command line or configuration cannot be taken")                   \
  X(0003, interrupted, cancelled, "stopped by a signal; run the same command to go on")            \
  X(0004, failpoint_hit, retryable, "a failpoint was armed to fail here")                          \
  X(0101, cannot_connect, retryable, "no connection to the server")                                \
  X(0102, access_denied, precondition, "the server refuses the account")                           \
  X(0103, no_such_schema, precondition, "the schema does not exist")                               \
  X(0104, connection_lost, retryable, "the connection ended or timed out")                         \
  X(0105, tls_failed, precondition, "TLS could not be agreed or verified")                         \
  X(0106, privilege_missing, precondition, "the account lacks a privilege")                        \
  X(0107, lock_contention, retryable, "deadlock or lock wait time-out")                            \
  X(0108, statement_failed, precondition, "the server refused a statement")                        \
  X(0109, server_full, precondition, "the server's disk or table space is full")                   \
  X(0110, server_read_only, precondition, "the server refuses writes")                             \
  X(0111, server_unsupported, precondition, "this server version is not supported")                \
  X(0112, server_shutting_down, retryable, "the server is starting or shutting down")              \
  X(0113, duplicate_key, diverged, "a row with that key already exists")                           \
  X(0114, snapshot_lost, retryable, "the snapshot can no longer be read")                          \
  X(0115, too_many_connections, retryable, "the server has no connection left")                    \
  X(0116, bad_data, corrupt, "a value could not be stored as it is")                               \
  X(0201, no_such_table, precondition, "the table does not exist")                                 \
  X(0202, unsupported_type, precondition, "the column type cannot be carried")                     \
  X(0203, unsupported_collation, precondition, "the collation has no counterpart on the target")   \
  X(0204, unsupported_engine, precondition, "the storage engine cannot be snapshotted")            \
  X(0205, unsupported_feature, precondition, "the table uses what the target cannot hold")         \
  X(0206, schema_differs, precondition, "source and target definitions do not fit")                \
  X(0207, ddl_unreadable, corrupt, "a definition printed by the server could not be parsed")       \
  X(0208, nothing_selected, usage, "no table is selected")                                         \
  X(0209, bad_mapping, usage, "--map cannot be applied")                                           \
  X(0301, check_blocked, precondition, "a check found a blocker")                                  \
  X(0302, binlog_disabled, precondition, "the source writes no binlog")                            \
  X(0303, binlog_format_wrong, precondition, "the source's binlog does not hold whole rows")       \
  X(0304, commit_order_off, precondition, "the source commits in another order than its binlog's") \
  X(0305, gtid_off, precondition, "the source has no GTIDs")                                       \
  X(0306, same_tables, precondition, "source and target are the same tables")                      \
  X(0307, names_case_differs, precondition, "the servers treat the case of names differently")     \
  X(0308, source_filters_binlog, precondition, "the source's binlog lacks some schemas")           \
  X(0309, packet_too_small, precondition, "max_allowed_packet of the target is smaller")           \
  X(0310, values_collide, precondition, "different values are equal under the target's collation") \
  X(0311, reference_not_copied, precondition, "a foreign key refers to a table that is not copied") \
  X(0312, cascades_not_logged, precondition, "the source's binlog lacks what cascades change")     \
  X(0313, disk_too_small, precondition, "the target's disk may not hold the copy")                 \
  X(0314, loads_in_turn, precondition, "the target takes one LOAD DATA into a table at a time")     \
  X(0315, fence_bypassed, precondition, "accounts may write to a side that is read-only")           \
  X(0316, fence_unavailable, precondition, "the account may not make a side read-only")             \
  X(0317, no_way_back, precondition, "the target cannot be followed after a switch")                \
  X(0401, state_unreadable, corrupt, "the state file cannot be read")                              \
  X(0402, state_newer, precondition, "the state file was written by a newer godwit")               \
  X(0403, state_busy, retryable, "the state file is locked")                                       \
  X(0404, no_such_workflow, usage, "no workflow of that name")                                     \
  X(0405, workflow_differs, usage, "the workflow was recorded with other options")                 \
  X(0406, stream_fenced, precondition, "another process owns the stream")                          \
  X(0407, sidecar_foreign, precondition, "the sidecar belongs to another workflow")                \
  X(0408, sidecar_newer, precondition, "the sidecar was written by a newer godwit")                \
  X(0409, state_failed, internal, "SQLite refused an operation")                                   \
  X(0410, server_changed, precondition, "the server is not the one the workflow began with")       \
  X(0501, target_not_empty, precondition, "the target holds rows that godwit did not copy")        \
  X(0502, no_usable_key, precondition, "the table has no key to copy by")                          \
  X(0503, chunk_mismatch, corrupt, "a chunk was not stored row for row")                           \
  X(0504, table_changed, precondition, "the table's definition changed during the copy")           \
  X(0505, lock_unavailable, retryable, "the table lock was not granted in time")                   \
  X(0506, key_build_failed, precondition, "a deferred key or constraint could not be created")     \
  X(0507, copy_incomplete, corrupt, "the chunks do not cover the whole table")                     \
  X(0508, retries_used_up, exhausted, "the same step failed too often")                            \
  X(0509, position_unavailable, precondition, "the server gives no usable binlog position")        \
  X(0510, replicas_attached, precondition, "the target has replicas that would miss the copy")     \
  X(0601, account_not_portable, precondition, "the account's password hash cannot be carried")     \
  X(0602, no_such_account, usage, "the source has no such account")                                \
  X(0603, account_missing, precondition, "the target lacks an account of the source")                     \
  X(0701, gtid_unreadable, usage, "the text is no GTID or position of that flavour")               \
  X(0702, position_purged, precondition, "the server's binlog no longer holds the position")       \
  X(0703, event_corrupt, corrupt, "a binlog event is not what it says it is")                      \
  X(0704, event_checksum_wrong, corrupt, "a binlog event does not have its checksum")              \
  X(0705, event_unsupported, precondition, "the binlog holds an event that cannot be followed")    \
  X(0706, value_unreadable, precondition, "a column's form in the binlog is not known")            \
  X(0707, binlog_file_unreadable, precondition, "the file is no binlog that can be read")          \
  X(0708, position_foreign, precondition, "the position is not of the server's history")           \
  X(0709, dump_refused, precondition, "the server does not send its binlog")                       \
  X(0710, dump_displaced, retryable, "another reader of the binlog uses the same server id")                    \
  X(0801, schema_misfit, precondition, "the binlog describes a table otherwise than its definition does") \
  X(0802, statement_format, precondition, "a change was logged as a statement, not as rows")       \
  X(0803, row_image_incomplete, precondition, "a row event lacks a column that is needed")         \
  X(0804, ddl_met, precondition, "the stream met a statement that changes a migrated table")       \
  X(0805, drift, diverged, "the target differs from what the stream implies")                      \
  X(0806, stream_not_ready, precondition, "the stream cannot run in its present state")            \
  X(0807, source_behind, precondition, "the server lacks transactions that the stream has behind it") \
  X(0808, xa_unknown, precondition, "the outcome of an XA transaction whose rows were never seen") \
  X(0901, sides_differ, diverged, "the sides differ")                                              \
  X(0902, vdiff_partial, precondition, "not everything was compared")                              \
  X(0903, hold_lost, retryable, "the stream did not stand still for the snapshots")                \
  X(0904, replica_behind, retryable, "the replica does not reach the position in time")            \
  X(0905, key_order_wrong, corrupt, "a side gave rows in another order than it was asked for")     \
  X(0906, repair_refused, precondition, "a difference cannot be repaired")                         \
  X(1001, peer_misbehaved, retryable, "a client or server sent what the protocol does not allow")  \
  X(1002, cannot_listen, precondition, "the address cannot be listened on")                        \
  X(1003, session_immovable, precondition, "a session cannot be moved to the other side")          \
  X(1004, gate_refused, precondition, "the gate is not in the state that the command needs")       \
  X(1005, drain_timed_out, retryable, "sessions did not come to a safe point in time")             \
  X(1006, login_unprovable, precondition, "no secret is known to log the account in on the other side") \
  X(1020, tls_files_unusable, usage, "a certificate, key or authority cannot be used")             \
  X(1021, frame_malformed, corrupt, "a compressed packet is not what it says it is")       \
  X(1022, accounts_file_unusable, usage, "the file of passwords cannot be used")                   \
  X(1023, delegation_refused, precondition, "the account cannot be given a second credential")    \
  X(1101, switch_fenced, precondition, "this switch has been ended by another, or by a proxy whose lease was over") \
  X(1102, switch_refused, precondition, "something stands in the way of a switch; nothing was changed") \
  X(1103, switch_undone, retryable, "the switch was undone; everything is as it was before")       \
  X(1104, authority_lost, retryable, "the authority cannot be read or written")                    \
  X(1105, proxy_unreachable, precondition, "a proxy does not answer as it must")                   \
  X(1106, hook_failed, precondition, "a hook did not end with status 0")                           \
  X(1107, not_switched, precondition, "the side that serves is not the one the command needs")     \
  X(1108, complete_refused, precondition, "the migration cannot be completed in its present state") \
  X(1109, fence_failed, precondition, "a side could not be fenced") \
  X(1110, side_not_serving, precondition, "a write to the side that does not serve") \
  X(1111, switch_unfinished, retryable, "the switch is committed; something that follows it is left to do") \
  X(1112, target_answers, precondition, "the target is there: nothing may be decided without it") \
  X(1201, key_range_unreadable, usage, "the text is no key range")                                  \
  X(1202, shards_leave_gap, usage, "no shard holds a part of the key space")                        \
  X(1203, shards_overlap, usage, "two shards hold the same part of the key space")                  \
  X(1204, bad_placement, usage, "what says where rows of a table live cannot be taken")             \
  X(1205, table_unplaced, usage, "nothing says on which shard rows of a table live")                \
  X(1206, shard_key_unsuitable, precondition, "a column cannot be the shard key that it is to be")  \
  X(1207, row_unplaced, precondition, "a row belongs to no shard")                           \
  X(1221, not_servable, precondition, "the engine over the shards has no form for what the layout or a table says") \
  X(1222, head_unfit, precondition, "the server cannot be the head of these shards as it is")      \
  X(1223, head_occupied, precondition, "the head has something of that name that godwit did not create") \
  X(1301, rehearsal_occupied, precondition, "a name that a rehearsal would create is taken")        \
  X(1302, rehearsal_running, precondition, "another rehearsal of that name is at work")            \
  X(1303, rehearsal_unready, precondition, "the rehearsed migration did not pass")                 \
  X(1304, rehearsal_uncleaned, retryable, "something that a rehearsal created could not be dropped")

namespace godwit {

#define GODWIT_CODE_ENUM(number, name, reaction, title) name,
enum class Code { GODWIT_CODES(GODWIT_CODE_ENUM) };
#undef GODWIT_CODE_ENUM

}  // namespace godwit
