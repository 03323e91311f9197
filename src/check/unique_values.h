// Private to check.
#pragma once

#include "context.h"

namespace godwit::check {

Findings unique_values(const Context& context);

}  // namespace godwit::check
