// SPDX-License-Identifier: MIT
// Frames of MTU 9000: the driver hands them over in several buffers, of which the program sees the
// first.
#include "tests/packet/row.h"

namespace xlvs::test {
namespace {

Payload much() {
  Bytes bytes(8900);
  for (size_t at = 0; at < bytes.size(); ++at) bytes[at] = static_cast<uint8_t>(at % 251);
  return Payload(bytes);
}

void add_forwarded(std::vector<Row>& rows, const Wire& wire) {
  const std::string name = wire.text() + " jumbo: ";
  const TCP syn{.dport = dr_port, .syn = true};
  const TCP data{.dport = dr_port, .seq = 1001, .ack_seq = 77, .psh = true, .ack = true};
  TCP nat_syn = syn;
  nat_syn.dport = nat_port;
  TCP nat_in = data;
  nat_in.dport = nat_port;
  TCP nat_out = data;
  nat_out.dport = nat_backend_port;
  rows.push_back({.name = name + "dr",
                  .before = {wire.to_vip() / syn},
                  .in = wire.to_vip() / data / much(),
                  .verdict = FORWARD_DR,
                  .out = wire.to_backend() / data / much()});
  rows.push_back({.name = name + "dr, UDP",
                  .in = wire.to_vip() / UDP{.dport = dr_port} / much(),
                  .verdict = FORWARD_DR,
                  .out = wire.to_backend() / UDP{.dport = dr_port} / much()});
  rows.push_back({.name = name + "nat",
                  .before = {wire.to_vip() / nat_syn},
                  .in = wire.to_vip() / nat_in / much(),
                  .verdict = FORWARD_NAT,
                  .out = wire.to_nat_backend() / nat_out / much()});
  rows.push_back({.name = name + "nat, UDP",
                  .in = wire.to_vip() / UDP{.dport = nat_port} / much(),
                  .verdict = FORWARD_NAT,
                  .out = wire.to_nat_backend() / UDP{.dport = nat_backend_port} / much()});
  const TCP page{.sport = nat_backend_port, .dport = client_port, .ack = true};
  TCP translated = page;
  translated.sport = nat_port;
  rows.push_back({.name = name + "reply",
                  .before = {wire.to_vip() / nat_syn},
                  .in = wire.from_nat_backend() / page / much(),
                  .verdict = FORWARD_REPLY,
                  .out = wire.to_client() / translated / much()});
  rows.push_back({.name = name + "local",
                  .in = wire.to_vip() / UDP{.dport = local_port} / much(),
                  .verdict = FORWARD_LOCAL});
}

// Answers are small: the buffers behind the first are given back.
void add_refused(std::vector<Row>& rows, const Wire& wire) {
  const std::string name = wire.text() + " jumbo: ";
  const TCP ack{.dport = dr_port, .seq = 5, .ack_seq = 0xfedcba98, .ack = true};
  rows.push_back({.name = name + "reset",
                  .in = wire.to_vip() / ack / much(),
                  .verdict = REFUSE_NO_FLOW,
                  .out = wire.answer() / TCP{.sport = dr_port,
                                             .dport = client_port,
                                             .seq = 0xfedcba98,
                                             .rst = true,
                                             .window = 0}});
  const TCP fin{.dport = dr_port, .seq = 5, .fin = true};
  rows.push_back({.name = name + "reset, all data is acknowledged",
                  .in = wire.to_vip() / fin / much(),
                  .verdict = REFUSE_NO_FLOW,
                  .out = wire.answer() / TCP{.sport = dr_port,
                                             .dport = client_port,
                                             .seq = 0,
                                             .ack_seq = 8906,
                                             .rst = true,
                                             .ack = true,
                                             .window = 0}});
  const Packet in = wire.to_vip() / UDP{.dport = nobody_port} / much();
  const size_t headers = wire.family == Family::v4 ? 20 : 40;
  rows.push_back(
      {.name = name + "unreachable",
       .in = in,
       .verdict = REFUSE_NO_BACKEND,
       .out = wire.family == Family::v4
                  ? wire.answer() / ICMP{.type = 3, .code = 3} / quote(in, headers + 8)
                  : wire.answer() / ICMPv6{.type = 1, .code = 4} / quote(in, headers + 8)});
  rows.push_back({.name = name + "none of ours",
                  .in = wire.to_vip() / UDP{.dport = 1} / much(),
                  .verdict = PASS_NO_SERVICE});
}

}  // namespace

std::vector<Row> jumbo_rows() {
  std::vector<Row> rows;
  for_each_wire([&](const Wire& wire) {
    add_forwarded(rows, wire);
    add_refused(rows, wire);
  });
  return rows;
}

}  // namespace xlvs::test
