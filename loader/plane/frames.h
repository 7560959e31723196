// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "loader/base/address.h"
#include "loader/base/fd.h"
#include "loader/base/result.h"

// Frames of ARP and neighbour discovery, as a host would send them.
namespace xlvs {

using Frame = std::vector<uint8_t>;

// An ARP announcement (RFC 5227, 3) has the form of a request; some equipment listens only to the
// form of a reply (RFC 5944, 4.6), so both are sent.
enum class ArpForm : uint8_t { request, reply };
Frame arp_announcement(ArpForm form, const Mac& mac, const Address& vip);

// Unsolicited, overriding, to all nodes (RFC 4861, 7.2.6). `router`: whether this machine forwards
// IPv6, since the flag says so of the sender.
Frame neighbour_advertisement(const Mac& mac, const Address& vip, bool router);

// Who asks for a neighbour.
struct Asker {
  Mac mac;
  Address address;  // of the family that is asked for
  bool operator==(const Asker&) const = default;
};

// Is `target` still at `known` (RFC 1122, 2.3.2.1; RFC 4861, 7.3.3)? Nothing known: where is it?
Frame arp_request(const Asker& asker, const Address& target, const std::optional<Mac>& known);
Frame neighbour_solicitation(const Asker& asker, const Address& target,
                             const std::optional<Mac>& known);

// A socket that sends frames and receives nothing.
Result<Fd> open_frame_socket();
Result<void> send_frame(const Fd& socket, int ifindex, const Frame& frame);
// By a socket of its own, which costs milliseconds to close.
Result<void> send_frame(int ifindex, const Frame& frame);

}  // namespace xlvs
