// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>

#include "loader/config/node.h"
#include "loader/state/configuration.h"

namespace xlvs::config {

// From `least` to `most`, in multiples of `step`.
struct DurationRange {
  std::chrono::milliseconds least;
  std::chrono::milliseconds most;
  std::chrono::milliseconds step{1};
};

// "500ms", "1s", "2m", "1h"; `otherwise` where the node is absent or wrong.
std::chrono::milliseconds compile_duration(const Node& node, const DurationRange& range,
                                           std::chrono::milliseconds otherwise, Report& report);

// The check that `node` describes: `above` with what the node says differently.
Check compile_check(const Node& node, const Check& above, Report& report);

}  // namespace xlvs::config
