// SPDX-License-Identifier: MIT
#include "loader/plane/port_ranges.h"

#include <map>

namespace xlvs {

namespace {

using Ranges = std::map<uint16_t, port_range>;  // by their first ports, apart

// Takes the ports out of whatever has them; the middle of a range leaves its two ends.
void cut(Ranges& ranges, uint16_t first, uint16_t last) {
  for (auto next = ranges.begin(); next != ranges.end() && next->second.first <= last;) {
    const port_range under = next->second;
    if (under.last < first) {
      ++next;
      continue;
    }
    next = ranges.erase(next);
    if (under.first < first) {
      ranges[under.first] = {under.first, static_cast<uint16_t>(first - 1), under.service};
    }
    if (under.last > last) {
      const auto behind = static_cast<uint16_t>(last + 1);
      ranges[behind] = {behind, under.last, under.service};
    }
  }
}

}  // namespace

std::vector<slot> paint(const std::vector<OpenPorts>& opened) {
  std::vector<slot> slots(1);
  Ranges ranges;
  for (const auto& [endpoint, service] : opened) {
    const uint16_t first = endpoint.vip.port;
    if (first == 0) {
      slots.front().ports.service = service;
      continue;
    }
    cut(ranges, first, endpoint.last_port);
    ranges[first] = {first, endpoint.last_port, service};
  }
  for (const auto& [first, range] : ranges) {
    slot one{};
    one.ports = range;
    slots.push_back(one);
  }
  return slots;
}

}  // namespace xlvs
