#include "godwit/cutover/steps.h"

namespace godwit::cutover {

const std::vector<StepInfo>& switch_steps() {
  static const std::vector<StepInfo> steps{
#define GODWIT_STEP_INFO(name, what) {StepId::name, #name, what, Fp::switch_##name##_before, Fp::switch_##name##_after, StepId::name > StepId::commit},
      GODWIT_SWITCH_STEPS(GODWIT_STEP_INFO)
#undef GODWIT_STEP_INFO
  };
  return steps;
}

}  // namespace godwit::cutover
