// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace xlvs::config {

// ASCII letters in lower case.
std::string lower(std::string text);

// "a, b or c".
std::string alternatives(const std::vector<std::string>& words);

// The candidate that `word` is most likely a slip of, if it is near enough: one edit in three
// letters, whatever the case.
std::optional<std::string> nearest(const std::string& word,
                                   const std::vector<std::string>& candidates);

}  // namespace xlvs::config
