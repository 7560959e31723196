// SPDX-License-Identifier: MIT
#include "loader/plane/next_hop.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace xlvs {
namespace {

constexpr size_t route_fixed = sizeof(rtmsg);
constexpr size_t neighbour_fixed = sizeof(ndmsg);

// RTA_GATEWAY, or RTA_VIA where an IPv4 route has an IPv6 gateway (RFC 5549).
std::optional<Address> parse_gateway(const netlink::View& message) {
  if (auto gateway = message.address(route_fixed, RTA_GATEWAY)) return gateway;
  const auto via = message.bytes(route_fixed, RTA_VIA);
  if (via.size() < sizeof(rtvia)) return std::nullopt;
  return netlink::address_from_wire(via.subspan(sizeof(rtvia)));
}

// RTAX_MTU among the nested RTA_METRICS; 0 without one.
unsigned parse_mtu(std::span<const std::byte> metrics) {
  while (metrics.size() >= sizeof(rtattr)) {
    rtattr head{};
    std::memcpy(&head, metrics.data(), sizeof head);
    uint32_t value = 0;
    if (head.rta_len < sizeof head || head.rta_len > metrics.size()) break;
    if (head.rta_type == RTAX_MTU && head.rta_len >= RTA_LENGTH(sizeof value)) {
      std::memcpy(&value, metrics.data() + sizeof head, sizeof value);
      return value;
    }
    metrics = metrics.subspan(std::min<size_t>(RTA_ALIGN(head.rta_len), metrics.size()));
  }
  return 0;
}

Route parse_route(const netlink::View& message, const Address& address) {
  const auto* info = message.header<rtmsg>();
  if (message.type() != RTM_NEWROUTE || info == nullptr) return {};
  if (info->rtm_type == RTN_LOCAL) return {.kind = Route::Kind::local};
  const auto ifindex = message.u32(route_fixed, RTA_OIF);
  if (info->rtm_type != RTN_UNICAST || !ifindex) return {};
  const auto gateway = parse_gateway(message);
  return {
      .kind = Route::Kind::unicast,
      .ifindex = static_cast<int>(*ifindex),
      .on_link = !gateway,
      .gateway = gateway.value_or(address),
      .source = message.address(route_fixed, RTA_PREFSRC),
      .mtu = parse_mtu(message.bytes(route_fixed, RTA_METRICS)),
  };
}

// Nothing for what is no neighbour of IPv4 or IPv6: a bridge's forwarding entries (AF_BRIDGE),
// addresses that the director answers for (NTF_PROXY).
std::optional<Hop> about_neighbour(const netlink::View& message) {
  if (message.type() != RTM_NEWNEIGH && message.type() != RTM_DELNEIGH) return std::nullopt;
  const auto* info = message.header<ndmsg>();
  if (info == nullptr || (info->ndm_flags & NTF_PROXY) != 0) return std::nullopt;
  if (info->ndm_family != AF_INET && info->ndm_family != AF_INET6) return std::nullopt;
  const auto address = message.address(neighbour_fixed, NDA_DST);
  if (!address) return std::nullopt;
  return Hop{.ifindex = info->ndm_ifindex, .address = *address};
}

Neighbour parse_neighbour(const netlink::View& message) {
  const uint32_t flags = message.u32(neighbour_fixed, NDA_FLAGS_EXT).value_or(0);
  return {
      .state = message.header<ndmsg>()->ndm_state,
      .mac = message.mac(neighbour_fixed, NDA_LLADDR),
      .managed = (flags & NTF_EXT_MANAGED) != 0,
      .protocol = message.u8(neighbour_fixed, NDA_PROTOCOL).value_or(0),
  };
}

std::optional<Mac> usable_mac(const Neighbour& neighbour) {
  return neighbour.usable() ? neighbour.mac : std::nullopt;
}

}  // namespace

std::string NextHop::text() const {
  if (state != State::resolved) return reason;
  return on_link ? "on " + interface : "via " + gateway.text() + " on " + interface;
}

Route find_route(netlink::Socket& socket, const Address& address) {
  netlink::Message get(RTM_GETROUTE, 0);
  const auto bits = static_cast<unsigned char>(address.wire().size() * 8);
  get.header(
      rtmsg{.rtm_family = static_cast<unsigned char>(address.family()), .rtm_dst_len = bits});
  get.put(RTA_DST, address);
  Route route;
  const auto found = socket.request(get, "look up the route", [&](const netlink::View& message) {
    route = parse_route(message, address);
  });
  return found ? route : Route{};
}

std::optional<Address> find_source(netlink::Socket& socket, const Hop& hop) {
  netlink::Message get(RTM_GETROUTE, 0);
  const auto bits = static_cast<unsigned char>(hop.address.wire().size() * 8);
  get.header(
      rtmsg{.rtm_family = static_cast<unsigned char>(hop.address.family()), .rtm_dst_len = bits});
  get.put(RTA_DST, hop.address);
  get.put_u32(RTA_OIF, static_cast<uint32_t>(hop.ifindex));
  std::optional<Address> source;
  const auto found = socket.request(get, "look up the route", [&](const netlink::View& message) {
    if (message.type() == RTM_NEWROUTE) source = message.address(route_fixed, RTA_PREFSRC);
  });
  return found ? source : std::nullopt;
}

bool Neighbour::usable() const {
  constexpr int valid =
      NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_PROBE | NUD_STALE | NUD_DELAY;
  return (state & valid) != 0 && mac.has_value();
}

