// What this binary is: for bug reports, and for those who keep several. Private to cli.
#pragma once

namespace godwit::cli {

void print_version(bool is_json);

}  // namespace godwit::cli
