// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

#include "loader/state/configuration.h"

namespace xlvs {

// What an operator has changed, a line for each, for the log: "service web: backend 10.0.0.1:80,
// weight 1 -> 3".
std::vector<std::string> differences(const Configuration& before, const Configuration& after);

}  // namespace xlvs
