// What servers hand out by themselves: AUTO_INCREMENT values, and sequences of MariaDB. The side that will serve must hand out none that the other has
// handed out already, to whatever became of it: rows that came through the stream, rows that were rolled back or deleted, values that a client was told
// and has not used. One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "godwit/workflow/copy.h"

namespace godwit::workflow {

struct RaisedCounters {
  std::size_t tables = 0;
  std::size_t sequences = 0;
  std::vector<std::string> names;      // of all of these
  std::vector<std::string> missing;    // sequences that `to` does not have
  std::vector<std::string> exhausted;  // tables whose column there holds no further value
};

class Counters {
 public:
  // Opens a session with each side, and finds what there is: in the pause of a switch only values are read.
  Counters(const Definition& definition, db::Side to);
  ~Counters();

  // Raises those of `to` whose next value is not beyond what the other side has handed out, `margin` values further: called ahead of a switch with a
  // margin, it leaves nothing to do in the pause, where it is called again with 0. Raising changes metadata alone. To be repeated at will.
  // Throws Error(lock_contention) when somebody has one of the tables open for longer than a moment.
  RaisedCounters raise(std::uint64_t margin);
  // What that would raise. Changes nothing.
  RaisedCounters lacking(std::uint64_t margin);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The two in one.
RaisedCounters raise_auto_increment(const Definition& definition, db::Side to, std::uint64_t margin);

}  // namespace godwit::workflow
