#include "kept_memory.h"

#include <malloc.h>

#include <algorithm>

namespace godwit::proxy {
namespace {

constexpr int kMappedBytesMin = 512 * 1024;  // a buffer of this size is the system's again when it is freed; those of steady traffic are smaller
constexpr int kFreeBytesMax = 1024 * 1024;   // at the end of an arena
constexpr std::size_t kPeakMin = 8;

}  // namespace

// Left alone, the library raises both limits to what was freed last, up to 32 and 64 MiB: a few packets of 16 MiB, and that much is kept for good.
void limit_kept_memory() {
  ::mallopt(M_MMAP_THRESHOLD, kMappedBytesMin);
  ::mallopt(M_TRIM_THRESHOLD, kFreeBytesMax);
}

void KeptMemory::look(std::size_t connections) {
  peak_ = std::max(peak_, connections);
  if (peak_ < kPeakMin || 2 * connections > peak_) return;
  peak_ = connections;
  ::malloc_trim(0);
}

}  // namespace godwit::proxy
