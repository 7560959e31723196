// SPDX-License-Identifier: MIT
#pragma once

#include <string>

namespace xlvs {

// `xlvs run`: the agent until a signal ends it. Answers the exit status: 0, 1 where it could not
// start or not clean up, 2 where the configuration is not fit.
int run(const std::string& file, const std::string& pins, bool verbose);

}  // namespace xlvs
