// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "loader/config/problem.h"
#include "loader/config/resolve.h"
#include "loader/state/configuration.h"

// The configuration file: text -> document -> validated by the schema -> compiled.
namespace xlvs::config {

struct Loaded {
  std::optional<Configuration> configuration;  // only without errors
  std::vector<Problem> errors;                 // all of them, by position
  std::vector<Problem> notes;                  // what is allowed and yet worth a word, by position
};

Loaded load_text(const std::string& text, const Resolver& resolver = resolve_by_system);

// A file that cannot be read is one error without a line.
Loaded load_file(const std::string& path, const Resolver& resolver = resolve_by_system);

}  // namespace xlvs::config
