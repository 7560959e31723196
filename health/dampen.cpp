// SPDX-License-Identifier: MIT
#include "health/dampen.h"

#include <algorithm>
#include <limits>

namespace xlvs::health {

namespace {
unsigned one_more(unsigned count) {
  return count == std::numeric_limits<unsigned>::max() ? count : count + 1;
}
}  // namespace

std::string_view text(Health health) {
  switch (health) {
    case Health::unknown:
      return "unknown";
    case Health::up:
      return "up";
    case Health::down:
      return "down";
  }
  return "?";
}

Tally dampen(const Tally& before, bool success, unsigned rise, unsigned fall) {
  Tally after{before.health, success ? one_more(before.successes) : 0,
              success ? 0 : one_more(before.failures)};
  const bool first = before.health == Health::unknown;
  if (success && (first || after.successes >= std::max(rise, 1U))) after.health = Health::up;
  if (!success && (first || after.failures >= std::max(fall, 1U))) after.health = Health::down;
  return after;
}

}  // namespace xlvs::health
