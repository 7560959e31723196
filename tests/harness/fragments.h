// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "tests/harness/packet.h"

namespace xlvs::test {

// Where the IP header is, behind the link header and what tags there are; bytes.
size_t network_offset(const Bytes& frame);

// How a frame is cut into fragments.
struct Cut {
  size_t size = 1480;     // bytes of each part; a multiple of 8
  uint32_t id = 0x1234;   // IPv6; IPv4 has its own
  size_t extensions = 0;  // bytes of IPv6's extension headers that each fragment has
  uint16_t reserved = 0;  // IPv6: the two reserved bits, and eight more, as a sender may set them
};

// The fragments of a whole frame, in order (RFC 791, 3.2; RFC 8200, 4.5).
std::vector<Bytes> split(const Bytes& frame, const Cut& cut = {});
inline std::vector<Bytes> split(const Packet& packet, const Cut& cut = {}) {
  return split(packet.build(), cut);
}

// The frame that was cut, out of its fragments in any order, with the link header of the first;
// nothing where one is missing, overlaps another or has other addresses.
std::optional<Bytes> join(const std::vector<Bytes>& fragments);

}  // namespace xlvs::test
