#include "version.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "build_info.h"
#include "report.h"

namespace godwit::cli {

void print_version(bool is_json) {
  if (is_json) return print_json("version", {{"version", kVersion}, {"build", kBuild}, {"compiler", kCompiler}, {"flavour", kFlavour}, {"sanitizers", kSanitizers}});
  fmt::print("godwit {}\nbuild     {}\ncompiler  {}\nflavour   {}{}{}\n", kVersion, kBuild, kCompiler, kFlavour, *kSanitizers == '\0' ? "" : ", sanitizers ", kSanitizers);
}

}  // namespace godwit::cli
