// SPDX-License-Identifier: MIT
#pragma once

#include "loader/base/result.h"
#include "loader/state/state.h"

namespace xlvs {

// The kernel side as the agent sees it.
class Plane {
 public:
  Plane() = default;
  Plane(const Plane&) = delete;
  Plane& operator=(const Plane&) = delete;
  Plane(Plane&&) = delete;
  Plane& operator=(Plane&&) = delete;
  virtual ~Plane() = default;

  // What it holds now.
  [[nodiscard]] virtual const State& applied() const = 0;
  // One step; on an error nothing that packets see has changed.
  virtual Result<void> apply(const Change& change) = 0;
};

}  // namespace xlvs
