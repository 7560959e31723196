// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

#include "tests/vm/differential/case.h"

namespace xlvs::differential {

// What IPVS is known to choose (Linux 6.1 and 6.12): a case for each row, one connection for each
// letter; dh has a case for each of them.
struct Sequence {
  std::string name;
  std::vector<Case> cases;
  std::string chosen;  // server by server, ! is refused
};

// `port`: of the first service; each case takes one more.
std::vector<Sequence> sequences(uint16_t port);

}  // namespace xlvs::differential
