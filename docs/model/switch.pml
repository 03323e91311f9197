/* The switch protocol as godwit has it. README.md says what is modelled, what is not, and how to read a trace; ./check verifies it in the sizes
 * named there, and that each planted mistake is found.
 *
 * What happens inside a server's named lock is two instants here: the lock is had and the authority read; the deed is done and the lock given
 * back. Nothing is lost by that: one who holds a lock and has not read yet, or has nothing left to do, only delays others.
 */
/* The steps of a switch, by the names that the code has for them, in their order: `steps` compares. */
mtype = { check, prepare, begin, gate, move, fence, final_position, catch_up, freeze, prove, objects, return_position, commit, unfence, release,
          old_side };

#include "state.pml"
#include "rules.pml"
#include "writers.pml"
#include "replicate.pml"
#include "coordinator.pml"
#include "proxy.pml"

/* What breaks without anybody's fault. */
proctype nature() {
  byte s;
end:
  do
  :: atomic {
       restarts > 0 -> restarts--;
       select(s : 0 .. SERVERS - 1);
       printf("server %d: restarts, fence %d is lost\n", s, fenced[s]);
       lost[s] = lost[s] || fenced[s]; restarted = restarted || (fenced[s] && switching && serving == side_of(s)); fenced[s] = false; lock[s] = 0; s = 0
     }
#if !PROXIES
  :: atomic { up && switching -> abort_hold(epoch) }  /* somebody's lease is over */
#endif
  :: atomic { outages > 0 && up -> outages--; up = false; printf("authority: cannot be reached\n") }
  :: atomic { !up -> up = true; printf("authority: can be reached again\n") }
  od
}

init {
  byte i;
  atomic {
    fenced[1] = true; fenced[SERVERS - 1] = true;
#ifdef DETAIL
    armed[0] = true;
    SET_ALL(echo, true);
    frozen[stream_of(TARGET, 0)] = true; frozen[stream_of(TARGET, SHARDS - 1)] = true;
    run stream(SOURCE, 0); run stream(TARGET, 0);
#if SHARDS > 1
    run stream(SOURCE, 1); run stream(TARGET, 1);
#endif
#endif
#ifndef LIVENESS
    run writers();
#endif
#if RESTARTS || OUTAGES || !PROXIES
    run nature();
#endif
#if PROXIES + FORGOTTEN
    run proxy(0);
#endif
#if PROXIES + FORGOTTEN > 1
    run proxy(1);
#endif
    for (i : 0 .. SERVERS - 1) { run reconciler(i) }
    i = 0
  }
end:
  do
  :: atomic { runs < SWITCHES && alive < 2 -> runs++; alive++; run coordinator() }
  :: runs == SWITCHES -> break
  od
}

#ifdef LIVENESS
active proctype clock() {    /* time goes on, so that to wait for ever is to go round for ever */
end:
  do
  :: epoch < 255
  od
}

/* When nobody starts another switch, everything comes to rest: clients are served, the other side is fenced, its stream runs. */
#ifdef DETAIL
#define streams_run (!frozen[stream_of(serving, 0)] && !frozen[stream_of(serving, SHARDS - 1)])
#else
#define streams_run true
#endif
#define at_rest (!held[0] && !held[ALL - 1] && none_fenced(serving) && fenced[first(1 - serving)] && fenced[last(1 - serving)] && streams_run)
ltl comes_to_rest { <>[] at_rest }
#endif
