/* Application writes. What the serving side has accepted while a switch is under way must have reached the other one before the commit (I9). */
inline accepted(s) {
  if
  :: switching && serving == side_of(s) -> SET_LEADING_FROM(late, s, true)
  :: else
  fi
}

#ifdef DETAIL
#define has_triggers(s) armed[s]
#else
#define has_triggers(s) true
#endif

/* I7. A writer that knows nothing of proxies. A fence is an error to it, and nothing has happened. */
inline write_directly(s) {
  atomic {
    !fenced[s] -> assert(serving == side_of(s) || lost[s]);
    assert(has_triggers(s) || lost[s]);
    accepted(s)
  }
}

/* I9. A client of a proxy meets no fence, and is on the serving side even where a restart has lost the other one's fence. */
inline write_through_proxy(s) {
  atomic {
    assert(!fenced[s]);
    assert(serving == side_of(s));
    assert(has_triggers(s));
    accepted(s)
  }
}

proctype writers() {
end:
  do
  :: write_directly(0)
  :: write_directly(1)
#if SHARDS > 1
  :: write_directly(2)
#endif
  od
}
