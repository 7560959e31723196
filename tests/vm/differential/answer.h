// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/harness/packet.h"

namespace xlvs::differential {

// What a director made of one frame.
struct Answer {
  enum class Kind : uint8_t { none, served, unreachable, reset, other };

  Kind kind = Kind::none;
  uint8_t server = 0;  // by whom it is served
  test::Bytes frame;   // that came back

  // "2" and so on for a server, "!" for ICMP port unreachable, "R" for a reset, "-" for nothing.
  [[nodiscard]] std::string text() const;
};

Answer answer_of(const test::Bytes& frame);

// Open connections of a server, as a director counts them.
struct Count {
  uint8_t server = 0;
  uint32_t active = 0;
  uint32_t inactive = 0;

  bool operator==(const Count&) const = default;
};

std::string text(const std::vector<Count>& counts);
bool any_inactive(const std::vector<Count>& counts);

}  // namespace xlvs::differential
