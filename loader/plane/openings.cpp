// SPDX-License-Identifier: MIT
#include "loader/plane/openings.h"

#include "loader/plane/wire.h"

namespace xlvs {

namespace {

void read_ports(const endpoint_key& vip, std::span<const slot> slots, Openings& openings) {
  for (const slot& one : slots) {
    if (one.ports.service == 0) continue;
    endpoint_key key = vip;
    key.port = one.ports.first;
    openings[one.ports.service].insert(wire::service_key(key, one.ports.last));
  }
}

}  // namespace

Openings read_openings(const Index& index, std::span<const slot> tables) {
  Openings openings;
  index.for_each([&](const endpoint_key& key, uint64_t word) {
    if (key.kind == ENDPOINT_SERVICE) {
      openings[static_cast<uint32_t>(word)].insert(wire::service_key(key));
    } else if (key.kind == ENDPOINT_PORTS) {
      const auto region = PortRegion::of(word);
      if (region.offset + uint64_t{region.size()} > tables.size()) return;
      read_ports(key, tables.subspan(region.offset, region.size()), openings);
    }
  });
  return openings;
}

}  // namespace xlvs
