#include "godwit/wire/reframing.h"

#include <algorithm>

#include "godwit/wire/bytes.h"

namespace godwit::wire {

Reframing::Reframing(std::string_view head, std::size_t replaced, std::uint32_t length, std::string& out) : carry_(head) {
  begin_frame(length - replaced, length < kFrameMax, out);
}

void Reframing::put_header(std::uint64_t length, std::string& out) {
  put(out, length, 3);
  out.push_back(static_cast<char>(sequence_++));
  out_left_ = length;
}

void Reframing::begin_frame(std::uint64_t length, bool is_last, std::string& out) {
  in_left_ = length;
  is_last_ = is_last;
  const std::uint64_t all = carry_.size() + length;
  has_rest_ = is_last && all >= kFrameMax;
  rest_ = has_rest_ ? all - kFrameMax : 0;
  put_header(is_last && !has_rest_ ? all : kFrameMax, out);
  const std::string carried = std::move(carry_);
  carry_.clear();
  put_bytes(carried, out);
  if (has_ended()) put_bytes({}, out);
}

void Reframing::put_bytes(std::string_view bytes, std::string& out) {
  const auto fits = std::min<std::uint64_t>(out_left_, bytes.size());
  out += bytes.substr(0, fits);
  out_left_ -= fits;
  bytes.remove_prefix(fits);
  if (out_left_ == 0 && has_rest_) {
    has_rest_ = false;
    put_header(rest_, out);
    return put_bytes(bytes, out);
  }
  carry_ += bytes;
}

bool Reframing::feed(std::string_view& data, std::string& out) {
  while (!has_ended()) {
    if (in_left_ == 0) {
      if (data.size() < kHeaderBytes) return false;
      const std::uint32_t length = frame_length(data.data());
      data.remove_prefix(kHeaderBytes);
      begin_frame(length, length < kFrameMax, out);
      continue;
    }
    if (data.empty()) return false;
    const auto taken = std::min<std::uint64_t>(in_left_, data.size());
    in_left_ -= taken;
    put_bytes(data.substr(0, taken), out);
    data.remove_prefix(taken);
  }
  return true;
}

}  // namespace godwit::wire
