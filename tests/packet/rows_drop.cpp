// SPDX-License-Identifier: MIT
// What was sent to a service and cannot be served: dropped, and never given to the stack.
#include "tests/packet/row.h"

namespace xlvs::test {
namespace {

constexpr Wire v4{Family::v4, Tags::none};

// Metadata in front of a frame, so much that the head has no room to grow for an ICMP error: of 256
// bytes of headroom the kernel keeps 40 for itself.
constexpr size_t full_headroom = 208;

void add_tcp(std::vector<Row>& rows, const Wire& wire) {
  const auto add = [&](const std::string& name, TCP in, verdict verdict, const Payload& data = {}) {
    rows.push_back(
        {.name = wire.text() + " " + name, .in = wire.to_vip() / in / data, .verdict = verdict});
  };
  add("reset of no flow", {.rst = true}, DROP_NO_FLOW);
  add("reset with ACK of no flow", {.rst = true, .ack = true}, DROP_NO_FLOW);
  add("SYN FIN", {.fin = true, .syn = true}, DROP_BAD_FLAGS);
  add("SYN RST", {.syn = true, .rst = true}, DROP_BAD_FLAGS);
  add("SYN FIN ACK", {.fin = true, .syn = true, .ack = true}, DROP_BAD_FLAGS);
  add("no flags", {}, DROP_BAD_FLAGS, Payload("null scan"));
  add("PSH URG only", {.psh = true, .urg = true}, DROP_BAD_FLAGS);
  add("all flags", {.fin = true, .syn = true, .rst = true, .psh = true, .ack = true, .urg = true},
      DROP_BAD_FLAGS);
  add("tcp header of 16 bytes", {.syn = true, .doff = 4}, DROP_BAD_LENGTH);
  add("tcp header of 0 bytes", {.syn = true, .doff = 0}, DROP_BAD_LENGTH);
  add("tcp header longer than its packet", {.syn = true, .doff = 7}, DROP_BAD_LENGTH,
      Payload("1234567"));
}

void add_udp(std::vector<Row>& rows, const Wire& wire) {
  for (const uint16_t length : std::array<uint16_t, 4>{0, 7, 14, 0xffff}) {
    rows.push_back({.name = wire.text() + " udp length " + std::to_string(length) + " of 13",
                    .in = wire.to_vip() / UDP{.dport = dr_port, .length = length} /
                          Payload("hello") / Padding{Bytes(20, 0xee)},
                    .verdict = DROP_BAD_LENGTH});
  }
}

void add_sctp(std::vector<Row>& rows, const Wire& wire) {
  for (const uint16_t length : std::array<uint16_t, 4>{0, 3, 10, 0xffff}) {
    rows.push_back(
        {.name = wire.text() + " sctp chunk length " + std::to_string(length) + " of 9",
         .in = wire.to_vip() / SCTP{.dport = dr_port, .tag = 9, .chunk = 0, .length = length} /
               Payload("hello") / Padding{Bytes(20, 0xee)},
         .verdict = DROP_BAD_LENGTH});
  }
  for (const uint16_t port : {dr_port, nobody_port}) {
    rows.push_back({.name = wire.text() + " INIT of 19 bytes to " + std::to_string(port),
                    .in = wire.to_vip() / SCTP{.dport = port, .length = 19} / initiation(),
                    .verdict = DROP_BAD_LENGTH});
  }
}

// RFC 9260, 8.4: what is discarded without a word.
void add_out_of_the_blue(std::vector<Row>& rows, const Wire& wire) {
  const auto add = [&](const std::string& name, SCTP in, const Payload& content = {}) {
    in.dport = nobody_port;
    rows.push_back({.name = wire.text() + " out of the blue: " + name,
                    .in = wire.to_vip() / in / content,
                    .verdict = DROP_NO_FLOW});
  };
  add("ABORT", {.tag = 9, .chunk = 6});
  add("SHUTDOWN COMPLETE", {.tag = 9, .chunk = 14});
  add("COOKIE ACK", {.tag = 9, .chunk = 11});
  add("stale cookie", {.tag = 9, .chunk = 9}, Payload(Bytes{0, 3, 0, 8, 0, 0, 1, 0}));
  add("DATA, ABORT", {.tag = 9, .chunk = 0, .length = 5},
      Payload(Bytes{0xaa, 0, 0, 0, 6, 0, 0, 4}));
  add("SHUTDOWN ACK, ABORT", {.tag = 9, .chunk = 8, .length = 4}, Payload(Bytes{6, 0, 0, 4}));
  add("COOKIE ACK, DATA", {.tag = 9, .chunk = 11, .length = 4},
      Payload(Bytes{0, 3, 0, 4, 0, 0, 0, 0}));
  // 8.5.1 and 3.3.2.
  add("DATA without a tag", {.chunk = 0}, Payload("hello"));
  add("SHUTDOWN ACK without a tag", {.chunk = 8}, initiation());
  add("INIT that wants no tag", {.chunk = 1}, initiation(0));
  Payload with_data = initiation();
  with_data.bytes.insert(with_data.bytes.end(), {0, 3, 0, 4});
  add("INIT with DATA", {.chunk = 1, .length = 20}, with_data);
}

void add_from_no_host(std::vector<Row>& rows, const Wire& wire) {
  const std::vector<Address> v4_sources{"224.0.0.1"_ip, "239.255.255.255"_ip, "255.255.255.255"_ip,
                                        "127.0.0.1"_ip, "0.0.0.0"_ip};
  const std::vector<Address> v6_sources{"ff02::1"_ip, "::"_ip, "::1"_ip};
  for (const Address& source : wire.family == Family::v4 ? v4_sources : v6_sources) {
    const auto add = [&](const std::string& name, const Packet& transport) {
      rows.push_back({.name = wire.text() + " no answer to " + source.text() + ": " + name,
                      .in = wire.link(client_mac, director_mac) /
                            wire.ip(source, vip_of(wire.family), 64) / transport,
                      .verdict = DROP_NO_FLOW});
    };
    add("ACK", TCP{.dport = dr_port, .ack = true});
    add("DATA", SCTP{.dport = dr_port, .tag = 9, .chunk = 0});
    add("INIT", SCTP{.dport = nobody_port} / initiation());
    add("UDP", UDP{.dport = nobody_port});
  }
}

void add_end_of_way(std::vector<Row>& rows, const Wire& wire) {
  for (const uint8_t ttl : {uint8_t(1), uint8_t(0)}) {
    const std::string name = wire.text() + " TTL " + std::to_string(ttl) + ": ";
    rows.push_back({.name = name + "dr",
                    .in = wire.to_vip(ttl) / TCP{.dport = dr_port, .syn = true},
                    .verdict = DROP_TTL});
    rows.push_back({.name = name + "nat",
                    .in = wire.to_vip(ttl) / TCP{.dport = nat_port, .syn = true},
                    .verdict = DROP_TTL});
    rows.push_back({.name = name + "reply",
                    .before = {wire.to_vip() / TCP{.dport = nat_port, .syn = true}},
                    .in = wire.from_nat_backend(nat_backend, ttl) /
                          TCP{.sport = nat_backend_port, .dport = client_port, .ack = true},
                    .verdict = DROP_TTL});
  }
}

void add_unable(std::vector<Row>& rows, const Wire& wire) {
  const std::string name = wire.text() + " ";
  rows.push_back({.name = name + "dr without a neighbour",
                  .in = wire.to_vip() / TCP{.dport = dr_unresolved_port, .syn = true},
                  .verdict = DROP_NO_NEIGHBOUR});
  rows.push_back({.name = name + "nat without a neighbour",
                  .in = wire.to_vip() / TCP{.dport = nat_unresolved_port, .syn = true},
                  .verdict = DROP_NO_NEIGHBOUR});
  rows.push_back({.name = name + "udp without a neighbour",
                  .in = wire.to_vip() / UDP{.dport = dr_unresolved_port},
                  .verdict = DROP_NO_NEIGHBOUR});
  const auto no_answers = [](Cluster& c) { c.director.live().refusals_per_second = 0; };
  rows.push_back({.name = name + "no unreachable beyond the limit",
                  .in = wire.to_vip() / TCP{.dport = nobody_port, .syn = true},
                  .verdict = DROP_REFUSAL_LIMIT,
                  .prepare = no_answers});
  rows.push_back({.name = name + "no reset beyond the limit",
                  .in = wire.to_vip() / TCP{.dport = dr_port, .ack = true},
                  .verdict = DROP_REFUSAL_LIMIT,
                  .prepare = no_answers});
  rows.push_back({.name = name + "no abort beyond the limit",
                  .in = wire.to_vip() / SCTP{.dport = dr_port, .tag = 9, .chunk = 0},
                  .verdict = DROP_REFUSAL_LIMIT,
                  .prepare = no_answers});
  // As if another CPU had just put its record there: it names a backend that cannot be found.
  const flow_key key =
      key_of({client_of(wire.family), client_port}, {vip_of(wire.family), dr_port});
  rows.push_back({.name = name + "the record is another's",
                  .in = wire.to_vip() / TCP{.dport = dr_port, .syn = true},
                  .verdict = DROP_FLOW_BUSY,
                  .prepare = [key](Cluster& cluster) {
                    flow record{};
                    record.backend = 0xffff;
                    cluster.director.put_pending(key, record);
                  }});
  rows.push_back({.name = name + "no room to answer",
                  .in = wire.to_vip() / TCP{.dport = nobody_port, .syn = true},
                  .verdict = DROP_NO_ROOM,
                  .arrival = {.metadata = full_headroom}});
}

// More of them in fragment_test.cpp.
void add_fragments(std::vector<Row>& rows) {
  const Payload rest(Bytes(64, 1));
  const Packet first = Ethernet{} / IPv4{.more_fragments = true};
  const Packet last = Ethernet{} / IPv4{.fragment_offset = 9, .protocol = udp} / rest;
  rows.push_back({.name = "later fragment of what was refused",
                  .before = {first / UDP{.dport = nobody_port} / rest},
                  .in = last,
                  .verdict = DROP_FRAGMENT});
  rows.push_back({.name = "later fragment of what was dropped",
                  .before = {first / UDP{.dport = dr_port, .length = 7} / rest},
                  .in = last,
                  .verdict = DROP_FRAGMENT});
  rows.push_back({.name = "first fragment with a udp length of 7",
                  .in = first / UDP{.dport = dr_port, .length = 7} / rest,
                  .verdict = DROP_BAD_LENGTH});
  rows.push_back({.name = "first fragment with a tcp header longer than it is",
                  .in = first / TCP{.dport = dr_port, .syn = true, .doff = 7} / Payload("1234"),
                  .verdict = DROP_BAD_LENGTH});
  rows.push_back({.name = "first fragment of sctp by nat to another port",
                  .in = first / SCTP{.dport = nat_port} / initiation(),
                  .verdict = DROP_SCTP_FRAGMENT});
}

}  // namespace

std::vector<Row> drop_rows() {
  std::vector<Row> rows;
  for_each_wire([&](const Wire& wire) {
    add_tcp(rows, wire);
    add_udp(rows, wire);
    add_sctp(rows, wire);
    add_out_of_the_blue(rows, wire);
    add_from_no_host(rows, wire);
    add_end_of_way(rows, wire);
    add_unable(rows, wire);
  });
  rows.push_back({.name = "v4 header checksum, tcp",
                  .in = Ethernet{} / IPv4{.check = 0x1234} / TCP{.dport = dr_port, .syn = true},
                  .verdict = DROP_BAD_CHECKSUM});
  rows.push_back({.name = "v4 header checksum, udp in a vlan",
                  .in = Ethernet{} / Vlan{} / IPv4{.check = 0} / UDP{.dport = nat_port},
                  .verdict = DROP_BAD_CHECKSUM});
  rows.push_back({.name = "v4 header checksum with options",
                  .in = Ethernet{} / IPv4{.options = Bytes(8, 1), .check = 0x1234} /
                        TCP{.dport = dr_port, .syn = true},
                  .verdict = DROP_BAD_CHECKSUM});
  rows.push_back(
      {.name = "v4 header checksum of a reply",
       .before = {v4.to_vip() / TCP{.dport = nat_port, .syn = true}},
       .in = v4.link(backend_mac(nat_backend), director_mac) /
             IPv4{.saddr = backend_of(Family::v4, nat_backend), .daddr = client, .check = 0x1234} /
             TCP{.sport = nat_backend_port, .dport = client_port, .ack = true},
       .verdict = DROP_BAD_CHECKSUM});
  add_fragments(rows);
  return rows;
}

}  // namespace xlvs::test
