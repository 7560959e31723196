// SPDX-License-Identifier: MIT
// Headers that not every packet has, and checksums that are odd: what may change is changed, all
// else leaves as it came.
#include "tests/harness/checksum.h"
#include "tests/packet/row.h"

namespace xlvs::test {
namespace {

constexpr Wire v4{Family::v4, Tags::none};
constexpr Wire v6{Family::v6, Tags::none};

TCP syn_to(uint16_t port) { return {.dport = port, .syn = true}; }

// Forwarded by dr and by nat; `between` is what stands between link and transport headers, given
// destination and TTL.
template <typename Between>
void add_both(std::vector<Row>& rows, const std::string& name, const Wire& wire, Between between) {
  const Address to = vip_of(wire.family);
  const Address real = backend_of(wire.family, nat_backend);
  const Packet in = wire.link(client_mac, director_mac) / between(to, 64);
  const Payload data("odd");
  rows.push_back({.name = "dr with " + name,
                  .in = in / syn_to(dr_port),
                  .verdict = FORWARD_DR,
                  .out = wire.link(director_mac, backend_mac(dr_backend)) / between(to, 63) /
                         syn_to(dr_port)});
  rows.push_back({.name = "nat with " + name,
                  .in = in / syn_to(nat_port),
                  .verdict = FORWARD_NAT,
                  .out = wire.link(director_mac, backend_mac(nat_backend)) / between(real, 63) /
                         syn_to(nat_backend_port)});
  rows.push_back({.name = "nat udp with " + name,
                  .in = in / UDP{.dport = nat_port} / data,
                  .verdict = FORWARD_NAT,
                  .out = wire.link(director_mac, backend_mac(nat_backend)) / between(real, 63) /
                         UDP{.dport = nat_backend_port} / data});
}

void add_v4(std::vector<Row>& rows) {
  for (const size_t size : {4U, 12U, 40U}) {
    add_both(rows, "v4 options of " + std::to_string(size), v4,
             [=](const Address& to, uint8_t ttl) {
               return Packet(IPv4{.daddr = to, .ttl = ttl, .options = Bytes(size, 1)});
             });
  }
  add_both(rows, "v4 tos, id and no DF", v4, [](const Address& to, uint8_t ttl) {
    return Packet(IPv4{.daddr = to, .ttl = ttl, .tos = 0xb9, .id = 0xffff, .dont_fragment = false});
  });
}

void add_v6(std::vector<Row>& rows) {
  const auto v6_with = [&](const std::string& name, const Packet& extensions) {
    add_both(rows, "v6 " + name, v6, [=](const Address& to, uint8_t ttl) {
      return IPv6{.daddr = to, .hop_limit = ttl} / extensions;
    });
  };
  const std::vector<Address> visited = {"2001:db8:5::1"_ip};
  v6_with("hop-by-hop options", Packet(HopByHop{.options = {5, 2, 0, 0}}));
  v6_with("destination options", Packet(DestinationOptions{.options = Bytes(20, 0)}));
  v6_with("a route at its end", Packet(Routing{.segments_left = 0, .addresses = visited}));
  v6_with("an atomic fragment", Packet(Fragment{}));
  v6_with("authentication", Packet(Authentication{}));
  v6_with("six extension headers", HopByHop{} / DestinationOptions{} /
                                       Routing{.segments_left = 0, .addresses = visited} /
                                       Fragment{} / Authentication{} / DestinationOptions{});
  add_both(rows, "v6 traffic class and flow label", v6, [](const Address& to, uint8_t ttl) {
    return Packet(
        IPv6{.daddr = to, .hop_limit = ttl, .traffic_class = 0xb9, .flow_label = 0xfffff});
  });
}

void add_payloads(std::vector<Row>& rows, const Wire& wire) {
  const std::string name = wire.text();
  const Payload large(Bytes(1400, 0xa5));
  const Padding padding{Bytes(6, 0xee)};
  const TCP options{.dport = dr_port, .syn = true, .options = Bytes(40, 1)};
  rows.push_back({.name = name + " dr with tcp options",
                  .in = wire.to_vip() / options,
                  .verdict = FORWARD_DR,
                  .out = wire.to_backend() / options});
  rows.push_back({.name = name + " dr of 1400 bytes",
                  .in = wire.to_vip() / UDP{.dport = dr_port} / large,
                  .verdict = FORWARD_DR,
                  .out = wire.to_backend() / UDP{.dport = dr_port} / large});
  rows.push_back({.name = name + " nat of 1400 bytes",
                  .in = wire.to_vip() / UDP{.dport = nat_port} / large,
                  .verdict = FORWARD_NAT,
                  .out = wire.to_nat_backend() / UDP{.dport = nat_backend_port} / large});
  rows.push_back({.name = name + " dr with padding",
                  .in = wire.to_vip() / syn_to(dr_port) / padding,
                  .verdict = FORWARD_DR,
                  .out = wire.to_backend() / syn_to(dr_port) / padding});
  rows.push_back({.name = name + " nat with padding",
                  .in = wire.to_vip() / syn_to(nat_port) / padding,
                  .verdict = FORWARD_NAT,
                  .out = wire.to_nat_backend() / syn_to(nat_backend_port) / padding});
  rows.push_back({.name = name + " dr with TTL 2",
                  .in = wire.to_vip(2) / syn_to(dr_port),
                  .verdict = FORWARD_DR,
                  .out = wire.link(director_mac, backend_mac(dr_backend)) /
                         wire.ip(client_of(wire.family), vip_of(wire.family), 1) /
                         syn_to(dr_port)});
}

uint16_t word_at(const Bytes& bytes, size_t offset) {
  return static_cast<uint16_t>(bytes[offset] << 8 | bytes[offset + 1]);
}

size_t transport_offset(const Wire& wire) { return wire.family == Family::v4 ? 34 : 54; }

uint16_t udp_check(const Wire& wire, const Packet& packet) {
  return word_at(packet.build(), transport_offset(wire) + 6);
}

// A checksum that is wrong by as much as `wrong` is for `came`, for `leaves`.
uint16_t as_wrong(uint16_t wrong, uint16_t came, uint16_t leaves) {
  const Bytes words = {uint8_t(wrong >> 8), uint8_t(wrong),      uint8_t(leaves >> 8),
                       uint8_t(leaves),     uint8_t(~came >> 8), uint8_t(~came)};
  return ones_sum(words);
}

void add_udp_checksums(std::vector<Row>& rows, const Wire& wire) {
  const std::string name = wire.text() + " ";
  const UDP in{.dport = nat_port};
  const UDP out{.dport = nat_backend_port};
  // The payload with which the checksum that leaves is computed to be 0.
  for (uint32_t word = 0; word <= 0xffff; ++word) {
    const Payload payload(Bytes{uint8_t(word >> 8), uint8_t(word)});
    if (udp_check(wire, wire.to_nat_backend() / out / payload) != 0xffff) continue;
    rows.push_back({.name = name + "nat, udp checksum of 0 is sent as ffff",
                    .in = wire.to_vip() / in / payload,
                    .verdict = FORWARD_NAT,
                    .out = wire.to_nat_backend() / out / payload});
    break;
  }
  const Payload payload("hello");
  const uint16_t came = udp_check(wire, wire.to_vip() / in / payload);
  const uint16_t leaves = udp_check(wire, wire.to_nat_backend() / out / payload);
  UDP wrong_in = in;
  UDP wrong_out = out;
  wrong_in.check = 0x1234;
  wrong_out.check = as_wrong(0x1234, came, leaves);
  rows.push_back({.name = name + "nat, wrong udp checksum stays as wrong",
                  .in = wire.to_vip() / wrong_in / payload,
                  .verdict = FORWARD_NAT,
                  .out = wire.to_nat_backend() / wrong_out / payload,
                  .valid = false});
}

void add_tcp_checksums(std::vector<Row>& rows, const Wire& wire) {
  const size_t check = transport_offset(wire) + 16;
  const uint16_t came = word_at((wire.to_vip() / syn_to(nat_port)).build(), check);
  const uint16_t leaves =
      word_at((wire.to_nat_backend() / syn_to(nat_backend_port)).build(), check);
  TCP in = syn_to(nat_port);
  TCP out = syn_to(nat_backend_port);
  in.check = 0x1234;
  out.check = as_wrong(0x1234, came, leaves);
  rows.push_back({.name = wire.text() + " nat, wrong tcp checksum stays as wrong",
                  .in = wire.to_vip() / in,
                  .verdict = FORWARD_NAT,
                  .out = wire.to_nat_backend() / out,
                  .valid = false});
  in.dport = out.dport = dr_port;
  out.check = in.check;
  rows.push_back({.name = wire.text() + " dr, wrong tcp checksum is left alone",
                  .in = wire.to_vip() / in,
                  .verdict = FORWARD_DR,
                  .out = wire.to_backend() / out,
                  .valid = false});
}

// Over IPv4 only (RFC 768): the sender did not compute one, and neither do we.
void add_no_udp_checksum(std::vector<Row>& rows) {
  const Payload page("a page");
  rows.push_back({.name = "v4 nat, no udp checksum",
                  .in = v4.to_vip() / UDP{.dport = nat_port, .check = 0} / page,
                  .verdict = FORWARD_NAT,
                  .out = v4.to_nat_backend() / UDP{.dport = nat_backend_port, .check = 0} / page});
  rows.push_back(
      {.name = "v4 reply, no udp checksum",
       .before = {v4.to_vip() / UDP{.dport = nat_port}},
       .in = v4.from_nat_backend() /
             UDP{.sport = nat_backend_port, .dport = client_port, .check = 0} / page,
       .verdict = FORWARD_REPLY,
       .out = v4.to_client() / UDP{.sport = nat_port, .dport = client_port, .check = 0} / page});
}

}  // namespace

std::vector<Row> header_rows() {
  std::vector<Row> rows;
  add_v4(rows);
  add_v6(rows);
  for (const Wire& wire : {v4, v6}) {
    add_payloads(rows, wire);
    add_udp_checksums(rows, wire);
    add_tcp_checksums(rows, wire);
  }
  add_no_udp_checksum(rows);
  return rows;
}

}  // namespace xlvs::test
