// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tests/vm/differential/case.h"
#include "tests/vm/differential/side.h"

// ICMP errors about a connection: what leaves the one director is, byte for byte, what leaves the
// other.
namespace xlvs::differential {

struct ErrorCase {
  // What becomes of the error.
  enum class Expected : uint8_t {
    same,      // both send it on
    nothing,   // neither does
    only_xlvs  // docs/differences-from-ipvs.md says why
  };

  std::string name;
  Setup setup;
  Client client;  // opens a connection before
  test::Bytes error;
  Expected expected = Expected::same;
};

// `port`: of the first service; each case takes one more.
std::vector<ErrorCase> error_cases(uint16_t port);

// What is wrong, if anything.
std::optional<std::string> compare_error(Side& ipvs, Side& xlvs, const ErrorCase& one);

}  // namespace xlvs::differential
