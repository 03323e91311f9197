// `copy --accounts`: accounts and the roles they need, created where the target has none; one that is there is never changed.
// One thread.
#pragma once

#include <string>
#include <vector>

#include "godwit/catalog/accounts.h"
#include "godwit/state/sidecar.h"
#include "godwit/workflow/copy.h"
#include "preparation.h"
#include "sidecar_ledger.h"

namespace godwit::workflow {

// Roles before the accounts that need them. Nothing is changed.
std::vector<catalog::AccountPlan> plan_accounts(db::Connection& source, db::Connection& target, const Preparation& prepared,
                                                const std::vector<std::string>& wanted);
std::vector<CarriedAccount> show_accounts(db::Connection& target, const std::vector<catalog::AccountPlan>& plans);
// What cannot be run is in the report, with the statement; it does not end the copy. Throws what may be tried again.
std::vector<CarriedAccount> carry_accounts(db::Connection& target, SidecarLedger& ledger, const std::vector<catalog::AccountPlan>& plans);
void drop_accounts(db::Connection& target, const std::vector<state::AccountRow>& created, CancelReport& report);

}  // namespace godwit::workflow
