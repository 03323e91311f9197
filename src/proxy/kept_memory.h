// Of the memory that sessions have given back, the C library keeps much by itself: after a peak of many of them, or of large packets, the process would stay
// as large as it was then. Here it is made to give that back to the system. The first worker's thread.
#pragma once

#include <cstddef>

namespace godwit::proxy {

// Once, before there are threads.
void limit_kept_memory();

class KeptMemory {
 public:
  // Each second, how many clients there are: gives back what is free once half of those of the last peak have gone.
  void look(std::size_t connections);

 private:
  std::size_t peak_ = 0;
};

}  // namespace godwit::proxy
