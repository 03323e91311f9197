/* Sizes, and everything that is remembered somewhere. What is marked "ghost" is remembered only here, for the assertions. */
#ifndef PROXIES
#define PROXIES 1    /* that a switch knows of; 0: their leases end all the same */
#endif
#ifndef FORGOTTEN
#define FORGOTTEN 0  /* 1: and one that no switch knows of */
#endif
#ifndef SHARDS
#define SHARDS 1     /* or 2 */
#endif
#ifndef SWITCHES
#define SWITCHES 2   /* runs of `switch` or `reverse`, up to 3; each may be killed anywhere, or overtaken by the next */
#endif
#ifndef RESTARTS
#define RESTARTS 0   /* of a server, which loses its fence and its locks, or of a proxy, which loses all that it knew */
#endif
#ifndef OUTAGES
#define OUTAGES 0    /* of the authority */
#endif

#define SOURCE 0
#define TARGET 1

/* Server 0 is the source, 1 to SHARDS are the target. */
#define SERVERS (1 + SHARDS)
#define side_of(s) ((s) > 0)
#define first(side) (side)
#define last(side) ((side) * SHARDS)
#define none_fenced(side) (!fenced[first(side)] && !fenced[last(side)])

/* A stream is named by the side that it leads away from, and its shard. Its row is on the server that it leads to. */
#define STREAMS (2 * SHARDS)
#define stream_of(side, shard) ((side) * SHARDS + (shard))
#define row_server(side, shard) ((side) == SOURCE -> (shard) + 1 : 0)

/* The authority */
bit serving = SOURCE;
bool switching = false;
byte epoch = 0;              /* begin, commit and abort raise it by one: odd while a switch is under way, and then the number of the hold */
bool up = true;              /* it can be reached */
byte outages = OUTAGES;

/* The servers */
bool fenced[SERVERS];
byte lock[SERVERS];          /* the named lock: 0, or the process whose session holds it */
bool lost[SERVERS];          /* ghost: a restart took the fence, and nobody has made the fence follow since */
bool restarted;              /* ghost: so for the serving side, in this hold, after the coordinator last looked at its fence */
byte restarts = RESTARTS;

/* What the serving side has accepted and the other one has not got: before the final position was read, and after it. Of account in a hold only. */
bool behind[STREAMS];
bool late[STREAMS];

#ifdef DETAIL                /* of streams, triggers and events */
bool frozen[STREAMS];        /* the state of the row: no transaction of that stream can commit */
byte claim[STREAMS];         /* `replicate` has the row's epoch: 0 no, or not any more; 1 yes; 2 and it runs */
bool echo[STREAMS];          /* ghost: behind its position is something not to be carried: it came from the other side, or is godwit's. In a hold only */
bool armed[SERVERS];         /* the application's triggers and events are there */
#endif

/* The proxies */
#if PROXIES + FORGOTTEN == 0
#define ALL 1
#else
#define ALL (PROXIES + FORGOTTEN)
#endif
#define STARTING 255
bool held[ALL];
byte hold[ALL];              /* the latest hold, or epoch, that it has heard of */
bit where[ALL];              /* the side that its sessions are on */
byte saw[ALL];               /* that many servers of the side `found` were seen unfenced, inside their locks, in the epoch `seen` */
bit found[ALL];
byte seen[ALL];

/* What has been said to them, one bit for each hold: it arrives at any later time, any number of times, or never. */
byte pauses[ALL];
byte moves[ALL];
byte resumes[ALL];
bit goal[SWITCHES];          /* where that hold leads when it commits */
bit outcome[SWITCHES];       /* where it has led */
#define bit_of(e) (1 << ((e) / 2))
#define below(e) (bit_of(e) - 1)

byte runs = 0;               /* of `switch`: begun */
byte alive = 0;              /* and not ended */

/* Of the streams that lead away from a server, and of those whose row it has. */
#define SET_LEADING_FROM(WHAT, s, value)                                                                                                       \
  if                                                                                                                                           \
  :: s == 0 -> WHAT[stream_of(SOURCE, 0)] = value; WHAT[stream_of(SOURCE, SHARDS - 1)] = value                                                 \
  :: s == 1 -> WHAT[stream_of(TARGET, 0)] = value                                                                                              \
  :: s == 2 -> WHAT[stream_of(TARGET, SHARDS - 1)] = value                                                                                     \
  fi
#define SET_LEADING_TO(WHAT, s, value)                                                                                                         \
  if                                                                                                                                           \
  :: s == 0 -> WHAT[stream_of(TARGET, 0)] = value; WHAT[stream_of(TARGET, SHARDS - 1)] = value                                                 \
  :: s == 1 -> WHAT[stream_of(SOURCE, 0)] = value                                                                                              \
  :: s == 2 -> WHAT[stream_of(SOURCE, SHARDS - 1)] = value                                                                                     \
  fi
#define SET_ALL(WHAT, value) WHAT[0] = value; WHAT[SHARDS - 1] = value; WHAT[SHARDS] = value; WHAT[STREAMS - 1] = value

/* Whatever came between two switches is of no account: a switch begins with something to carry, or without. */
inline end_hold() {
  switching = false; epoch++; restarted = false; SET_ALL(late, false);
#ifdef DETAIL
  SET_ALL(behind, false); SET_ALL(echo, true)
#endif
}

inline abort_hold(number) {
  printf("authority: hold %d is aborted\n", number); end_hold()
}
