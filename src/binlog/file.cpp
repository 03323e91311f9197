#include "godwit/binlog/file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "bytes.h"
#include "godwit/util/error.h"

namespace godwit::binlog {
namespace {

constexpr std::string_view kMagic(
    "\xfe"
    "bin",
    4);
constexpr std::string_view kEncryptedMagic(
    "\xfd"
    "bin",
    4);
constexpr std::size_t kBufferBytes = std::size_t{1} << 20;

[[noreturn]] void fail_unreadable(const std::string& path, std::string cause, std::string remedy) {
  throw Error(Code::binlog_file_unreadable,
              {.object = path, .cause = std::move(cause), .remedy = std::move(remedy)});
}

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

}  // namespace

struct FileReader::Impl {
  std::vector<std::string> paths;
  Decoder decoder;
  DecoderLimits limits;
  std::size_t path_at = 0;  // of the file that is open, or to be opened
  std::unique_ptr<std::FILE, CloseFile> file;
  std::string path;
  std::uint64_t next_offset = 0;
  std::uint64_t offset = 0;
  std::string event;

  void open() {
    path = paths[path_at];
    file.reset(std::fopen(path.c_str(), "rb"));
    if (!file)
      fail_unreadable(path, std::strerror(errno), "name a binlog file that this account may read");
    std::setvbuf(file.get(), nullptr, _IOFBF, kBufferBytes);
    std::string magic(kMagic.size(), '\0');
    magic.resize(read(magic.data(), magic.size()));
    if (magic == kEncryptedMagic) {
      fail_unreadable(path,
                      "it is encrypted (binlog_encryption)",
                      "read it from the server: godwit inspect binlog mysql://…");
    }
    if (magic != kMagic)
      fail_unreadable(
          path, "it does not begin as a binlog does", "name a binlog file, not its index");
    next_offset = kMagic.size();
    decoder.reset();
  }

  std::size_t read(char* out, std::size_t size) {
    const std::size_t count = std::fread(out, 1, size, file.get());
    if (count < size && std::ferror(file.get()) != 0)
      fail_unreadable(path, std::strerror(errno), "name a binlog file; if it is one: is the disk sound?");
    return count;
  }

  [[noreturn]] void fail_truncated() const {
    fail_corrupt(fmt::format("{} ends inside the event at {}", path, next_offset));
  }

  // False at the file's end.
  bool read_event() {
    event.resize(Header::kBytes);
    const std::size_t count = read(event.data(), event.size());
    if (count == 0) return false;
    if (count < event.size()) fail_truncated();
    const std::size_t size = decode_header(event).size;
    if (size > limits.event_bytes_max)
      fail_corrupt(fmt::format("{}: the event at {} is larger than the limit", path, next_offset));
    // Piece by piece: memory follows what is there, not what a damaged header says.
    while (event.size() < size) {
      const std::size_t begin = event.size();
      const std::size_t step = std::min(size - begin, kBufferBytes);
      event.resize(begin + step);
      if (read(event.data() + begin, step) < step) fail_truncated();
    }
    offset = next_offset;
    next_offset += size;
    return true;
  }

  const Event* next() {
    while (true) {
      if (const Event* decoded = next_decoded()) return refuse_encrypted(decoded);
      if (path_at == paths.size()) return nullptr;
      if (!file) open();
      if (read_event()) {
        decoder.feed(event);
        continue;
      }
      file.reset();
      ++path_at;
    }
  }

  const Event* next_decoded() {
    try {
      return decoder.next();
    } catch (const Error& error) {
      throw error.in(fmt::format("{} at {}", path, offset));
    }
  }

  const Event* refuse_encrypted(const Event* decoded) const {
    if (decoded->as<StartEncryption>() == nullptr) return decoded;
    fail_unreadable(path,
                    "it is encrypted (encrypt_binlog)",
                    "read it from the server: godwit inspect binlog mysql://…");
  }
};

FileReader::FileReader(std::vector<std::string> paths, const DecoderLimits& limits)
    : impl_(new Impl{.paths = std::move(paths), .decoder = Decoder(limits), .limits = limits}) {}
FileReader::FileReader(FileReader&&) noexcept = default;
FileReader& FileReader::operator=(FileReader&&) noexcept = default;
FileReader::~FileReader() = default;

const Event* FileReader::next() { return impl_->next(); }
const std::string& FileReader::path() const { return impl_->path; }
std::uint64_t FileReader::offset() const { return impl_->offset; }

}  // namespace godwit::binlog
