// SPDX-License-Identifier: MIT
#pragma once

#include <regex>

namespace xlvs {

// The dialect of expect_regex: ECMAScript without back-references, by the executor that does not
// backtrack, since bodies come from servers that may be hostile.
inline constexpr auto expression_flags =
    std::regex::ECMAScript | std::regex::nosubs | std::regex_constants::__polynomial;

}  // namespace xlvs
