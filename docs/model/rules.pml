/* The rules that the protocol stands on, each beside the mistake that drops it. `./check` plants them one by one. */

/* R1. Fences are changed inside the server's named lock, by one who reads the authority while holding it. */
#ifdef NO_R1
#define is_free(s) true
#define take(s) skip
#define is_mine(s) true
#define give(s) skip
#else
#define is_free(s) (lock[s] == 0)
#define take(s) lock[s] = _pid
#define is_mine(s) (lock[s] == _pid)
#define give(s) lock[s] = 0
#endif

/* R1 for the rows of streams, and for triggers and events. */
#ifdef STREAMS_OUTSIDE_LOCK
#define is_row_free(s) true
#define take_row(s) skip
#define is_row_mine(s) true
#define give_row(s) skip
#else
#define is_row_free(s) is_free(s)
#define take_row(s) take(s)
#define is_row_mine(s) is_mine(s)
#define give_row(s) give(s)
#endif

/* R2. A proxy resumes by itself only where it has seen no fence, inside the lock, in the epoch that still holds. */
#if defined(NO_R2)
#define is_seen_open(s) true
#elif defined(LOOK_OUTSIDE_LOCK)
#define is_seen_open(s) (!fenced[s])
#else
#define is_seen_open(s) (is_free(s) && !fenced[s])
#endif
/* Having made the commit impossible. */
#ifdef NO_ABORT_BEFORE_RESUME
#define is_settled true
#else
#define is_settled (!switching)
#endif
/* Every server of the side. */
#ifdef ONE_SHARD_SEEN
#define servers_seen(side) 1
#else
#define servers_seen(side) (last(side) - first(side) + 1)
#endif

#ifdef ONE_SHARD_OPENED
#define opened_last(side) first(side)
#else
#define opened_last(side) last(side)
#endif

/* Likewise of the side that serves when it is shards: fenced, and looked at, is every one of them. */
#ifdef ONE_SHARD_FENCED
#define fenced_last(side) first(side)
#else
#define fenced_last(side) last(side)
#endif
/* All streams are frozen, or none. */
#ifdef ONE_SHARD_FROZEN
#define frozen_last(side) first(side)
#else
#define frozen_last(side) last(side)
#endif
/* The commit waits for the streams of all shards. */
#ifdef ONE_SHARD_CAUGHT_UP
#define awaited_last 0
#else
#define awaited_last (SHARDS - 1)
#endif

/* R3. A release names its hold, and a proxy in another hold ignores it. */
#ifdef NO_R3
#define is_released_by(e) true
#else
#define is_released_by(e) (hold[me] == e)
#endif
/* It names the side too: sessions that are not there are moved first. */
#ifdef RESUME_WITHOUT_SIDE
#define released_to(e) where[me]
#else
#define released_to(e) outcome[(e) / 2]
#endif
/* So does a move name its hold. */
#ifdef MOVE_WITHOUT_HOLD
#define is_moved_by(e) true
#else
#define is_moved_by(e) (held[me] && hold[me] == e)
#endif
/* A hold that is not newer than what the proxy has heard of is over: a pause that names it comes late. */
#if defined(LATE_PAUSE)
#define is_paused_by(e) (!held[me] || hold[me] != e)
#elif defined(ORDERS_BEFORE_START)
#define is_paused_by(e) (hold[me] < e || hold[me] == STARTING)
#else
#define is_paused_by(e) (hold[me] < e)
#endif
/* A proxy that starts reads the authority before it listens. */
#ifdef ORDERS_BEFORE_START
#define listens true
#else
#define listens (hold[me] != STARTING)
#endif
/* A proxy in a hold that is over, where another switch is under way, takes part in that one: if its coordinator is dead, nobody else may ever end it. */
#ifdef NO_ADOPTION
#define is_adopted false
#else
#define is_adopted (held[me] && hold[me] != epoch && listens)
#endif

/* R4. Up to the commit a coordinator acts only in its own hold; after it, or after the abort, only while that epoch holds. */
#ifdef STALE_FENCE
#define is_hold(e) true
#else
#define is_hold(e) (switching && epoch == (e))
#endif
#ifdef NO_R4
#define is_over(e) true
#else
#define is_over(e) (!switching && epoch == (e) + 1)
#endif

/* A restart that took the fence is noticed before the commit. */
#if defined(NO_LAST_LOOK) || defined(NO_FENCE)
#define LAST_LOOK if :: epoch == e -> restarted = false :: else fi
#else
#define LAST_LOOK if :: epoch == e -> restarted = false :: else fi; if :: fenced[first(from)] && fenced[fenced_last(from)] :: else -> goto undo fi
#endif

/* And streams do: one that a dead switch has frozen runs again. */
#ifdef NO_THAW
#define is_thawed false
#else
#define is_thawed true
#endif

/* R5. Fences follow the authority, whoever died: the side that does not serve is fenced. */
#ifdef NO_R5
#define is_followed(s) false
#else
#define is_followed(s) true
#endif
