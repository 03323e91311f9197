// Bytes that came and are not used up yet: one contiguous piece, filled behind, consumed in front. It grows on demand and is given back when idle. One thread.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>

namespace godwit::proxy {

class Buffer {
 public:
  bool is_empty() const { return begin_ == end_; }
  std::size_t size() const { return end_ - begin_; }
  std::size_t capacity() const { return capacity_; }
  std::span<char> bytes() { return {data_.get() + begin_, size()}; }
  std::string_view view() const { return {data_.get() + begin_, size()}; }
  void consume(std::size_t bytes) { begin_ += bytes; }  // nothing moves: a read may be under way into room()

  std::span<char> room() { return {data_.get() + end_, capacity_ - end_}; }
  void commit(std::size_t bytes) { end_ += bytes; }
  // At least so much room behind what is there.
  void make_room(std::size_t bytes) {
    if (is_empty()) begin_ = end_ = 0;
    if (capacity_ - end_ >= bytes) return;
    if (capacity_ - size() >= bytes) return place(data_.get());
    std::size_t larger = capacity_ == 0 ? bytes : 2 * capacity_;
    while (larger - size() < bytes) larger *= 2;
    resize(larger);
  }
  void append(std::string_view bytes) {
    if (bytes.empty()) return;
    make_room(bytes.size());
    std::memcpy(data_.get() + end_, bytes.data(), bytes.size());
    end_ += bytes.size();
  }
  void shrink(std::size_t capacity) {
    if (capacity_ > capacity && size() <= capacity) resize(capacity);
  }

 private:
  void place(char* to) {
    const std::size_t held = size();
    if (held > 0 && to != nullptr) std::memmove(to, data_.get() + begin_, held);
    begin_ = 0;
    end_ = held;
  }
  void resize(std::size_t capacity) {
    auto data = capacity == 0 ? nullptr : std::make_unique_for_overwrite<char[]>(capacity);
    place(data.get());
    data_ = std::move(data);
    capacity_ = capacity;
  }

  std::unique_ptr<char[]> data_;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace godwit::proxy
