// SPDX-License-Identifier: MIT
// What a client's SYN announces as its maximum segment size, and what the backend gets to see.
#include "tests/packet/row.h"

namespace xlvs::test {
namespace {

Bytes mss(uint16_t size) { return {2, 4, uint8_t(size >> 8), uint8_t(size)}; }

Bytes operator+(Bytes some, const Bytes& more) {
  some.insert(some.end(), more.begin(), more.end());
  return some;
}

struct Case {
  std::string name;
  Bytes in;
  Bytes out;
};

// The checksum's words begin at even places, so the place matters.
std::vector<Case> cases() {
  const Bytes nop(1, 1);
  const Bytes sack_permitted{4, 2};
  const Bytes stamps{8, 10, 1, 2, 3, 4, 5, 6, 7, 8};
  std::vector<Case> all = {
      {"is lowered", mss(1460), mss(clamped_mss)},
      {"is one more", mss(clamped_mss + 1), mss(clamped_mss)},
      {"is as much", mss(clamped_mss), mss(clamped_mss)},
      {"is one less", mss(clamped_mss - 1), mss(clamped_mss - 1)},
      {"is less", mss(536), mss(536)},
      {"is the most there is", mss(65535), mss(clamped_mss)},
      {"is behind others", sack_permitted + stamps + mss(1460),
       sack_permitted + stamps + mss(clamped_mss)},
      {"is at the end",
       stamps + stamps + stamps + sack_permitted + sack_permitted + nop + nop + mss(1460),
       stamps + stamps + stamps + sack_permitted + sack_permitted + nop + nop + mss(clamped_mss)},
      {"is behind the end of options", Bytes{0} + mss(1460), Bytes{0} + mss(1460)},
      {"is behind an option of length 0", Bytes{9, 0} + mss(1460), Bytes{9, 0} + mss(1460)},
      {"is behind an option of length 1", Bytes{9, 1} + mss(1460), Bytes{9, 1} + mss(1460)},
      {"is behind an option that is too long", Bytes{9, 60} + mss(1460), Bytes{9, 60} + mss(1460)},
      {"is of another length", Bytes{2, 3, 5} + Bytes{180}, Bytes{2, 3, 5} + Bytes{180}},
      {"is cut off by the header's end", Bytes(37, 1) + Bytes{2, 4, 5},
       Bytes(37, 1) + Bytes{2, 4, 5}},
      {"is not there", {}, {}},
  };
  for (size_t nops = 1; nops <= 8; ++nops) {
    all.push_back({"is behind " + std::to_string(nops) + " without operation",
                   Bytes(nops, 1) + mss(1460), Bytes(nops, 1) + mss(clamped_mss)});
  }
  return all;
}

TCP syn(uint16_t port, const Bytes& options) {
  return {.dport = port, .syn = true, .options = options};
}

void add(std::vector<Row>& rows, const Wire& wire) {
  const auto name = [&](const std::string& way, const std::string& rest) {
    return wire.text() + " " + way + ": mss " + rest;
  };
  Packet tunnel = IPv6{.saddr = director_of(wire.family),
                       .daddr = backend_of(wire.family, tun_backend),
                       .hop_limit = 63};
  if (wire.family == Family::v4) {
    tunnel = IPv4{.saddr = director_of(wire.family),
                  .daddr = backend_of(wire.family, tun_backend),
                  .ttl = 63};
  }
  const Packet inside = wire.ip(client_of(wire.family), vip_of(wire.family), 63);
  for (const Case& one : cases()) {
    rows.push_back({.name = name("dr", one.name),
                    .in = wire.to_vip() / syn(dr_mss_port, one.in),
                    .verdict = FORWARD_DR,
                    .out = wire.to_backend(dr_mss_backend) / syn(dr_mss_port, one.out)});
    rows.push_back({.name = name("nat", one.name),
                    .in = wire.to_vip() / syn(nat_mss_port, one.in),
                    .verdict = FORWARD_NAT,
                    .out = wire.to_nat_backend(nat_mss_backend) / syn(nat_backend_port, one.out)});
    rows.push_back({.name = name("tun", one.name),
                    .in = wire.to_vip() / syn(tun_mss_port, one.in),
                    .verdict = FORWARD_TUN,
                    .out = wire.link(director_mac, backend_mac(tun_backend)) / tunnel / inside /
                           syn(tun_mss_port, one.out),
                    .in_tunnel = true});
  }
  // Only the client's SYN says what it takes.
  TCP ack = syn(dr_mss_port, mss(1460));
  ack.syn = false;
  ack.ack = true;
  rows.push_back({.name = name("dr", "of an ACK stays"),
                  .before = {wire.to_vip() / syn(dr_mss_port, {})},
                  .in = wire.to_vip() / ack,
                  .verdict = FORWARD_DR,
                  .out = wire.to_backend(dr_mss_backend) / ack});
}

}  // namespace

std::vector<Row> mss_rows() {
  std::vector<Row> rows;
  for_each_wire([&](const Wire& wire) { add(rows, wire); });
  return rows;
}

}  // namespace xlvs::test
