// SPDX-License-Identifier: MIT
#pragma once

#include <set>
#include <string>
#include <vector>

#include "loader/base/address.h"
#include "loader/base/result.h"
#include "loader/plane/links.h"
#include "loader/plane/next_hop.h"

// VLAN tags that a driver takes off a frame (rx-vlan-offload) before native XDP sees it: what
// belongs to the VLAN then looks untagged and is sent on untagged.
namespace xlvs {

// An address of the director's with the length of its network's prefix, in bits of its family.
struct Network {
  int ifindex = 0;
  Address address;
  unsigned prefix = 0;

  [[nodiscard]] bool covers(const Address& other) const;
};

// Does the interface lie on the other by one VLAN interface or several?
bool is_tagged_over(const LinkTable& links, const Link& link, int under);

// The VLAN interface over `under` whose network the address is in, or that its route leads to;
// null if there is none.
const Link* tagged_way(const LinkTable& links, int under, const Address& address,
                       const Route& route, const std::vector<Network>& networks);

// For native mode: fails, naming the command that helps, where an interface hides the tags of one
// of these addresses. An interface that is not there is left to the attach.
Result<void> check_tags(const std::vector<std::string>& interfaces,
                        const std::set<Address>& addresses);
// The same where nobody knows the addresses: each VLAN may be needed.
Result<void> check_tags(const std::vector<std::string>& interfaces);

}  // namespace xlvs
