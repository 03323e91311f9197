/* Streams and reconcilers: what `replicate` does. For the fence, a reconciler is in every proxy too: one process here for each server, because its
 * lock lets one at a time act. */

#define is_row_frozen(s) (((s) == 0 && (frozen[stream_of(TARGET, 0)] || frozen[stream_of(TARGET, SHARDS - 1)])) || \
                          ((s) > 0 && frozen[stream_of(SOURCE, (s) - 1)]))

mtype:deed = { nothing, close, lift, disarm, thaw };

proctype reconciler(byte s) {
  mtype:deed todo = nothing;
end:
  do
  :: atomic { todo == nothing && up && is_free(s) && serving != side_of(s) && !fenced[s] && is_followed(s) -> take(s); todo = close }
  :: atomic { todo == nothing && up && is_free(s) && serving == side_of(s) && !switching && fenced[s] -> take(s); todo = lift }
  :: atomic {
       todo == close || todo == lift ->
       if
       :: is_mine(s) -> fenced[s] = (todo == close); lost[s] = false; give(s); printf("server %d: fence follows, %e\n", s, todo)
       :: else             /* the server has restarted, the session and its lock are gone */
       fi;
       todo = nothing
     }
#ifdef DETAIL
  :: atomic { todo == nothing && up && is_row_free(s) && serving != side_of(s) && !switching && armed[s] -> take_row(s); todo = disarm }
  :: atomic { todo == nothing && up && is_row_free(s) && serving != side_of(s) && !switching && !armed[s] && is_row_frozen(s) && is_thawed -> take_row(s); todo = thaw }
  :: atomic {
       todo == disarm || todo == thaw ->
       if
       :: is_row_mine(s) && todo == disarm -> armed[s] = false; SET_LEADING_FROM(echo, s, true); give_row(s); printf("server %d: triggers are set aside\n", s)
       :: is_row_mine(s) && todo == thaw -> SET_LEADING_TO(frozen, s, false); SET_LEADING_TO(claim, s, 0); give_row(s); printf("server %d: streams to it run again\n", s)
       :: else
       fi;
       todo = nothing
     }
#endif
  od
}

#ifdef DETAIL
/* One direction of one shard. It claims its row, and only then asks the authority whether that direction runs: whoever freezes or positions the row
 * later takes the claim away. A transaction may commit even when there is nothing to carry: a heartbeat, a position. */
proctype stream(bit side; byte shard) {
#ifdef ROUTE_BEFORE_ROW
  bool asked = false;
#endif
end:
  do
#ifdef ROUTE_BEFORE_ROW
  :: atomic { !asked && up && serving == side -> asked = true }
  :: atomic { asked && !frozen[stream_of(side, shard)] && claim[stream_of(side, shard)] == 0 -> claim[stream_of(side, shard)] = 2 }
#else
  :: atomic { claim[stream_of(side, shard)] == 0 && !frozen[stream_of(side, shard)] -> claim[stream_of(side, shard)] = 1 }
  :: atomic { claim[stream_of(side, shard)] == 1 && up && serving == side && !armed[row_server(side, shard)] -> claim[stream_of(side, shard)] = 2 }
#endif
  :: atomic {
       claim[stream_of(side, shard)] == 2 ->
       assert(serving == side);                          /* never both directions, never onto the side that serves */
       assert(!armed[row_server(side, shard)]);
       behind[stream_of(side, shard)] = false; late[stream_of(side, shard)] = false;
       SET_LEADING_FROM(echo, row_server(side, shard), true)
     }
  od
}
#endif
