/* A proxy. Its sessions write while it does not hold them; what coordinators said arrives in any order; its lease may end at any time. */

/* What was said in the name of a hold that is over is not listened to any more (nor remembered, in so far as no mistake listens to it). */
inline learn(e) {
  hold[me] = e; saw[me] = 0; found[me] = 0; seen[me] = 0;
#if !defined(KEEP_MESSAGES) && !defined(NO_R3) && !defined(LATE_PAUSE) && !defined(MOVE_WITHOUT_HOLD) && !defined(ORDERS_BEFORE_START)
  pauses[me] = pauses[me] & ~(below(e) | ((e) % 2 -> bit_of(e) : 0));
  moves[me] = moves[me] & ~below(e);
  resumes[me] = resumes[me] & ~below(e)
#endif
}

inline serve(side) {
  where[me] = side; held[me] = false; printf("proxy %d: serves side %d\n", me, side)
}

inline pause(e) {
  held[me] = true; printf("proxy %d: PAUSE HOLD %d\n", me, e);
#ifdef PAUSE_UNSEEN          /* the look at the authority and the resuming are two things, and the pause comes in between */
  hold[me] = e
#else
  learn(e)
#endif
}

inline move_to(e) {
  where[me] = goal[(e) / 2]; printf("proxy %d: MOVE, hold %d\n", me, e)
}

inline resume(e) {
  printf("proxy %d: RESUME HOLD %d\n", me, e); serve(released_to(e)); learn((e) + 1)
}

#define LISTEN(e)                                                                                                                                     \
  :: atomic { listens && (pauses[me] & bit_of(e)) && is_paused_by(e) -> pause(e) }                                                                    \
  :: atomic { listens && (moves[me] & bit_of(e)) && is_moved_by(e) && where[me] != goal[(e) / 2] -> move_to(e) }                                      \
  :: atomic { listens && (resumes[me] & bit_of(e)) && held[me] && is_released_by(e) -> resume(e) }

proctype proxy(byte me) {
end:
  do
  :: atomic { !held[me] && me < PROXIES -> write_through_proxy(first(where[me])) }
#if SHARDS > 1
  :: atomic { !held[me] && me < PROXIES -> write_through_proxy(last(where[me])) }
#endif
  LISTEN(1)
#if SWITCHES > 1
  LISTEN(3)
#endif
#if SWITCHES > 2
  LISTEN(5)
#endif

  /* The lease is over: first no commit is possible any more, then the serving side's fence is looked at; the reconciler lifts it. */
  :: atomic { held[me] && listens && up && switching && hold[me] == epoch -> abort_hold(epoch) }
  :: atomic { up && switching && is_adopted -> learn(epoch); printf("proxy %d: takes part in hold %d\n", me, epoch) }
  :: atomic { held[me] && listens && up && saw[me] == 0 && is_settled && is_seen_open(first(serving)) -> found[me] = serving; seen[me] = epoch; saw[me] = 1 }
#if SHARDS > 1
  :: atomic { saw[me] == 1 && servers_seen(found[me]) == 2 && up && is_settled && epoch == seen[me] && is_seen_open(last(found[me])) -> saw[me] = 2 }
  :: atomic { saw[me] == 1 && servers_seen(found[me]) == 2 && up && epoch != seen[me] -> saw[me] = 0; found[me] = 0; seen[me] = 0 }
#endif
  :: atomic { saw[me] > 0 && saw[me] == servers_seen(found[me]) -> serve(found[me]); learn(seen[me]) }
#ifdef RESUME_BLIND
  :: atomic { held[me] && listens -> serve(where[me]) }
#endif

#if RESTARTS
  :: atomic { restarts > 0 && listens -> restarts--; held[me] = true; where[me] = 0; learn(0); hold[me] = STARTING; printf("proxy %d: restarts\n", me) }
  :: atomic { hold[me] == STARTING && up -> learn(epoch); printf("proxy %d: has started in epoch %d\n", me, epoch) }
#endif
#if FORGOTTEN
  :: atomic { !held[me] && me == PROXIES && !fenced[where[me]] -> write_directly(where[me]) }
  :: atomic { !held[me] && me == PROXIES && up && where[me] != serving -> held[me] = true; learn(epoch); printf("proxy %d: follows\n", me) }
#endif
  od
}
