// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// What drivers count as lost of the frames that XDP has sent: their rings were full, or nobody was
// there to take them. By then the data plane has counted its verdict.
namespace xlvs {

struct DriverCounter {
  std::string interface;
  std::string name;  // the driver's own, as `ethtool -S` has it; or "tx_dropped"
  uint64_t frames = 0;
};

// Is a driver's counter of that name one of losses by XDP? Not of XDP_DROP, which is a verdict.
bool counts_losses(std::string_view name);

// Of each interface tx_dropped (where drivers without names of their own count), and the driver's
// counters of losses. What an interface does not tell is left out.
std::vector<DriverCounter> read_driver_counters(const std::vector<std::string>& interfaces);

}  // namespace xlvs
