// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "loader/base/fd.h"
#include "loader/base/result.h"

namespace xlvs {

// There is one agent for a folder of pinned maps: it holds the folder's lock for as long as it
// lives.
class Lock {
 public:
  // Fails if another process holds it, and says which.
  static Result<Lock> take(const std::string& folder);
  // Does an agent run?
  static bool is_held(const std::string& folder);

 private:
  explicit Lock(Fd folder) : folder_(std::move(folder)) {}
  Fd folder_;
};

}  // namespace xlvs
