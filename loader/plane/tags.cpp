// SPDX-License-Identifier: MIT
#include "loader/plane/tags.h"

#include <algorithm>
#include <optional>

#include "loader/plane/ethtool.h"

namespace xlvs {

namespace {

// VLANs in VLANs: more than anybody has, and an end where a driver lies.
constexpr int most_tags = 8;

// A driver that does not say has no such offload.
bool hides_tags(const std::string& interface) {
  ethtool_value flags{.cmd = ETHTOOL_GFLAGS, .data = 0};
  return ethtool::ask(ethtool::open_socket(), interface, &flags) &&
         (flags.data & ETH_FLAG_RXVLAN) != 0;
}

Result<std::vector<Network>> read_networks(netlink::Socket& socket) {
  std::vector<Network> networks;
  netlink::Message dump(RTM_GETADDR, NLM_F_DUMP);
  dump.header(ifaddrmsg{.ifa_family = AF_UNSPEC});
  const auto read = socket.request(dump, "read the addresses", [&](const netlink::View& message) {
    const auto* info = message.header<ifaddrmsg>();
    const auto address = message.address(sizeof(ifaddrmsg), IFA_ADDRESS);
    if (message.type() != RTM_NEWADDR || info == nullptr || !address) return;
    networks.push_back({static_cast<int>(info->ifa_index), *address, info->ifa_prefixlen});
  });
  if (!read) return read.error();
  return networks;
}

Error refusal(const std::string& interface, const std::string& whose) {
  return Error{"attach to " + interface +
               " in native mode: its rx-vlan-offload hides the VLAN tags " + whose +
               "; switch it off: ethtool -K " + interface + " rxvlan off"};
}

// Those that hide tags.
Result<std::vector<Link>> hiding(netlink::Socket& socket, LinkTable& links,
                                 const std::vector<std::string>& interfaces) {
  if (auto loaded = links.load(socket); !loaded) return loaded.error();
  std::vector<Link> found;
  for (const auto& interface : interfaces) {
    const Link* link = links.find(interface);
    if (link != nullptr && hides_tags(interface)) found.push_back(*link);
  }
  return found;
}

}  // namespace

bool Network::covers(const Address& other) const {
  if (address.family() != other.family()) return false;
  const auto mine = address.wire();
  const auto its = other.wire();
  const unsigned whole = prefix / 8;
  const unsigned rest = prefix % 8;
  if (mine.substr(0, whole) != its.substr(0, whole)) return false;
  if (rest == 0) return true;
  return (static_cast<uint8_t>(mine[whole] ^ its[whole]) >> (8 - rest)) == 0;
}

bool is_tagged_over(const LinkTable& links, const Link& link, int under) {
  const Link* here = &link;
  for (int tags = 0; tags < most_tags && here != nullptr && here->vlan_on != 0; ++tags) {
    if (here->vlan_on == under) return true;
    here = links.find(here->vlan_on);
  }
  return false;
}

const Link* tagged_way(const LinkTable& links, int under, const Address& address,
                       const Route& route, const std::vector<Network>& networks) {
  const auto tagged = [&](int ifindex) -> const Link* {
    const Link* link = links.find(ifindex);
    return link != nullptr && is_tagged_over(links, *link, under) ? link : nullptr;
  };
  if (route.kind == Route::Kind::unicast) {
    if (const Link* link = tagged(route.ifindex)) return link;
  }
  for (const auto& network : networks) {
    if (!network.covers(address)) continue;
    if (const Link* link = tagged(network.ifindex)) return link;
  }
  return nullptr;
}

Result<void> check_tags(const std::vector<std::string>& interfaces,
                        const std::set<Address>& addresses) {
  auto socket = netlink::Socket::open();
  if (!socket) return socket.error();
  LinkTable links;
  const auto suspects = hiding(*socket, links, interfaces);
  if (!suspects) return suspects.error();
  if (suspects->empty()) return {};
  const auto networks = read_networks(*socket);
  if (!networks) return networks.error();
  for (const Address& address : addresses) {
    const Route route = find_route(*socket, address);
    for (const Link& under : *suspects) {
      const Link* way = tagged_way(links, under.ifindex, address, route, *networks);
      if (way != nullptr) return refusal(under.name, "of " + address.text() + " on " + way->name);
    }
  }
  return {};
}

Result<void> check_tags(const std::vector<std::string>& interfaces) {
  auto socket = netlink::Socket::open();
  if (!socket) return socket.error();
  LinkTable links;
  const auto suspects = hiding(*socket, links, interfaces);
  if (!suspects) return suspects.error();
  for (const Link& under : *suspects) {
    for (const auto& [ifindex, link] : links.all()) {
      if (is_tagged_over(links, link, under.ifindex)) return refusal(under.name, "of " + link.name);
    }
  }
  return {};
}

}  // namespace xlvs
