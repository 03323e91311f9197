// A command of this same binary as a process of its own, which ends with this one: asked to when this one is gone, whatever ended it. One thread: the system ends a child
// when the thread that began it is gone. Private to rehearsal.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace godwit::rehearsal {

class Child {
 public:
  struct Start {
    std::vector<std::string> words;  // behind the binary's name
    std::map<std::string, std::string> environment;  // besides this process's
    std::string out;  // files, begun anew
    std::string err;
  };
  explicit Child(const Start& start);
  ~Child();  // asks it to end, and ends it when it does not
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  void ask_to_end() const;
  // Its exit status, or 128 and the signal, once it has ended.
  std::optional<int> status();
  int end(std::chrono::milliseconds patience);

 private:
  pid_t pid_ = -1;
  std::optional<int> status_;
};

}  // namespace godwit::rehearsal
