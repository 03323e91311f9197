#include "godwit/accounts/passwords.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "godwit/util/error.h"
#include "godwit/util/text.h"

namespace godwit::accounts {
namespace {

constexpr std::size_t kFileBytesMax = std::size_t{4} << 20;
constexpr mode_t kForeignBits = S_IRWXG | S_IRWXO;

[[noreturn]] void fail(const std::string& name, std::string cause) {
  throw Error(Code::accounts_file_unusable,
              {.object = name, .cause = std::move(cause), .remedy = "{\"user\": \"password\"} or lines user:password, in a file with mode 0600"});
}

using All = std::map<std::string, auth::Secret, std::less<>>;

// One object of strings. The parser's buffer is overwritten as soon as a password is out of it.
class Reader : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit Reader(All& all) : all_(all) {}
  bool start_object(std::size_t /*elements*/) override { return depth_++ == 0; }
  bool end_object() override { return true; }
  bool key(string_t& text) override {
    key_ = text;
    return true;
  }
  bool string(string_t& text) override {
    if (depth_ != 1) return false;
    all_.insert_or_assign(key_, auth::Secret(text));
    auth::wipe(text);
    return true;
  }
  bool null() override { return false; }
  bool boolean(bool /*value*/) override { return false; }
  bool number_integer(number_integer_t /*value*/) override { return false; }
  bool number_unsigned(number_unsigned_t /*value*/) override { return false; }
  bool number_float(number_float_t /*value*/, const string_t& /*text*/) override { return false; }
  bool binary(binary_t& /*value*/) override { return false; }
  bool start_array(std::size_t /*elements*/) override { return false; }
  bool end_array() override { return false; }
  bool parse_error(std::size_t position, const std::string& /*token*/, const nlohmann::json::exception& /*error*/) override {
    error_at_ = position;
    return false;
  }
  std::size_t error_at() const { return error_at_; }

 private:
  All& all_;
  std::string key_;
  int depth_ = 0;
  std::size_t error_at_ = 0;
};

void read_json(All& all, std::string_view text, const std::string& name) {
  Reader reader(all);
  if (nlohmann::json::sax_parse(text, &reader)) return;
  fail(name, reader.error_at() != 0 ? fmt::format("no JSON at byte {}", reader.error_at()) : "not one object whose values are strings");
}

void read_lines(All& all, std::string_view text, const std::string& name) {
  for (std::size_t number = 1; !text.empty(); ++number) {
    auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.front() == '#') continue;
    const auto colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0) fail(name, fmt::format("line {} is not user:password", number));
    all.insert_or_assign(std::string(line.substr(0, colon)), auth::Secret(line.substr(colon + 1)));
  }
}

class File {
 public:
  explicit File(const std::string& path) : name_(path), descriptor_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (descriptor_ < 0) fail(name_, std::strerror(errno));
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() { close(descriptor_); }

  void require_private() const {
    struct stat facts {};
    if (fstat(descriptor_, &facts) != 0) fail(name_, std::strerror(errno));
    if (!S_ISREG(facts.st_mode)) fail(name_, "not a file");
    if ((facts.st_mode & kForeignBits) != 0) fail(name_, fmt::format("others may use it (mode {:04o}): chmod 600", facts.st_mode & 07777U));
    if (facts.st_uid != geteuid() && facts.st_uid != 0) fail(name_, "it belongs to another user");
    if (static_cast<std::size_t>(facts.st_size) > kFileBytesMax) fail(name_, "larger than 4 MiB");
  }
  std::string content() const {
    std::string text(kFileBytesMax + 1, '\0');  // at once: a string that grows would leave copies behind
    std::size_t size = 0;
    while (size < text.size()) {
      const ssize_t more = read(descriptor_, text.data() + size, text.size() - size);
      if (more < 0) fail(name_, std::strerror(errno));
      if (more == 0) break;
      size += static_cast<std::size_t>(more);
    }
    if (size > kFileBytesMax) fail(name_, "larger than 4 MiB");
    text.resize(size);
    return text;
  }

 private:
  std::string name_;
  int descriptor_;
};

}  // namespace

Passwords Passwords::parse(std::string_view text, const std::string& name) {
  Passwords passwords;
  const bool is_json = trim(text).starts_with('{');
  is_json ? read_json(passwords.all_, text, name) : read_lines(passwords.all_, text, name);
  return passwords;
}

Passwords Passwords::load(const std::string& path) {
  const File file(path);
  file.require_private();
  struct Wiped {
    std::string text;
    ~Wiped() { auth::wipe(text); }
  } content{file.content()};
  return parse(content.text, path);
}

const auth::Secret* Passwords::find(std::string_view user, std::string_view host) const {
  auto it = all_.find(fmt::format("{}@{}", user, host));
  if (it == all_.end()) it = all_.find(user);
  return it == all_.end() ? nullptr : &it->second;
}

}  // namespace godwit::accounts