Result<void> NeighbourTable::load(netlink::Socket& socket) {
  neighbours_.clear();
  for (const int family : {AF_INET, AF_INET6}) {
    netlink::Message dump(RTM_GETNEIGH, NLM_F_DUMP);
    dump.header(ndmsg{.ndm_family = static_cast<unsigned char>(family)});
    auto loaded = socket.request(dump, "read the neighbours",
                                 [this](const netlink::View& message) { apply(message); });
    if (!loaded) return loaded;
  }
  return {};
}

NeighbourTable::Change NeighbourTable::apply(const netlink::View& message) {
  const auto hop = about_neighbour(message);
  if (!hop) return Change::none;
  if (message.type() == RTM_DELNEIGH) {
    const auto found = neighbours_.find(*hop);
    if (found == neighbours_.end()) return Change::none;
    const bool was_usable = found->second.usable();
    neighbours_.erase(found);
    return was_usable ? Change::mac : Change::state;
  }
  Neighbour& entry = neighbours_[*hop];
  const Neighbour before = std::exchange(entry, parse_neighbour(message));
  if (usable_mac(before) != usable_mac(entry)) return Change::mac;
  return before == entry ? Change::none : Change::state;
}

const Neighbour* NeighbourTable::find(const Hop& hop) const {
  const auto found = neighbours_.find(hop);
  return found == neighbours_.end() ? nullptr : &found->second;
}

// NTF_USE resolves now and leaves what is known as it is, also where NTF_EXT_MANAGED is not known
// and therefore skipped (net/core/neighbour.c, neigh_add and __neigh_update).
Result<void> keep_neighbour(netlink::Socket& socket, const Hop& hop) {
  netlink::Message add(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE);
  add.header(ndmsg{.ndm_family = static_cast<unsigned char>(hop.address.family()),
                   .ndm_ifindex = hop.ifindex,
                   .ndm_flags = NTF_USE});
  add.put(NDA_DST, hop.address);
  add.put_u32(NDA_FLAGS_EXT, NTF_EXT_MANAGED);
  add.put_u8(NDA_PROTOCOL, netlink::our_protocol);
  return socket.request(add, "keep neighbour " + hop.address.text());
}

Result<void> release_neighbour(netlink::Socket& socket, const Hop& hop) {
  netlink::Message change(RTM_NEWNEIGH, NLM_F_REPLACE);
  change.header(ndmsg{.ndm_family = static_cast<unsigned char>(hop.address.family()),
                      .ndm_ifindex = hop.ifindex,
                      .ndm_flags = NTF_USE});
  change.put(NDA_DST, hop.address);
  auto changed = socket.request(change, "release neighbour " + hop.address.text());
  const bool gone = !changed && (changed.error().code == ENOENT || changed.error().code == ENODEV);
  return gone ? Result<void>{} : changed;
}

std::optional<std::chrono::milliseconds> heard_of(netlink::Socket& socket, const Hop& hop) {
  netlink::Message get(RTM_GETNEIGH, 0);
  get.header(ndmsg{.ndm_family = static_cast<unsigned char>(hop.address.family()),
                   .ndm_ifindex = hop.ifindex});
  get.put(NDA_DST, hop.address);
  std::optional<std::chrono::milliseconds> since;
  const auto take = [&since](const netlink::View& message) {
    const auto bytes = message.bytes(neighbour_fixed, NDA_CACHEINFO);
    nda_cacheinfo info{};
    if (message.type() != RTM_NEWNEIGH || bytes.size() != sizeof info) return;
    std::memcpy(&info, bytes.data(), sizeof info);
    constexpr uint32_t tick = 10;  // USER_HZ is 100 wherever xlvs runs
    since = std::chrono::milliseconds(uint64_t{info.ndm_confirmed} * tick);
  };
  const auto read = socket.request(get, "read neighbour " + hop.address.text(), take);
  return read ? since : std::nullopt;
}

NextHop next_hop(const Route& route, const Link* link, const Neighbour* neighbour,
                 const std::optional<Mac>& last) {
  if (route.kind == Route::Kind::none)
    return {.state = NextHop::State::no_route, .reason = "no route"};
  if (route.kind == Route::Kind::local)
    return {.state = NextHop::State::local, .reason = "the director's own address"};
  NextHop next{.ifindex = route.ifindex,
               .on_link = route.on_link,
               .gateway = route.gateway,
               .source = route.source,
               .mtu = route.mtu};
  if (next.mtu == 0 && link != nullptr) next.mtu = link->mtu;
  next.interface = link != nullptr ? link->name : "interface " + std::to_string(route.ifindex);
  if (link == nullptr || !link->up) {
    next.reason = next.interface + " is down";
  } else if (!link->ethernet) {
    next.reason = next.interface + " is not an Ethernet interface";
  } else if (neighbour != nullptr && neighbour->usable()) {
    next.state = NextHop::State::resolved;
    next.mac = *neighbour->mac;
    next.reason.clear();
  } else if (last && (neighbour == nullptr || !neighbour->failed())) {
    next.state = NextHop::State::resolved;
    next.mac = *last;
    next.reason.clear();
  } else {
    const std::string whom = route.on_link ? "" : " from gateway " + route.gateway.text();
    const std::string what = route.gateway.is_v4() ? "ARP" : "neighbour discovery";
    next.reason = "no answer to " + what + whom + " on " + next.interface;
  }
  return next;
}

}  // namespace xlvs
