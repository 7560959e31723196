// SPDX-License-Identifier: MIT
#pragma once

#include <vector>

#include "loader/state/state.h"

namespace xlvs {

// The changes that turn `applied` into `effective`, in an order that leaves every service whole
// after each of them: a backend is complete before a table names it and in no table before it is
// worsened or removed, and a service has its table before packets reach it. `effective` is of whole
// services; `applied` may be what failing changes left.
std::vector<Change> diff(const State& applied, const State& effective);

}  // namespace xlvs
