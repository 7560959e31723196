// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "loader/base/address.h"
#include "loader/base/result.h"
#include "loader/plane/links.h"
#include "loader/plane/netlink.h"

namespace xlvs {

// Where a packet for an address goes from this machine.
struct NextHop {
  enum class State : uint8_t {
    resolved,    // `mac` answers for it
    unresolved,  // there is a way, but no MAC (yet)
    no_route,
    local,  // the address is the director's own
  };
  State state = State::unresolved;
  int ifindex = 0;
  std::string interface;
  Mac mac;
  bool on_link = false;
  Address gateway;                     // whom ARP/ND ask for: the address itself if on_link
  std::optional<Address> source{};     // the director's own, that its packets there come from
  unsigned mtu = 0;                    // of the way as far as the director knows it, bytes
  std::string reason = "not watched";  // why it is not resolved; empty if it is

  bool operator==(const NextHop&) const = default;
  // For logs: "via 10.0.0.1 on eth0", "on eth0", "no answer to ARP on eth0", "no route".
  [[nodiscard]] std::string text() const;
};

// What the routing tables say about an address.
struct Route {
  enum class Kind : uint8_t { none, local, unicast };
  Kind kind = Kind::none;
  int ifindex = 0;
  bool on_link = false;
  Address gateway;  // the address itself if on_link
  std::optional<Address> source{};
  unsigned mtu = 0;  // of the route; 0: its link's

  bool operator==(const Route&) const = default;
};

// As `ip route get`. A refusal (no route, unreachable, prohibited, blackhole) is Kind::none.
Route find_route(netlink::Socket& socket, const Address& address);

// Whom to ask for a MAC, and where.
struct Hop {
  int ifindex = 0;
  Address address;

  auto operator<=>(const Hop&) const = default;
};

// The director's own address that it asks with; nothing where it has none of that family there.
std::optional<Address> find_source(netlink::Socket& socket, const Hop& hop);

// The kernel's neighbour entry.
struct Neighbour {
  uint16_t state = 0;  // NUD_*
  std::optional<Mac> mac;
  bool managed = false;  // NTF_EXT_MANAGED
  uint8_t protocol = 0;  // who made it

  // The MAC may be used: a stale one too, as the kernel does.
  [[nodiscard]] bool usable() const;
  [[nodiscard]] bool failed() const { return (state & NUD_FAILED) != 0; }
  // Set by hand, or needs no resolution: nothing of ours to do.
  [[nodiscard]] bool fixed() const { return (state & (NUD_PERMANENT | NUD_NOARP)) != 0; }
  [[nodiscard]] bool ours() const { return managed && protocol == netlink::our_protocol; }
  bool operator==(const Neighbour&) const = default;
};

// The neighbours of all interfaces, IPv4 and IPv6, fed with RTM_NEWNEIGH and RTM_DELNEIGH.
class NeighbourTable {
 public:
  enum class Change : uint8_t {
    none,
    state,  // its MAC is as usable as before
    mac,    // it came, went or moved
  };
  // Reads them all; the table is what the kernel holds now.
  Result<void> load(netlink::Socket& socket);
  // Other messages are ignored.
  Change apply(const netlink::View& message);

  // Null if there is none. Valid until the next load() or apply().
  [[nodiscard]] const Neighbour* find(const Hop& hop) const;
  [[nodiscard]] const std::map<Hop, Neighbour>& all() const { return neighbours_; }

 private:
  std::map<Hop, Neighbour> neighbours_;
};

// Makes the kernel resolve the neighbour now and keep it resolved (NTF_EXT_MANAGED, since 5.16; an
// older kernel only resolves it now).
Result<void> keep_neighbour(netlink::Socket& socket, const Hop& hop);
// Ends that; the entry stays and ages like any other.
Result<void> release_neighbour(netlink::Socket& socket, const Hop& hop);
// How long ago the neighbour was last known to be where it is, by an answer or by TCP; in steps of
// 10 ms, rounded down. Nothing where there is no entry.
std::optional<std::chrono::milliseconds> heard_of(netlink::Socket& socket, const Hop& hop);

// The next hop out of what is known of its parts. Null: there is none. `last` is the MAC that is
// used while the kernel asks again.
NextHop next_hop(const Route& route, const Link* link, const Neighbour* neighbour,
                 const std::optional<Mac>& last);

}  // namespace xlvs
