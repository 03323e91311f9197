#include "godwit/auth/secret.h"

#include <openssl/crypto.h>
#include <sys/mman.h>

#include <array>
#include <atomic>
#include <cstring>
#include <mutex>
#include <new>
#include <utility>

#include "godwit/util/log.h"

namespace godwit::auth {
namespace {

constexpr std::size_t kChunkBytes = std::size_t{64} << 10;
constexpr std::array<std::size_t, 5> kSlotBytes{32, 64, 128, 512, 4096};

std::atomic<bool> is_locked{true};

char* map_locked(std::size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  madvise(memory, bytes, MADV_DONTDUMP);
  if (mlock(memory, bytes) != 0 && is_locked.exchange(false))
    log::warning("memory for passwords cannot be locked, so they may reach the swap: raise the limit (ulimit -l, LimitMEMLOCK=)");
  return static_cast<char*>(memory);
}

// Slots of a few sizes, cut from locked chunks that are kept for ever. A free slot holds the address of the next one.
class Arena {
 public:
  char* take(std::size_t bytes) {
    const std::size_t i = slot_class(bytes);
    if (i == kSlotBytes.size()) return map_locked(bytes);
    std::lock_guard lock(mutex_);
    if (free_[i] == nullptr) cut(i);
    char* slot = free_[i];
    std::memcpy(&free_[i], slot, sizeof(char*));
    return slot;
  }
  void give_back(char* memory, std::size_t bytes) {
    const std::size_t i = slot_class(bytes);
    OPENSSL_cleanse(memory, bytes);
    if (i == kSlotBytes.size()) {
      munmap(memory, bytes);
      return;
    }
    std::lock_guard lock(mutex_);
    std::memcpy(memory, &free_[i], sizeof(char*));
    free_[i] = memory;
  }

 private:
  static std::size_t slot_class(std::size_t bytes) {
    std::size_t i = 0;
    while (i < kSlotBytes.size() && kSlotBytes[i] < bytes) ++i;
    return i;
  }
  void cut(std::size_t i) {
    char* chunk = map_locked(kChunkBytes);
    for (std::size_t at = 0; at + kSlotBytes[i] <= kChunkBytes; at += kSlotBytes[i]) {
      std::memcpy(chunk + at, &free_[i], sizeof(char*));
      free_[i] = chunk + at;
    }
  }

  std::mutex mutex_;
  std::array<char*, kSlotBytes.size()> free_{};
};

Arena& arena() {
  static auto* const all = new Arena;  // never destroyed: secrets in static objects may outlive it otherwise
  return *all;
}

}  // namespace

Secret::Secret(std::string_view bytes) : size_(bytes.size()) {
  if (bytes.empty()) return;
  data_ = arena().take(size_);
  std::memcpy(data_, bytes.data(), size_);
}

Secret::Secret(Secret&& other) noexcept : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Secret& Secret::operator=(Secret&& other) noexcept {
  if (this == &other) return *this;
  wipe();
  data_ = std::exchange(other.data_, nullptr);
  size_ = std::exchange(other.size_, 0);
  return *this;
}

Secret::~Secret() { wipe(); }

void Secret::wipe() noexcept {
  if (data_ != nullptr) arena().give_back(std::exchange(data_, nullptr), std::exchange(size_, 0));
}

void wipe(std::string& text) noexcept {
  OPENSSL_cleanse(text.data(), text.size());
  text.clear();
}

bool secrets_are_locked() { return is_locked; }

}  // namespace godwit::auth
