// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "tests/vm/differential/case.h"

namespace xlvs::differential {

// The case of that number of a seed: the same on every machine and kernel. `port`: of its service;
// no two cases may share one, since IPVS remembers connections and removed servers.
Case generate(uint64_t seed, uint32_t number, uint16_t port);

}  // namespace xlvs::differential
