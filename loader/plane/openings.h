// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>

#include "bpf/types.h"
#include "loader/plane/index.h"
#include "loader/state/configuration.h"

namespace xlvs {

// By which endpoints packets reach each service, by its id, as index and tables have it.
using Openings = std::map<uint32_t, std::set<ServiceKey>>;

Openings read_openings(const Index& index, std::span<const slot> tables);

// What all endpoints of several ports of a vip have in common.
inline ServiceKey vip_of(const ServiceKey& endpoint) {
  return {{endpoint.vip.address, 0}, endpoint.protocol};
}

// Where a vip's ranges of ports lie: `offset` has the service of all other ports, `ranges` slots
// follow.
struct PortRegion {
  uint32_t offset = 0;
  uint32_t ranges = 0;

  static PortRegion of(uint64_t word) {
    return {static_cast<uint32_t>(word), static_cast<uint32_t>(word >> 32U)};
  }
  [[nodiscard]] uint64_t word() const { return uint64_t{ranges} << 32U | offset; }
  [[nodiscard]] uint32_t size() const { return ranges + 1; }
};

}  // namespace xlvs
