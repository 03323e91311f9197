/* A run of `switch`, or `reverse`. It may be killed between any two instants, and inside every lock; it may give up waiting at any time; and the
 * next run may start while it lives.
 */
#define step(name) printf("switch %d, hold %d: %e\n", _pid, e, name)

#define KILLED :: atomic { printf("switch %d, hold %d: is killed\n", _pid, e); goto gone }

/* To every proxy, except where it has heard of newer things and does not listen. */
#define SAY(WHAT)                                                                                                                                     \
  i = 0;                                                                                                                                              \
  do                                                                                                                                                  \
  :: i < PROXIES && (hold[i] == STARTING || hold[i] <= e) -> WHAT[i] = WHAT[i] | bit_of(e); i++                                                       \
  :: i < PROXIES && hold[i] != STARTING && hold[i] > e -> i++                                                                                         \
  :: i == PROXIES -> i = 0; break                                                                                                                     \
  od

#define AWAIT_ALL(CONDITION, THEN)                                                                                                                    \
  do                                                                                                                                                  \
  :: atomic { i < PROXIES && (CONDITION) -> i++; if :: i == PROXIES -> i = 0; THEN; break :: else fi }                                                \
  :: atomic { PROXIES == 0 -> THEN; break }                                                                                                           \
  :: atomic { i = 0; goto undo }                                                                                                                      \
  KILLED                                                                                                                                              \
  od

#define is_in_hold (held[i] && hold[i] == e)

/* A deed on each server of a side, inside its lock, as long as what was read there allows it. */
#define ON_EACH_SERVER(SIDE, LAST, FREE, TAKE, ALLOWED, LOOK, MINE, DEED, GIVE, OTHERWISE)                                                            \
  i = first(SIDE);                                                                                                                                    \
  do                                                                                                                                                  \
  :: atomic { up && FREE(i) -> if :: ALLOWED(e) -> TAKE(i); LOOK :: else -> i = 0; goto OTHERWISE fi };                                               \
     if                                                                                                                                               \
     :: atomic { MINE(i) -> DEED; GIVE(i); i++; if :: i > LAST(SIDE) -> i = 0; break :: else fi }                                                     \
     :: atomic { !MINE(i) -> i = 0; goto OTHERWISE }  /* the server has restarted, and the session with its lock is gone */                           \
     :: atomic { printf("switch %d, hold %d: is killed inside the lock of server %d\n", _pid, e, i); if :: lock[i] == _pid -> lock[i] = 0 :: else fi; goto gone }\
     fi                                                                                                                                               \
  KILLED                                                                                                                                              \
  od
#define ON_EACH_FENCE(SIDE, LAST, ALLOWED, DEED, OTHERWISE) ON_EACH_SERVER(SIDE, LAST, is_free, take, ALLOWED, skip, is_mine, DEED, give, OTHERWISE)
#define ON_EACH_ROW(SIDE, ALLOWED, LOOK, DEED, OTHERWISE) ON_EACH_SERVER(SIDE, last, is_row_free, take_row, ALLOWED, LOOK, is_row_mine, DEED, give_row, OTHERWISE)

#define SET_FENCE(value) fenced[i] = value; lost[i] = false; printf("server %d: fenced %d\n", i, value)
#define ARM armed[i] = true; SET_LEADING_FROM(echo, i, true)
#define DISARM if :: armed[i] -> armed[i] = false; SET_LEADING_FROM(echo, i, true) :: else fi
#define FREEZE SET_LEADING_TO(frozen, i, true); SET_LEADING_TO(claim, i, 0)
/* The end of the binlog of `to` is read, and then written into the row on `from`. Only where no stream is reading on from that row. */
#define POSITION_READ if :: epoch == e -> SET_LEADING_TO(echo, i, false) :: else fi
#define POSITION_WRITTEN assert(serving == from); SET_LEADING_TO(frozen, i, false); SET_LEADING_TO(claim, i, 0)

inline read_final_position() {
  if
  :: epoch == e ->
#ifdef DETAIL
     behind[stream_of(from, 0)] = behind[stream_of(from, 0)] || late[stream_of(from, 0)];
     behind[stream_of(from, SHARDS - 1)] = behind[stream_of(from, SHARDS - 1)] || late[stream_of(from, SHARDS - 1)];
#endif
     late[stream_of(from, 0)] = false; late[stream_of(from, SHARDS - 1)] = false
  :: else  /* it reads one, but not of the hold that the assertions are about */
  fi
}

inline begin_hold() {
  switching = true; epoch++; e = epoch; from = serving; goal[e / 2] = 1 - from; printf("authority: hold %d, side %d serves\n", e, from);
#ifdef DETAIL
  if
  :: late[stream_of(from, 0)] = true; late[stream_of(from, SHARDS - 1)] = true
  :: skip
  fi
#endif
}

