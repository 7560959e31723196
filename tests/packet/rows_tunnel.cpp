// SPDX-License-Identifier: MIT
// Tunnels: all types, all four pairs of families, all tags; and what does not fit.
#include "tests/packet/row.h"

namespace xlvs::test {
namespace {

TCP syn_to(uint16_t port) { return {.dport = port, .syn = true, .options = {2, 4, 5, 180}}; }

size_t ip_size(Family family) { return family == Family::v4 ? 20 : 40; }

size_t overhead(const TunnelKind& kind) {
  const size_t ip = ip_size(kind.outer);
  if (kind.type == TUNNEL_GRE) return ip + (kind.checksum ? 8 : 4);
  return ip + (kind.type == TUNNEL_GUE ? 12 : 0);
}

// What the outer IP header takes over from the packet inside.
struct Taken {
  uint8_t tos = 0;
  uint8_t ttl = 63;
  bool dont_fragment = true;
};

// Of IPv6, which says nothing of fragments.
Taken taken_from(Family inner) { return {.dont_fragment = inner == Family::v4}; }

Packet outer(const TunnelKind& kind, const Taken& taken) {
  const Address from = director_of(kind.outer);
  const Address to = backend_of(kind.outer, tun_backend);
  Packet packet =
      IPv6{.saddr = from, .daddr = to, .hop_limit = taken.ttl, .traffic_class = taken.tos};
  if (kind.outer == Family::v4) {
    packet = IPv4{.saddr = from,
                  .daddr = to,
                  .ttl = taken.ttl,
                  .tos = taken.tos,
                  .dont_fragment = taken.dont_fragment};
  }
  if (kind.type == TUNNEL_GRE) return packet / GRE{.checksum = kind.checksum};
  if (kind.type == TUNNEL_IPIP) return packet;
  UDP udp{.dport = gue_port};
  if (!kind.checksum) udp.check = 0;
  return packet / udp / GUE{};
}

// As the client's packet leaves in the tunnel.
Packet in_tunnel(const Wire& wire, const TunnelKind& kind) {
  return wire.link(director_mac, backend_mac(tun_backend)) / outer(kind, taken_from(wire.family)) /
         wire.ip(client_of(wire.family), vip_of(wire.family), 63);
}

void add(std::vector<Row>& rows, const Wire& wire, const TunnelKind& kind, const std::string& what,
         const Packet& inside) {
  rows.push_back({.name = wire.text() + " by " + kind.text() + ": " + what,
                  .in = wire.to_vip() / inside,
                  .verdict = FORWARD_TUN,
                  .out = in_tunnel(wire, kind) / inside,
                  .in_tunnel = true});
}

// Also packets whose checksum is over more than one of bpf_csum_diff()'s pieces, and odd ones.
void add_kind(std::vector<Row>& rows, const Wire& wire, const TunnelKind& kind) {
  const uint16_t port = kind.port();
  add(rows, wire, kind, "SYN", syn_to(port));
  add(rows, wire, kind, "INIT", SCTP{.dport = port} / initiation());
  const size_t most = tunnel_mtu - overhead(kind) - ip_size(wire.family) - 8;
  const size_t piece = 512 - (ip_size(wire.family) + 8 + overhead(kind) - ip_size(kind.outer));
  for (const size_t size : {size_t{0}, size_t{1}, size_t{2}, size_t{3}, piece - 1, piece, piece + 1,
                            piece + 512, most}) {
    Bytes data(size);
    for (size_t i = 0; i < size; ++i) data[i] = static_cast<uint8_t>(i * 7 + 1);
    add(rows, wire, kind, "UDP of " + std::to_string(size) + " bytes",
        UDP{.dport = port} / Payload(data));
  }
  const TCP ack{.dport = port, .seq = 1001, .ack_seq = 77, .psh = true, .ack = true};
  rows.push_back({.name = wire.text() + " by " + kind.text() + ": data after a SYN",
                  .before = {wire.to_vip() / syn_to(port)},
                  .in = wire.to_vip() / ack / Payload("query"),
                  .verdict = FORWARD_TUN,
                  .out = in_tunnel(wire, kind) / ack / Payload("query"),
                  .in_tunnel = true});
}

Packet too_big(const Wire& wire, uint32_t mtu, const Packet& came) {
  const size_t quoted = ip_size(wire.family) + 8;
  if (wire.family == Family::v4) {
    return wire.answer() / ICMP{.type = 3, .code = 4, .rest = mtu} / quote(came, quoted);
  }
  return wire.answer() / ICMPv6{.type = 2, .code = 0, .rest = mtu} / quote(came, quoted);
}

// One byte more than fits; the packet has been through a router then, the director.
void add_too_big(std::vector<Row>& rows, const Wire& wire, const TunnelKind& kind) {
  const size_t fits = tunnel_mtu - overhead(kind);
  const Payload data(Bytes(fits - ip_size(wire.family) - 8 + 1, 0x5a));
  const Packet udp = UDP{.dport = kind.port()} / data;
  const Packet quoted = wire.link(client_mac, director_mac) /
                        wire.ip(client_of(wire.family), vip_of(wire.family), 63) / udp;
  rows.push_back({.name = wire.text() + " by " + kind.text() + ": too big by a byte",
                  .in = wire.to_vip() / udp,
                  .verdict = REFUSE_TOO_BIG,
                  .out = too_big(wire, static_cast<uint32_t>(fits), quoted)});
}

void set_mtu(Cluster& cluster, const Wire& wire, const TunnelKind& kind, uint16_t mtu) {
  for (const uint8_t protocol : {tcp, udp, sctp}) {
    cluster.director.set_mtu(cluster.backend_id(wire.family, protocol, kind.port()), mtu);
  }
}

// A way that is narrower than any may be; and one that is not known.
void add_ways(std::vector<Row>& rows, const Wire& wire, const TunnelKind& kind) {
  const uint32_t least = wire.family == Family::v4 ? 68 : 1280;
  const size_t size = least - ip_size(wire.family) - 8;
  const Packet udp = UDP{.dport = kind.port()} / Payload(Bytes(size, 1));
  const Packet quoted = wire.link(client_mac, director_mac) /
                        wire.ip(client_of(wire.family), vip_of(wire.family), 63) / udp;
  const auto narrow = static_cast<uint16_t>(least + overhead(kind) - 1);
  rows.push_back({.name = wire.text() + " by " + kind.text() + ": too big for less than the least",
                  .in = wire.to_vip() / udp,
                  .verdict = REFUSE_TOO_BIG,
                  .out = too_big(wire, least, quoted),
                  .prepare = [=](Cluster& cluster) { set_mtu(cluster, wire, kind, narrow); },
                  .restore = [=](Cluster& cluster) { set_mtu(cluster, wire, kind, tunnel_mtu); }});
  const Packet long_one = UDP{.dport = kind.port()} / Payload(Bytes(2000, 1));
  rows.push_back({.name = wire.text() + " by " + kind.text() + ": the mtu is not known",
                  .in = wire.to_vip() / long_one,
                  .verdict = FORWARD_TUN,
                  .out = in_tunnel(wire, kind) / long_one,
                  .in_tunnel = true,
                  .prepare = [=](Cluster& cluster) { set_mtu(cluster, wire, kind, 0); },
                  .restore = [=](Cluster& cluster) { set_mtu(cluster, wire, kind, tunnel_mtu); }});
}

// TOS with its ECN bits (RFC 3168, 9.1.1), TTL, "don't fragment".
void add_taken(std::vector<Row>& rows, const TunnelKind& kind) {
  const auto add_v4 = [&](const std::string& name, const IPv4& in, const Taken& taken) {
    IPv4 inside = in;
    inside.ttl = static_cast<uint8_t>(in.ttl - 1);
    const UDP ask{.dport = kind.port()};
    const Wire wire{Family::v4, Tags::none};
    rows.push_back({.name = "v4 by " + kind.text() + ": " + name,
                    .in = wire.link(client_mac, director_mac) / in / ask,
                    .verdict = FORWARD_TUN,
                    .out = wire.link(director_mac, backend_mac(tun_backend)) / outer(kind, taken) /
                           inside / ask,
                    .in_tunnel = true});
  };
  add_v4("may be split up", {.dont_fragment = false}, {.dont_fragment = false});
  add_v4("TTL 2", {.ttl = 2}, {.ttl = 1});
  add_v4("TOS with ECT(1)", {.tos = 0xb9}, {.tos = 0xb9});
  add_v4("TOS with CE", {.tos = 0xbb}, {.tos = 0xba});
  add_v4("with options", {.options = {1, 1, 1, 0}}, {});
  const auto add_v6 = [&](const std::string& name, const IPv6& in, const Taken& taken) {
    IPv6 inside = in;
    inside.hop_limit = static_cast<uint8_t>(in.hop_limit - 1);
    const UDP ask{.dport = kind.port()};
    const Wire wire{Family::v6, Tags::none};
    rows.push_back({.name = "v6 by " + kind.text() + ": " + name,
                    .in = wire.link(client_mac, director_mac) / in / ask,
                    .verdict = FORWARD_TUN,
                    .out = wire.link(director_mac, backend_mac(tun_backend)) / outer(kind, taken) /
                           inside / ask,
                    .in_tunnel = true});
  };
  add_v6("hop limit 2", {.hop_limit = 2}, {.ttl = 1, .dont_fragment = false});
  add_v6("class with ECT(0), and a flow label", {.traffic_class = 0xba, .flow_label = 0xabcde},
         {.tos = 0xba, .dont_fragment = false});
  add_v6("class with CE", {.traffic_class = 0xbb}, {.tos = 0xba, .dont_fragment = false});
}

// What speaks of the backend's answer goes to it by the tunnel; where it does not fit, that is not
// answered by another error.
void add_error(std::vector<Row>& rows, const Wire& wire, const TunnelKind& kind) {
  const bool v4 = wire.family == Family::v4;
  const Packet answer = wire.ip(vip_of(wire.family), client_of(wire.family), 64) /
                        UDP{.sport = kind.port(), .dport = client_port};
  const Packet unreachable =
      v4 ? Packet(ICMP{.type = 3, .code = 3}) : Packet(ICMPv6{.type = 1, .code = 4});
  const Packet error = unreachable / quote(answer);
  const auto narrow = static_cast<uint16_t>(overhead(kind) + 2 * ip_size(wire.family) + 15);
  rows.push_back({.name = wire.text() + " by " + kind.text() + ": ICMP error",
                  .before = {wire.to_vip() / UDP{.dport = kind.port()}},
                  .in = wire.to_vip() / error,
                  .verdict = FORWARD_TUN,
                  .out = in_tunnel(wire, kind) / error,
                  .in_tunnel = true});
  rows.push_back({.name = wire.text() + " by " + kind.text() + ": ICMP error too big by a byte",
                  .before = {wire.to_vip() / UDP{.dport = kind.port()}},
                  .in = wire.to_vip() / error,
                  .verdict = DROP_TOO_BIG,
                  .prepare = [=](Cluster& cluster) { set_mtu(cluster, wire, kind, narrow); },
                  .restore = [=](Cluster& cluster) { set_mtu(cluster, wire, kind, tunnel_mtu); }});
}

void add_ends(std::vector<Row>& rows, const Wire& wire) {
  const TunnelKind kind{TUNNEL_IPIP, wire.family};
  rows.push_back({.name = wire.text() + " tun: by another interface",
                  .in = wire.to_vip() / syn_to(tun_far_port),
                  .verdict = FORWARD_TUN,
                  .out = wire.link(second_director_mac, backend_mac(tun_far_backend)) /
                         outer(kind, taken_from(wire.family)) /
                         wire.ip(client_of(wire.family), vip_of(wire.family), 63) /
                         syn_to(tun_far_port),
                  .in_tunnel = true,
                  .redirected = true});
  rows.push_back({.name = wire.text() + " tun: nobody's MAC is known",
                  .in = wire.to_vip() / syn_to(tun_unresolved_port),
                  .verdict = DROP_NO_NEIGHBOUR});
  rows.push_back({.name = wire.text() + " tun: TTL 1",
                  .in = wire.to_vip(1) / syn_to(kind.port()),
                  .verdict = DROP_TTL});
}

}  // namespace

std::vector<Row> tunnel_rows() {
  std::vector<Row> rows;
  for_each_wire([&](const Wire& wire) {
    for (const TunnelKind& kind : all_tunnels) {
      add_kind(rows, wire, kind);
      add_too_big(rows, wire, kind);
      add_error(rows, wire, kind);
    }
    add_ends(rows, wire);
  });
  for (const TunnelKind& kind : all_tunnels) {
    for (const Family family : families) add_ways(rows, {family, Tags::none}, kind);
    add_taken(rows, kind);
  }
  return rows;
}

}  // namespace xlvs::test
