// SPDX-License-Identifier: MIT
// What is not ours goes up the stack as it came.
#include "tests/packet/row.h"

namespace xlvs::test {
namespace {

constexpr Mac v4_multicast{{0x01, 0x00, 0x5e, 0x00, 0x00, 0x12}};
constexpr Mac v6_multicast{{0x33, 0x33, 0x00, 0x00, 0x00, 0x12}};

constexpr Wire v4{Family::v4, Tags::none};
constexpr Wire v6{Family::v6, Tags::none};
const TCP syn{.dport = dr_port, .syn = true};

Packet sent_to(const Wire& wire, const Mac& mac) {
  return wire.link(client_mac, mac) / wire.ip(client_of(wire.family), vip_of(wire.family), 64) /
         syn;
}

void add_foreign(std::vector<Row>& rows) {
  for_each_wire([&](const Wire& wire) {
    const std::string name = wire.text();
    rows.push_back({.name = name + " to another MAC",
                    .in = sent_to(wire, backend_mac(1)),
                    .verdict = PASS_NOT_OUR_MAC});
    rows.push_back({.name = name + " to the MAC of our other interface",
                    .in = sent_to(wire, second_director_mac),
                    .verdict = PASS_NOT_OUR_MAC});
    rows.push_back({.name = name + " to broadcast",
                    .in = sent_to(wire, broadcast_mac),
                    .verdict = PASS_NOT_OUR_MAC});
    rows.push_back({.name = name + " to multicast",
                    .in = sent_to(wire, wire.family == Family::v4 ? v4_multicast : v6_multicast),
                    .verdict = PASS_NOT_OUR_MAC});
    rows.push_back({.name = name + " by an interface that is not ours",
                    .in = wire.to_vip() / syn,
                    .verdict = PASS_NOT_OUR_MAC,
                    .prepare = [](Cluster& c) { c.director.live().interfaces[0].ifindex = 3; }});
    rows.push_back({.name = name + " no service on the port",
                    .in = wire.to_vip() / TCP{.dport = unused_port, .syn = true},
                    .verdict = PASS_NO_SERVICE});
    rows.push_back({.name = name + " no service on the address",
                    .in = wire.link(client_mac, director_mac) /
                          wire.ip(vip_of(wire.family), client_of(wire.family), 64) / syn,
                    .verdict = PASS_NO_SERVICE});
    rows.push_back({.name = name + " udp, no service on the port",
                    .in = wire.to_vip() / UDP{.dport = unused_port} / Payload("query"),
                    .verdict = PASS_NO_SERVICE});
    rows.push_back({.name = name + " tcp of a nat backend without a flow",
                    .in = wire.from_nat_backend() /
                          TCP{.sport = nat_backend_port, .dport = 40000, .ack = true},
                    .verdict = PASS_REPLY_NO_FLOW});
    rows.push_back({.name = name + " udp of a nat backend without a flow",
                    .in = wire.from_nat_backend() / UDP{.sport = nat_backend_port, .dport = 40000},
                    .verdict = PASS_REPLY_NO_FLOW});
  });
}

// A service has the port in a range, so it may be one of the director's own.
void add_no_flow(std::vector<Row>& rows) {
  for_each_wire([&](const Wire& wire) {
    const auto add = [&](const std::string& name, const Packet& transport) {
      rows.push_back({.name = wire.text() + " to a range, " + name,
                      .in = wire.to_vip() / transport / Payload("data"),
                      .verdict = PASS_NO_FLOW});
    };
    add("SYN ACK", TCP{.dport = range_port, .syn = true, .ack = true});
    add("ACK", TCP{.dport = range_port + 99, .ack = true});
    add("FIN ACK", TCP{.dport = range_port, .fin = true, .ack = true});
    add("RST", TCP{.dport = range_port, .rst = true});
    add("INIT ACK", SCTP{.dport = range_port, .tag = 9, .chunk = 2});
    add("DATA", SCTP{.dport = range_port, .tag = 9, .chunk = 0});
    add("ABORT", SCTP{.dport = range_port, .tag = 9, .chunk = 6});
  });
}

void add_other_kinds(std::vector<Row>& rows) {
  const std::vector<Address> route = {"2001:db8:5::1"_ip};
  const std::vector<Row> more = {
      {.name = "arp",
       .in = Ethernet{.type = 0x0806} / Payload(Bytes(28, 1)),
       .verdict = PASS_NOT_IP},
      {.name = "lldp in a vlan",
       .in = Ethernet{} / Vlan{.type = 0x88cc} / Payload(Bytes(50, 1)),
       .verdict = PASS_NOT_IP},
      {.name = "ipv4 behind a third tag",
       .in = Ethernet{} / Vlan{.tpid = 0x88a8} / Vlan{} / Vlan{} / IPv4{} / syn,
       .verdict = PASS_NOT_IP},
      {.name = "no more than ethernet", .in = Packet(Ethernet{}), .verdict = PASS_NOT_IP},
      {.name = "v4 ping to a vip",
       .in = v4.to_vip() / ICMP{} / Payload("ping"),
       .verdict = PASS_NOT_TRANSPORT},
      {.name = "v6 ping to a vip",
       .in = v6.to_vip() / ICMPv6{} / Payload("ping"),
       .verdict = PASS_NOT_TRANSPORT},
      {.name = "v6 neighbour solicitation",
       .in = v6.to_vip(255) / ICMPv6{.type = 135},
       .verdict = PASS_NOT_TRANSPORT},
      {.name = "v4 dccp",
       .in = Ethernet{} / IPv4{.protocol = 33} / Payload(Bytes(40, 1)),
       .verdict = PASS_NOT_TRANSPORT},
      {.name = "v4 ipip", .in = v4.to_vip() / IPv4{} / syn, .verdict = PASS_NOT_TRANSPORT},
      {.name = "v6 no next header", .in = Packet(v6.to_vip()), .verdict = PASS_NOT_TRANSPORT},
      {.name = "v6 esp",
       .in = Ethernet{} / IPv6{.next_header = 50} / Payload(Bytes(40, 1)),
       .verdict = PASS_NOT_TRANSPORT},
      {.name = "v6 route with a segment left",
       .in = v6.to_vip() / Routing{.segments_left = 1, .addresses = route} / syn,
       .verdict = PASS_NOT_TRANSPORT},
  };
  rows.insert(rows.end(), more.begin(), more.end());
}

// Those of ours are in fragment_test.cpp.
void add_fragments(std::vector<Row>& rows) {
  const Payload rest(Bytes(64, 1));
  const TCP unused{.dport = unused_port, .syn = true};
  const std::vector<Row> more = {
      {.name = "v4 first fragment to no service",
       .in = Ethernet{} / IPv4{.dont_fragment = false, .more_fragments = true} / unused / rest,
       .verdict = PASS_NO_SERVICE},
      {.name = "v4 middle fragment",
       .in =
           Ethernet{} / IPv4{.more_fragments = true, .fragment_offset = 8, .protocol = tcp} / rest,
       .verdict = PASS_FRAGMENT},
      {.name = "v4 last fragment",
       .in = Ethernet{} / IPv4{.fragment_offset = 185, .protocol = udp} / rest,
       .verdict = PASS_FRAGMENT},
      {.name = "v4 last fragment of a reply",
       .in = Ethernet{} /
             IPv4{.saddr = backend_of(Family::v4, nat_backend),
                  .daddr = client,
                  .fragment_offset = 185,
                  .protocol = udp} /
             rest,
       .verdict = PASS_FRAGMENT},
      {.name = "v4 tagged fragment",
       .in = Ethernet{} / Vlan{.id = 10} / IPv4{.fragment_offset = 1, .protocol = tcp} / rest,
       .verdict = PASS_FRAGMENT},
      {.name = "v4 first fragment of an icmp message",
       .in = Ethernet{} / IPv4{.more_fragments = true} / ICMP{} / rest,
       .verdict = PASS_NOT_TRANSPORT},
      {.name = "v4 last fragment of an icmp message",
       .in = Ethernet{} / IPv4{.fragment_offset = 8, .protocol = 1} / rest,
       .verdict = PASS_FRAGMENT},
      {.name = "v4 first fragment to a range, of no flow",
       .in =
           Ethernet{} / IPv4{.more_fragments = true} / TCP{.dport = range_port, .ack = true} / rest,
       .verdict = PASS_NO_FLOW},
      {.name = "v4 last fragment to a range, of no flow",
       .before = {Ethernet{} / IPv4{.more_fragments = true} /
                  TCP{.dport = range_port, .ack = true} / rest},
       .in = Ethernet{} / IPv4{.fragment_offset = 10, .protocol = tcp} / rest,
       .verdict = PASS_FRAGMENT},
      {.name = "v6 first fragment to no service",
       .in = v6.to_vip() / Fragment{.more = true} / unused / rest,
       .verdict = PASS_NO_SERVICE},
      {.name = "v6 last fragment",
       .in = v6.to_vip() / Fragment{.offset = 185, .next_header = tcp} / rest,
       .verdict = PASS_FRAGMENT},
      {.name = "v6 last fragment behind options",
       .in = v6.to_vip() / HopByHop{} / DestinationOptions{} /
             Fragment{.offset = 1, .next_header = udp} / rest,
       .verdict = PASS_FRAGMENT},
      // What follows is not its header.
      {.name = "v6 last fragment of what began with options",
       .in = v6.to_vip() / Fragment{.offset = 185, .next_header = 60} / rest,
       .verdict = PASS_FRAGMENT},
  };
  rows.insert(rows.end(), more.begin(), more.end());
}

void add_malformed(std::vector<Row>& rows) {
  const auto add = [&](const std::string& name, const Packet& in, std::optional<size_t> cut = {}) {
    rows.push_back({.name = "malformed " + name, .in = in, .verdict = PASS_MALFORMED, .cut = cut});
  };
  const Packet whole4 = v4.to_vip() / syn;
  const Packet whole6 = v6.to_vip() / syn;
  add("tag cut short", Ethernet{} / Vlan{} / IPv4{} / syn, 17);
  add("inner tag cut short", Ethernet{} / Vlan{.tpid = 0x88a8} / Vlan{} / IPv4{} / syn, 21);
  add("v4 without a header", whole4, 14);
  add("v4 sctp header cut short", v4.to_vip() / SCTP{.dport = dr_port}, 14 + 20 + 11);
  add("v6 sctp chunk cut short", v6.to_vip() / SCTP{.dport = dr_port}, 14 + 40 + 15);
  add("v4 sctp without a chunk", Ethernet{} / IPv4{.total_length = 32} / SCTP{.dport = dr_port});
  add("v4 header cut short", whole4, 14 + 19);
  add("v4 version", Ethernet{} / IPv4{.version = 5} / syn);
  add("v4 version 6", Ethernet{} / IPv4{.version = 6} / syn);
  add("v4 header length", Ethernet{} / IPv4{.ihl = 4} / syn);
  add("v4 total length below its header", Ethernet{} / IPv4{.total_length = 19} / syn);
  add("v4 total length beyond the frame", Ethernet{} / IPv4{.total_length = 41} / syn);
  add("v4 total length without the tcp header", Ethernet{} / IPv4{.total_length = 39} / syn);
  add("v4 total length without the udp header",
      Ethernet{} / IPv4{.total_length = 27} / UDP{.dport = dr_port});
  add("v4 tcp cut short", whole4, 14 + 20 + 19);
  add("v4 udp cut short", v4.to_vip() / UDP{.dport = dr_port}, 14 + 20 + 7);
  add("v4 options cut short", Ethernet{} / IPv4{.options = Bytes(40, 1)} / syn, 14 + 20 + 39);
  add("v4 header length over the end",
      Ethernet{} / IPv4{.ihl = 15, .protocol = tcp, .total_length = 60});
  add("v6 header cut short", whole6, 14 + 39);
  add("v6 version", Ethernet{} / IPv6{.version = 4} / syn);
  add("v6 payload length beyond the frame", Ethernet{} / IPv6{.payload_length = 21} / syn);
  add("v6 payload length without the tcp header", Ethernet{} / IPv6{.payload_length = 19} / syn);
  add("v6 jumbogram",
      Ethernet{} / IPv6{.payload_length = 0} / HopByHop{.options = {0xc2, 4, 0, 1, 0, 0}} / syn);
  add("v6 payload length of all ones", Ethernet{} / IPv6{.payload_length = 0xffff} / syn);
  // To the tables such an address is the IPv4 one.
  add("v6 to a mapped vip", Ethernet{} / IPv6{.daddr = vip_of(Family::v4)} / syn);
  add("v6 from a mapped address", Ethernet{} / IPv6{.saddr = client_of(Family::v4)} / syn);
  add("v6 tcp cut short", whole6, 14 + 40 + 19);
  add("v4 first fragment without the tcp header",
      Ethernet{} / IPv4{.more_fragments = true, .protocol = tcp} / Payload(Bytes(16, 1)));
  add("v4 first fragment without the udp header",
      Ethernet{} / IPv4{.more_fragments = true, .protocol = udp, .total_length = 27} /
          Payload(Bytes(8, 1)));
  add("v4 last fragment cut short",
      Ethernet{} / IPv4{.fragment_offset = 8, .protocol = udp} / Payload(Bytes(64, 1)),
      14 + 20 + 63);
  add("v6 last fragment cut short",
      v6.to_vip() / Fragment{.offset = 8, .next_header = udp} / Payload(Bytes(64, 1)),
      14 + 40 + 8 + 63);
  add("v6 fragment of a fragment",
      v6.to_vip() / Fragment{.more = true} / Fragment{.more = true} / syn);
  add("v6 atomic fragment in a fragment", v6.to_vip() / Fragment{.more = true} / Fragment{} / syn);
  add("v6 extension header cut short", v6.to_vip() / HopByHop{} / syn, 14 + 40 + 7);
  add("v6 extension header over the end", v6.to_vip() / HopByHop{.length = 255} / syn);
  add("v6 authentication over the end", v6.to_vip() / Authentication{.length = 255} / syn);
  add("v6 seven extension headers", v6.to_vip() / HopByHop{} / DestinationOptions{} /
                                        DestinationOptions{} / DestinationOptions{} /
                                        DestinationOptions{} / DestinationOptions{} /
                                        DestinationOptions{} / syn);
}

}  // namespace

std::vector<Row> pass_rows() {
  std::vector<Row> rows;
  add_foreign(rows);
  add_no_flow(rows);
  add_other_kinds(rows);
  add_fragments(rows);
  add_malformed(rows);
  return rows;
}

}  // namespace xlvs::test
