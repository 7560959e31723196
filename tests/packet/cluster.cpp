// SPDX-License-Identifier: MIT
#include "tests/packet/cluster.h"

#include <algorithm>

namespace xlvs::test {

Address client_of(Family family) { return family == Family::v4 ? client : client6; }
Address vip_of(Family family) { return family == Family::v4 ? vip : vip6; }
Address second_vip_of(Family family) {
  return family == Family::v4 ? "192.0.2.2"_ip : "2001:db8::2"_ip;
}

Address backend_of(Family family, uint8_t number) {
  const std::string prefix = family == Family::v4 ? "203.0.113." : "2001:db8:b::";
  return *Address::parse(prefix + std::to_string(number));
}

Address director_of(Family family) { return backend_of(family, 254); }

std::string TunnelKind::text() const {
  constexpr std::array names = {"ipip", "gre", "gue"};
  return std::string(names.at(type)) + (checksum ? " with checksum" : "") +
         (outer == Family::v4 ? " over v4" : " over v6");
}

uint16_t TunnelKind::port() const {
  const auto found = std::ranges::find_if(all_tunnels, [this](const TunnelKind& one) {
    return one.type == type && one.outer == outer && one.checksum == checksum;
  });
  return static_cast<uint16_t>(tun_port + (found - all_tunnels.begin()));
}

Cluster::Cluster(const Sizes& sizes) : director(sizes) {
  for (const Family family : families) {
    for (const uint8_t protocol : {tcp, udp, sctp}) add(family, protocol);
  }
}

void Cluster::add(Family family, uint8_t protocol) {
  struct Port {
    uint16_t port = 0;
    uint8_t number = 0;
    uint16_t backend_port = 0;
    forwarding forward = FORWARDING_DR;
    uint16_t interface = 0;  // 0: the neighbour is not known
    backend_state state = BACKEND_UP;
  };
  constexpr std::array ports = {
      Port{dr_port, dr_backend, dr_port, FORWARDING_DR, 1},
      Port{nat_port, nat_backend, nat_backend_port, FORWARDING_NAT, 1},
      Port{local_port, 3, local_port, FORWARDING_LOCAL, 0},
      Port{dr_far_port, dr_far_backend, dr_far_port, FORWARDING_DR, 2},
      Port{nat_far_port, nat_far_backend, nat_far_backend_port, FORWARDING_NAT, 2},
      Port{dr_unresolved_port, 6, dr_unresolved_port, FORWARDING_DR, 0},
      Port{nat_unresolved_port, 7, 8087, FORWARDING_NAT, 0},
      Port{gone_port, 8, gone_port, FORWARDING_DR, 1, BACKEND_GONE},
  };
  for (const Port& port : ports) {
    NewBackend wanted{.endpoint = {backend_of(family, port.number), port.backend_port},
                      .forward = port.forward,
                      .interface = port.interface,
                      .state = port.state};
    if (port.interface != 0) wanted.mac = backend_mac(port.number);
    const uint32_t id = director.add_backend(wanted);
    const uint32_t service = director.add_service({vip_of(family), port.port}, protocol, {id});
    if (port.port == dr_port) {
      director.add_ports(vip_of(family), protocol, 0, {{range_port, range_port + 99, service}});
    }
    if (port.port == nat_port) {
      director.add_service({second_vip_of(family), port.port}, protocol, {id});
    }
    ids_.push_back({family, protocol, port.port, id});
  }
  director.add_service({vip_of(family), nobody_port}, protocol, {});
  add_clamped(family, protocol);
  add_tunnels(family, protocol);
}

void Cluster::serve(Family family, uint8_t protocol, uint16_t port, const NewBackend& backend) {
  const uint32_t id = director.add_backend(backend);
  director.add_service({vip_of(family), port}, protocol, {id});
  ids_.push_back({family, protocol, port, id});
}

void Cluster::add_clamped(Family family, uint8_t protocol) {
  way clamped{};
  clamped.mss = clamped_mss;
  serve(family, protocol, dr_mss_port,
        {.endpoint = {backend_of(family, dr_mss_backend), dr_mss_port},
         .mac = backend_mac(dr_mss_backend),
         .way = clamped});
  serve(family, protocol, nat_mss_port,
        {.endpoint = {backend_of(family, nat_mss_backend), nat_backend_port},
         .forward = FORWARDING_NAT,
         .mac = backend_mac(nat_mss_backend),
         .way = clamped});
}

void Cluster::add_tunnels(Family family, uint8_t protocol) {
  for (const TunnelKind& kind : all_tunnels) {
    way how{};
    how.tunnel = kind.type;
    how.checksum = kind.checksum;
    how.mtu = tunnel_mtu;
    how.port = kind.type == TUNNEL_GUE ? gue_port : 0;
    how.source = kind.checksum;
    NewBackend backend{.endpoint = {backend_of(kind.outer, tun_backend), 0},
                       .forward = FORWARDING_TUN,
                       .mac = backend_mac(tun_backend),
                       .way = how,
                       .source = director_of(kind.outer)};
    serve(family, protocol, kind.port(), backend);
    if (kind.type != TUNNEL_IPIP || kind.outer != family) continue;
    backend.way.mss = clamped_mss;
    serve(family, protocol, tun_mss_port, backend);
    backend.way.mss = 0;
    backend.mac.reset();
    serve(family, protocol, tun_unresolved_port, backend);
    backend.mac = backend_mac(tun_far_backend);
    backend.interface = 2;
    serve(family, protocol, tun_far_port, backend);
  }
}

uint32_t Cluster::backend_id(Family family, uint8_t protocol, uint16_t port) const {
  const auto found = std::ranges::find_if(ids_, [&](const Id& id) {
    return id.family == family && id.protocol == protocol && id.port == port;
  });
  return found == ids_.end() ? 0 : found->id;
}

std::string Wire::text() const {
  std::string text = family == Family::v4 ? "v4" : "v6";
  switch (tags) {
    case Tags::none:
      return text;
    case Tags::dot1q:
      return text + " 802.1Q";
    case Tags::qinq:
      return text + " QinQ";
  }
  return text;
}

Packet Wire::link(const Mac& source, const Mac& destination) const {
  const Packet ethernet = Ethernet{.source = source, .destination = destination};
  switch (tags) {
    case Tags::none:
      return ethernet;
    case Tags::dot1q:
      return ethernet / Vlan{.id = 10, .priority = 5};
    case Tags::qinq:
      return ethernet / Vlan{.id = 200, .tpid = 0x88a8} / Vlan{.id = 10};
  }
  return ethernet;
}

Packet Wire::ip(const Address& source, const Address& destination, uint8_t ttl) const {
  if (family == Family::v4) return IPv4{.saddr = source, .daddr = destination, .ttl = ttl};
  return IPv6{.saddr = source, .daddr = destination, .hop_limit = ttl};
}

Packet Wire::to_vip(uint8_t ttl) const {
  return link(client_mac, director_mac) / ip(client_of(family), vip_of(family), ttl);
}

Packet Wire::to_backend(uint8_t number, const Mac& from) const {
  return link(from, backend_mac(number)) / ip(client_of(family), vip_of(family), 63);
}

Packet Wire::to_nat_backend(uint8_t number, const Mac& from) const {
  return link(from, backend_mac(number)) / ip(client_of(family), backend_of(family, number), 63);
}

Packet Wire::from_nat_backend(uint8_t number, uint8_t ttl) const {
  return link(backend_mac(number), director_mac) /
         ip(backend_of(family, number), client_of(family), ttl);
}

Packet Wire::to_client() const {
  return link(director_mac, client_mac) / ip(vip_of(family), client_of(family), 63);
}

Packet Wire::answer(uint8_t ttl) const {
  Packet packet = link(director_mac, client_mac);
  if (family == Family::v4) {
    return packet / IPv4{.saddr = vip, .daddr = client, .ttl = ttl, .id = 0};
  }
  return packet / IPv6{.saddr = vip6, .daddr = client6, .hop_limit = ttl};
}

}  // namespace xlvs::test
