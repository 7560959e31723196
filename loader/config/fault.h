// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

#include "loader/config/document.h"

namespace xlvs::config {

// How a value differs from what the schema asks of it, in words. What is inside of the value does
// not count: that has faults of its own.
struct Fault {
  enum class Kind { value, unknown_key, missing_key };

  Kind kind;
  std::string key;  // the unknown or missing one
  std::string message;
  std::string suggestion;
  std::string meant;  // the known key that an unknown one resembles; empty if none
};

// `schema` is one node of it, references followed.
std::vector<Fault> faults_of(const Json& schema, const Json& value);

}  // namespace xlvs::config
