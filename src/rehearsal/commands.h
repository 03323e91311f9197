// godwit's own commands, as steps of a rehearsal: each a child with the rehearsal's state file and passwords, its document and its log in the rehearsal's folder. Private to rehearsal.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "child.h"
#include "godwit/db/dsn.h"
#include "godwit/util/error.h"
#include "godwit/util/stop.h"

namespace godwit::rehearsal {

struct Answer {
  int status = 0;
  nlohmann::json document;
};

// A command that goes on until it is asked to end.
class Running {
 public:
  Running(std::string name, std::string folder, std::unique_ptr<Child> child) : name_(std::move(name)), folder_(std::move(folder)), child_(std::move(child)) {}
  // Throws what it ended with.
  void require_running();
  std::string log() const;
  void end();

 private:
  const std::string name_;
  const std::string folder_;
  std::unique_ptr<Child> child_;
};

class Commands {
 public:
  // `between` is called while a step is awaited.
  Commands(std::string folder, const db::Dsn& source, const db::Dsn& target, std::string admin_password, std::function<void()> between);

  // Throws the step's own error where it ended with one; a verdict (of check, of vdiff) is for the caller. A stop ends the step, and throws Error(interrupted).
  Answer run(const std::string& name, const std::vector<std::string>& words, const Stop& stop) const;
  std::unique_ptr<Running> start(const std::string& name, const std::vector<std::string>& words) const;
  std::string state_path() const { return folder_ + "/state.db"; }
  const std::string& folder() const { return folder_; }

 private:
  std::unique_ptr<Child> begin(const std::string& name, std::vector<std::string> words) const;

  const std::string folder_;
  const std::map<std::string, std::string> environment_;
  const std::function<void()> between_;
};

// The error of a document that has one.
std::optional<Error> error_of(const nlohmann::json& document);

}  // namespace godwit::rehearsal
