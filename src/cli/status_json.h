// What was learned of a workflow, as `status --json` has it: docs/formats.md. Pure. Private to cli.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "answers.h"

namespace godwit::cli {

void add_answers(nlohmann::json& document, const Learned& learned);
// By the servers alone.
std::string phase_of(const Survey& survey);

}  // namespace godwit::cli
