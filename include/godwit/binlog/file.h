// Binlog files, one after the other, through the same decoder. One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "godwit/binlog/decoder.h"

namespace godwit::binlog {

class FileReader {
 public:
  explicit FileReader(std::vector<std::string> paths, const DecoderLimits& limits = {});
  FileReader(FileReader&&) noexcept;
  FileReader& operator=(FileReader&&) noexcept;
  ~FileReader();

  // The next event, or nothing after the last file's last; valid until the next call. Throws Error: binlog_file_unreadable (no such
  // file, not a binlog, encrypted), event_corrupt (it ends inside an event, too), and what the decoder throws.
  const Event* next();
  // Of the event that next() gave: where it begins. Events of a payload have the payload's.
  const std::string& path() const;
  std::uint64_t offset() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace godwit::binlog
