// SPDX-License-Identifier: MIT
#pragma once

#include <compare>
#include <cstddef>
#include <string>

namespace xlvs::config {

// Something to say about a configuration file, at its place.
struct Problem {
  size_t line = 0;    // from 1; 0: about the file as a whole
  size_t column = 0;  // from 1, in characters
  std::string key;    // "services[0].backends[1].weight"; empty at the top
  std::string message;
  std::string suggestion;  // what would be right; empty if there is nothing to suggest

  auto operator<=>(const Problem&) const = default;

  // "x.json:3:14: services[0].port: expected an integer, found the string "80"; write 80".
  [[nodiscard]] std::string text(const std::string& file) const;
};

}  // namespace xlvs::config
