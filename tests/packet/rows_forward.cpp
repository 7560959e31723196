// SPDX-License-Identifier: MIT
// What a backend gets, and what the client gets back: direct routing, NAT, the director itself.
#include "tests/packet/row.h"

namespace xlvs::test {
namespace {

TCP syn_to(uint16_t port) { return {.dport = port, .syn = true, .options = {2, 4, 5, 180}}; }

Packet init_to(uint16_t port) { return SCTP{.dport = port} / initiation(); }

void add_dr(std::vector<Row>& rows, const Wire& wire) {
  const std::string name = wire.text() + " dr: ";
  const Payload query("query");
  rows.push_back({.name = name + "INIT",
                  .in = wire.to_vip() / init_to(dr_port) / query,
                  .verdict = FORWARD_DR,
                  .out = wire.to_backend() / init_to(dr_port) / query});
  rows.push_back({.name = name + "SYN",
                  .in = wire.to_vip() / syn_to(dr_port),
                  .verdict = FORWARD_DR,
                  .out = wire.to_backend() / syn_to(dr_port)});
  rows.push_back({.name = name + "UDP",
                  .in = wire.to_vip() / UDP{.dport = dr_port} / query,
                  .verdict = FORWARD_DR,
                  .out = wire.to_backend() / UDP{.dport = dr_port} / query});
  rows.push_back({.name = name + "SYN by another interface",
                  .in = wire.to_vip() / syn_to(dr_far_port),
                  .verdict = FORWARD_DR,
                  .out = wire.to_backend(dr_far_backend, second_director_mac) / syn_to(dr_far_port),
                  .redirected = true});
  for (const uint16_t port : {dr_port, range_port}) {
    const TCP ack{.dport = port, .seq = 1001, .ack_seq = 77, .psh = true, .ack = true};
    rows.push_back({.name = name + "data after a SYN to " + std::to_string(port),
                    .before = {wire.to_vip() / syn_to(port)},
                    .in = wire.to_vip() / ack / query,
                    .verdict = FORWARD_DR,
                    .out = wire.to_backend() / ack / query});
  }
}

void add_nat(std::vector<Row>& rows, const Wire& wire) {
  const std::string name = wire.text() + " nat: ";
  const Payload query("query");
  rows.push_back({.name = name + "SYN",
                  .in = wire.to_vip() / syn_to(nat_port),
                  .verdict = FORWARD_NAT,
                  .out = wire.to_nat_backend() / syn_to(nat_backend_port)});
  rows.push_back({.name = name + "UDP",
                  .in = wire.to_vip() / UDP{.dport = nat_port} / query,
                  .verdict = FORWARD_NAT,
                  .out = wire.to_nat_backend() / UDP{.dport = nat_backend_port} / query});
  rows.push_back({.name = name + "SYN by another interface",
                  .in = wire.to_vip() / syn_to(nat_far_port),
                  .verdict = FORWARD_NAT,
                  .out = wire.to_nat_backend(nat_far_backend, second_director_mac) /
                         syn_to(nat_far_backend_port),
                  .redirected = true});
  // Its checksum is over the whole packet, whatever its length.
  for (const size_t size : {size_t{0}, size_t{1}, size_t{3}, size_t{20}, size_t{1400}}) {
    const Payload data(Bytes(size, 0x5a));
    rows.push_back({.name = name + "INIT with " + std::to_string(size) + " bytes",
                    .in = wire.to_vip() / init_to(nat_port) / data,
                    .verdict = FORWARD_NAT,
                    .out = wire.to_nat_backend() / init_to(nat_backend_port) / data});
  }
  rows.push_back({.name = name + "COOKIE ECHO after an INIT",
                  .before = {wire.to_vip() / init_to(nat_port)},
                  .in = wire.to_vip() / SCTP{.dport = nat_port, .tag = 9, .chunk = 10} / query,
                  .verdict = FORWARD_NAT,
                  .out = wire.to_nat_backend() /
                         SCTP{.dport = nat_backend_port, .tag = 9, .chunk = 10} / query});
  const TCP ack{.seq = 1001, .ack_seq = 77, .psh = true, .ack = true};
  TCP in = ack;
  in.dport = nat_port;
  TCP out = ack;
  out.dport = nat_backend_port;
  rows.push_back({.name = name + "data after a SYN",
                  .before = {wire.to_vip() / syn_to(nat_port)},
                  .in = wire.to_vip() / in / query,
                  .verdict = FORWARD_NAT,
                  .out = wire.to_nat_backend() / out / query});
}

void add_reply(std::vector<Row>& rows, const Wire& wire) {
  const std::string name = wire.text() + " reply: ";
  const Payload page("a page");
  const TCP to_client{.sport = nat_port, .dport = client_port, .syn = true, .ack = true};
  TCP from_backend = to_client;
  from_backend.sport = nat_backend_port;
  const Packet syn = wire.to_vip() / syn_to(nat_port);
  const Packet ack = wire.to_vip() / TCP{.dport = nat_port, .ack = true};
  rows.push_back({.name = name + "SYN ACK",
                  .before = {syn},
                  .in = wire.from_nat_backend() / from_backend,
                  .verdict = FORWARD_REPLY,
                  .out = wire.to_client() / to_client});
  rows.push_back({.name = name + "of a confirmed flow",
                  .before = {syn, ack},
                  .in = wire.from_nat_backend() / from_backend / page,
                  .verdict = FORWARD_REPLY,
                  .out = wire.to_client() / to_client / page});
  rows.push_back(
      {.name = name + "UDP",
       .before = {wire.to_vip() / UDP{.dport = nat_port}},
       .in = wire.from_nat_backend() / UDP{.sport = nat_backend_port, .dport = client_port} / page,
       .verdict = FORWARD_REPLY,
       .out = wire.to_client() / UDP{.sport = nat_port, .dport = client_port} / page});
  rows.push_back(
      {.name = name + "INIT ACK",
       .before = {wire.to_vip() / init_to(nat_port)},
       .in = wire.from_nat_backend() /
             SCTP{.sport = nat_backend_port, .dport = client_port, .chunk = 2} / page,
       .verdict = FORWARD_REPLY,
       .out = wire.to_client() / SCTP{.sport = nat_port, .dport = client_port, .chunk = 2} / page});
  // The client came by interface 1; what comes in now comes by interface 2.
  const auto by_interface_2 = [](Cluster& cluster) {
    settings& live = cluster.director.live();
    live.interfaces[0].ifindex = 2;
    live.interfaces[1].ifindex = 1;
  };
  rows.push_back({.name = name + "by another interface",
                  .before = {syn},
                  .in = wire.link(backend_mac(nat_backend), second_director_mac) /
                        wire.ip(backend_of(wire.family, nat_backend), client_of(wire.family), 64) /
                        from_backend,
                  .verdict = FORWARD_REPLY,
                  .out = wire.to_client() / to_client,
                  .redirected = true,
                  .prepare = by_interface_2});
}

void add_local(std::vector<Row>& rows, const Wire& wire) {
  const std::string name = wire.text() + " local: ";
  rows.push_back(
      {.name = name + "SYN", .in = wire.to_vip() / syn_to(local_port), .verdict = FORWARD_LOCAL});
  rows.push_back(
      {.name = name + "INIT", .in = wire.to_vip() / init_to(local_port), .verdict = FORWARD_LOCAL});
  rows.push_back({.name = name + "UDP",
                  .in = wire.to_vip() / UDP{.dport = local_port} / Payload("query"),
                  .verdict = FORWARD_LOCAL});
  rows.push_back({.name = name + "ACK after a SYN",
                  .before = {wire.to_vip() / syn_to(local_port)},
                  .in = wire.to_vip() / TCP{.dport = local_port, .ack = true},
                  .verdict = FORWARD_LOCAL});
  // The stack does not forward it, so it may come at the end of its way.
  rows.push_back({.name = name + "TTL 1",
                  .in = wire.to_vip(1) / syn_to(local_port),
                  .verdict = FORWARD_LOCAL});
}

}  // namespace

std::vector<Row> forward_rows() {
  std::vector<Row> rows;
  for_each_wire([&](const Wire& wire) {
    add_dr(rows, wire);
    add_nat(rows, wire);
    add_reply(rows, wire);
    add_local(rows, wire);
  });
  return rows;
}

}  // namespace xlvs::test
