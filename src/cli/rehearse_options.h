// `godwit rehearse` on the command line. Private to cli.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "godwit/rehearsal/rehearsal.h"
#include "options.h"

namespace godwit::cli {

struct RehearseArguments {
  unsigned rounds = 3;
  unsigned clients = 8;
  std::string watch = "5s";
  std::string pause_max = "1s";
  std::string client_user;
  bool no_switch = false;
  bool keep = false;
  bool clean = false;
};

void add_rehearse(CLI::App& app, RehearseArguments& arguments);
// `app`: the command as it was parsed, whose options of check, copy and replicate go on to these. The client's password comes from $GODWIT_CLIENT_PASSWORD.
rehearsal::Options rehearse_options_of(const CLI::App& app, const workflow::Definition& definition, const CommonOptions& common, const RehearseArguments& arguments);
// The folder of a workflow's rehearsal, beside the state file.
std::string rehearsal_folder(const CommonOptions& common);
// --clean needs no more than the name, where the folder is there.
void take_recorded_sides(const CommonOptions& common, CopyArguments& arguments);

}  // namespace godwit::cli
