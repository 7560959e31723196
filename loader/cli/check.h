// SPDX-License-Identifier: MIT
#pragma once

#include <string>

namespace xlvs::cli {

// `xlvs check FILE`: says every error on stderr, or on stdout that there is none, with notes.
// Returns the exit status: 0, or 2 with errors.
int check(const std::string& path);

}  // namespace xlvs::cli
