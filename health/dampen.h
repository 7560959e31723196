// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string_view>

namespace xlvs::health {

enum class Health : uint8_t { unknown, up, down };

std::string_view text(Health health);

// What rise and fall need to remember of a backend's past.
struct Tally {
  Health health = Health::unknown;
  unsigned successes = 0;  // in a row
  unsigned failures = 0;   // in a row

  bool operator==(const Tally&) const = default;
};

// The tally after one more outcome. `rise` successes in a row bring a backend up, `fall` failures
// in a row take it down; 0 is read as 1. From unknown the first outcome decides at once.
Tally dampen(const Tally& before, bool success, unsigned rise, unsigned fall);

}  // namespace xlvs::health
