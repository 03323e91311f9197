// One rehearsal from its check to its cleaning: the data part on the source's rows, then the switch part on a schema of its own. Private to rehearsal.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "client.h"
#include "commands.h"
#include "godwit/rehearsal/rehearsal.h"
#include "names.h"
#include "throwaway.h"

namespace godwit::rehearsal {

class Run {
 public:
  Run(const Options& options, const Stop& stop);

  Report rehearse();
  // Everything that this or an earlier run has left. To be repeated at will; what cannot be dropped is in the report's `left`.
  std::vector<std::string> clean(bool is_begun);
  // The same for --clean: throws Error(rehearsal_uncleaned) where something is left.
  std::vector<std::string> clean_all();

 private:
  using Words = std::vector<std::string>;

  void go_through();
  void phase(const std::string& name, const std::function<std::string()>& deed);
  void leave_out(const std::string& name, const std::string& why);
  void settle_what_was_left();
  void write_folder();
  void keep_alive();
  // Both DSNs as options, with another schema; the passwords are in the environment.
  Words endpoints(const std::string& source_schema, const std::string& target_schema) const;
  // Those of the data part, and where the rows go; of shards, each. `is_real`: those of the migration itself.
  Words data_endpoints(bool is_real) const;

  // --- data_part.cpp
  std::string check();
  std::string require_free_names();
  std::string copy_data();
  std::string catch_up();
  std::string watch();
  std::string compare();
  void require_streams();
  void note_pending(const nlohmann::json& copied);
  // A figure of the stream's progress; nothing while it is not known.
  std::optional<nlohmann::json> progress_of(const std::string& workflow);
  void await_caught_up(const std::string& workflow, std::chrono::milliseconds time_max);

  // --- switch_part.cpp
  std::string prepare_switch();
  std::string stage_switch();
  std::string start_proxy_and_client();
  std::string move(const std::string& command, unsigned round);
  std::string settle_books();
  void start_proxy();
  void start_client();
  void require_client();
  db::Dsn client_dsn() const;

  // --- cleaning.cpp
  void clean_switch_part(std::vector<std::string>& dropped, bool is_begun);
  void clean_data_part(std::vector<std::string>& dropped, bool is_begun);
  void bring_back();
  void remove_folder() const;
  void cancel(const std::string& step, const std::string& workflow, const Words& sides, std::vector<std::string>& dropped);
  void attempt(const std::string& what, const std::function<void()>& deed);

  const Options& options_;
  const Stop& stop_;
  const std::string data_workflow_;
  const std::string switch_workflow_;
  const std::string switch_schema_;
  Throwaway throwaway_;
  Commands commands_;
  Report report_;
  std::set<std::string> source_schemas_;
  DataNames names_;
  std::vector<std::string> tables_;  // "schema.table" of the source
  Account account_;
  std::unique_ptr<Running> data_stream_;
  std::unique_ptr<Running> switch_stream_;
  std::unique_ptr<Running> proxy_;
  std::unique_ptr<Client> client_;
  std::uint16_t proxy_port_ = 0;
  bool is_created_ = false;  // something may be there that is to be taken back
  std::chrono::steady_clock::time_point alive_{};
};

}  // namespace godwit::rehearsal