/* I8, I9. */
inline commit_hold() {
  assert((!late[stream_of(from, 0)] && !late[stream_of(from, SHARDS - 1)]) || restarted);
#ifdef DETAIL
  assert(!behind[stream_of(from, 0)] && !behind[stream_of(from, SHARDS - 1)]);
  assert(!echo[stream_of(1 - from, 0)] && !echo[stream_of(1 - from, SHARDS - 1)]);
#endif
  serving = 1 - from; to = serving; printf("authority: hold %d is committed, side %d serves\n", e, to);
  end_hold()
}

proctype coordinator() {
  byte e, i;
  bit from, to, again;

  /* What another run has left is undone, or finished, first; there may be nothing left where no switch is under way. */
#ifdef LIFT_BEFORE_ABORT
  if
  :: switching -> fenced[first(serving)] = false; fenced[last(serving)] = false
  :: else
  fi;
#endif
  atomic {
    up -> step(check); step(prepare);
    if
    :: switching -> e = epoch; abort_hold(e); to = serving; again = true; goto settle
    :: !switching && epoch > 0 -> e = epoch - 1; to = serving; again = true; goto settle
    :: !switching
    fi
  };

start:
  if
  :: atomic {
       up -> step(begin);
       if
       :: !switching -> begin_hold()
       :: else -> goto gone
       fi;
       step(gate);
#ifdef LIVENESS              /* what is lost must be lost for good: elsewhere, not to arrive yet is as bad */
       if
       :: printf("switch %d, hold %d: no PAUSE arrives\n", _pid, e); goto await_gate
       :: skip
       fi;
#endif
       SAY(pauses)
     }
  KILLED
  fi;
await_gate:
  AWAIT_ALL(is_in_hold, step(move); SAY(moves));
#ifdef EARLY_FINAL_POSITION
  atomic { read_final_position() };
#endif
#ifndef NO_FENCE
  step(fence);
  ON_EACH_FENCE(from, fenced_last, is_hold, SET_FENCE(true), undo);
#endif
  if
  :: atomic {
       step(final_position);
#ifndef EARLY_FINAL_POSITION
       read_final_position();
#endif
       step(catch_up)
     }
  KILLED
  fi;
#ifdef DETAIL
#ifndef NO_CATCH_UP
  if
  :: !behind[stream_of(from, 0)] && !behind[stream_of(from, awaited_last)]
  :: goto undo
  KILLED
  fi;
#endif
#ifdef EARLY_RETURN_POSITION
  ON_EACH_ROW(from, is_hold, POSITION_READ, POSITION_WRITTEN, undo);
#endif
#endif
  step(freeze);
#if defined(DETAIL) && !defined(NO_FREEZE)
  ON_EACH_SERVER(1 - from, frozen_last, is_row_free, take_row, is_hold, skip, is_row_mine, FREEZE, give_row, undo);
#endif
  step(prove); step(objects);
#ifdef DETAIL
  ON_EACH_ROW(1 - from, is_hold, skip, ARM, undo);
#endif
  step(return_position);
#if defined(DETAIL) && !defined(EARLY_RETURN_POSITION)
  ON_EACH_ROW(from, is_hold, POSITION_READ, POSITION_WRITTEN, undo);
#endif
  step(commit);
  /* The sessions have moved; then the fence is looked at once more, because a restart may have taken it. */
  AWAIT_ALL(is_in_hold && where[i] == 1 - from, LAST_LOOK);
  if
  :: atomic {
       up ->
       if
       :: is_hold(e) -> commit_hold()
       :: else -> goto undo
       fi;
       if
       :: goto settle
       :: printf("switch %d, hold %d: the answer is lost\n", _pid, e); goto lost_answer
       fi
     }
  KILLED
  fi;

lost_answer:
#ifdef LOST_ANSWER_IS_FAILURE
  atomic { to = from; goto settle };
#endif
undo:  /* from here on no commit is possible; or there has been one, whose answer was lost */
  if
  :: atomic {
       up ->
       if
       :: switching && epoch == e -> abort_hold(e); to = serving
       :: !switching && epoch == e + 1 -> to = serving
       :: else -> goto gone
       fi
     }
  KILLED
  fi;

settle:  /* undoing and finishing are the same: what the authority says is made so */
#ifdef RELEASE_BEFORE_UNFENCE
  atomic { outcome[e / 2] = to; SAY(resumes) };
#endif
  step(unfence);
  ON_EACH_FENCE(to, opened_last, is_over, SET_FENCE(false), gone);
  if
  :: atomic { step(release); outcome[e / 2] = to; SAY(resumes) }
  KILLED
  fi;
  step(old_side);
#ifdef DETAIL
#ifdef OLD_SIDE_BLIND
  atomic { armed[first(1 - to)] = false; armed[last(1 - to)] = false };
#else
  ON_EACH_ROW(1 - to, is_over, skip, DISARM, gone);
#endif
#endif
  if
  :: atomic { again -> again = false; goto start }
  :: !again
  fi;

gone:
  atomic { e = 0; i = 0; from = 0; to = 0; alive-- }
}
