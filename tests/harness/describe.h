// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace xlvs::test {

// A frame in one line, much as tcpdump writes it, for people who read a failed test:
//   "00:..:07 > 00:..:01, vlan 10, 198.51.100.7.40000 > 192.0.2.1.80: ttl 64, TCP [S] seq 1000, 5"
std::string describe(std::span<const uint8_t> frame);

// Both frames described and in hex, the lines that differ with marks under the bytes that do; empty
// where the frames are the same.
std::string difference(std::span<const uint8_t> expected, std::span<const uint8_t> actual);

}  // namespace xlvs::test
