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
  // One step. On an error packets see nothing wrong: a backend that was not put is left out of
  // tables, and a table that has no room is the old one without those that serve no longer.
  virtual Result<void> apply(const Change& change) = 0;
};

}  // namespace xlvs
