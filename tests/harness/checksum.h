// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "loader/base/address.h"

// Checksums and lengths of whole frames, computed from scratch (RFC 1071) and sharing nothing with
// the data plane, so that the one can judge the other.
namespace xlvs::test {

// The ones' complement sum of 16-bit words, not complemented; an odd last byte counts as if a zero
// followed. Add `start` to go on from another sum.
uint16_t ones_sum(std::span<const uint8_t> bytes, uint16_t start = 0);

// The sum of the pseudo header (RFC 793, 3.1; RFC 8200, 8.1) for addresses of one family.
uint16_t pseudo_sum(const Address& source, const Address& destination, uint8_t protocol,
                    uint32_t length);

// SCTP's checksum (RFC 9260, appendix A) as its four bytes are read in network order.
uint32_t crc32c(std::span<const uint8_t> bytes);

// What a frame's lengths and checksums say, as far as they can be followed: through IP in IP, GRE
// and GUE (UDP to port 6080) to the packet inside, which the rest is about.
struct Findings {
  std::optional<std::string> problem{};  // the first that is wrong, in words
  bool lengths_good = true;              // every header lies within what holds it
  bool ip_checksum_good = true;
  // Complement of the sum over the transport's header, payload and pseudo header; of SCTP, what its
  // checksum is off by: 0 where it is right. Nothing where there is no transport, no checksum (UDP)
  // or a fragment.
  std::optional<uint32_t> residue{};
  // Complement of the sum over the IPv4 header that an ICMP error quotes, if all of it is there.
  std::optional<uint16_t> quoted_residue{};
  uint8_t transport = 0;  // protocol number of what the last header is followed by
  bool is_ip = false;
  bool tunnel_good = true;  // the checksum over what a tunnel holds, if there is one
};

Findings inspect(std::span<const uint8_t> frame);

// What is wrong with the lengths or checksums of a frame; nothing where all is well.
std::optional<std::string> verify(std::span<const uint8_t> frame);

}  // namespace xlvs::test
