// SPDX-License-Identifier: MIT
// Datagrams in fragments: the first decides, the others follow.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <ostream>

#include "tests/harness/checksum.h"
#include "tests/harness/describe.h"
#include "tests/harness/fragments.h"
#include "tests/packet/cluster.h"
#include "tests/packet/row_name.h"

namespace xlvs::test {
namespace {

constexpr uint32_t second = 1'000'000;  // Director's
constexpr size_t bytes = 4000;          // three fragments

Payload text(size_t size = bytes) {
  Bytes filled(size);
  for (size_t i = 0; i < size; ++i) filled[i] = static_cast<uint8_t>(i * 7 + (i >> 8));
  return Payload(std::move(filled));
}

// One datagram's way.
struct Way {
  std::string name;
  std::vector<Packet> before{};
  Packet in;
  Packet out;
  enum verdict verdict = NEXT;
  xdp_action action = XDP_TX;
  Cut cut{};
};

std::ostream& operator<<(std::ostream& out, const Way& way) { return out << way.name; }

void add_to_backend(std::vector<Way>& ways, const Wire& wire) {
  const std::string name = wire.text();
  ways.push_back({.name = name + " dr",
                  .in = wire.to_vip() / UDP{.dport = dr_port} / text(),
                  .out = wire.to_backend() / UDP{.dport = dr_port} / text(),
                  .verdict = FORWARD_DR});
  ways.push_back({.name = name + " dr by another interface",
                  .in = wire.to_vip() / UDP{.dport = dr_far_port} / text(),
                  .out = wire.to_backend(dr_far_backend, second_director_mac) /
                         UDP{.dport = dr_far_port} / text(),
                  .verdict = FORWARD_DR,
                  .action = XDP_REDIRECT});
  ways.push_back({.name = name + " nat",
                  .in = wire.to_vip() / UDP{.dport = nat_port} / text(),
                  .out = wire.to_nat_backend() / UDP{.dport = nat_backend_port} / text(),
                  .verdict = FORWARD_NAT});
  ways.push_back({.name = name + " nat by another interface",
                  .in = wire.to_vip() / UDP{.dport = nat_far_port} / text(),
                  .out = wire.to_nat_backend(nat_far_backend, second_director_mac) /
                         UDP{.dport = nat_far_backend_port} / text(),
                  .verdict = FORWARD_NAT,
                  .action = XDP_REDIRECT});
  ways.push_back({.name = name + " local",
                  .in = wire.to_vip() / UDP{.dport = local_port} / text(),
                  .out = wire.to_vip() / UDP{.dport = local_port} / text(),
                  .verdict = FORWARD_LOCAL,
                  .action = XDP_PASS});
}

void add_reply(std::vector<Way>& ways, const Wire& wire) {
  ways.push_back({.name = wire.text() + " reply",
                  .before = {wire.to_vip() / UDP{.dport = nat_port}},
                  .in = wire.from_nat_backend() /
                        UDP{.sport = nat_backend_port, .dport = client_port} / text(),
                  .out = wire.to_client() / UDP{.sport = nat_port, .dport = client_port} / text(),
                  .verdict = FORWARD_REPLY});
}

void add_other_transports(std::vector<Way>& ways, const Wire& wire) {
  const auto data_to = [](uint16_t port) {
    return TCP{.dport = port, .seq = 1001, .ack_seq = 77, .psh = true, .ack = true};
  };
  ways.push_back({.name = wire.text() + " tcp by dr",
                  .before = {wire.to_vip() / TCP{.dport = dr_port, .syn = true}},
                  .in = wire.to_vip() / data_to(dr_port) / text(),
                  .out = wire.to_backend() / data_to(dr_port) / text(),
                  .verdict = FORWARD_DR});
  ways.push_back({.name = wire.text() + " tcp by nat",
                  .before = {wire.to_vip() / TCP{.dport = nat_port, .syn = true}},
                  .in = wire.to_vip() / data_to(nat_port) / text(),
                  .out = wire.to_nat_backend() / data_to(nat_backend_port) / text(),
                  .verdict = FORWARD_NAT});
  const SCTP data{.dport = dr_port, .tag = 9, .chunk = 0};
  ways.push_back({.name = wire.text() + " sctp by dr",
                  .before = {wire.to_vip() / SCTP{.dport = dr_port} / initiation()},
                  .in = wire.to_vip() / data / text(),
                  .out = wire.to_backend() / data / text(),
                  .verdict = FORWARD_DR});
}

// Where IPv6's fragment header is not the first and not the last.
void add_extensions(std::vector<Way>& ways) {
  const Wire wire{Family::v6, Tags::none};
  const Packet options = DestinationOptions{.options = Bytes(6, 0)};
  const auto add = [&](const std::string& name, const Packet& extensions, const Cut& cut) {
    ways.push_back(
        {.name = "v6 nat, " + name,
         .in = wire.to_vip() / extensions / UDP{.dport = nat_port} / text(),
         .out = wire.to_nat_backend() / extensions / UDP{.dport = nat_backend_port} / text(),
         .verdict = FORWARD_NAT,
         .cut = cut});
  };
  add("behind options", Packet(HopByHop{}) / options, {.extensions = 16});
  add("in front of options", options, {});
  add("between options", options / options, {.extensions = 8});
  add("reserved bits", {}, {.reserved = 0x3ff});
}

void add_sizes(std::vector<Way>& ways) {
  for (const Family family : families) {
    const Wire wire{family, Tags::none};
    for (const size_t part : {size_t{8}, size_t{16}, size_t{1472}}) {
      const size_t size = part == 1472 ? 1465 : 41;  // the last has one byte
      ways.push_back({.name = wire.text() + " nat in parts of " + std::to_string(part),
                      .in = wire.to_vip() / UDP{.dport = nat_port} / text(size),
                      .out = wire.to_nat_backend() / UDP{.dport = nat_backend_port} / text(size),
                      .verdict = FORWARD_NAT,
                      .cut = {.size = part}});
    }
  }
  const auto with_options = [](const Address& to, uint8_t ttl) {
    return IPv4{.daddr = to, .ttl = ttl, .options = Bytes(8, 1)};
  };
  ways.push_back(
      {.name = "v4 nat with options",
       .in = Packet(Ethernet{}) / with_options(vip, 64) / UDP{.dport = nat_port} / text(),
       .out = Ethernet{.source = director_mac, .destination = backend_mac(nat_backend)} /
              Packet(with_options(backend_of(Family::v4, nat_backend), 63)) /
              UDP{.dport = nat_backend_port} / text(),
       .verdict = FORWARD_NAT});
  ways.push_back(
      {.name = "v4 nat without a checksum",
       .in = Ethernet{} / IPv4{} / UDP{.dport = nat_port, .check = 0} / text(),
       .out = Wire{}.to_nat_backend() / UDP{.dport = nat_backend_port, .check = 0} / text(),
       .verdict = FORWARD_NAT});
}

std::vector<Way> all_ways() {
  std::vector<Way> ways;
  for (const Family family : families) {
    for (const Tags tags : all_tags) {
      const Wire wire{family, tags};
      add_to_backend(ways, wire);
      add_reply(ways, wire);
      add_other_transports(ways, wire);
    }
  }
  add_extensions(ways);
  add_sizes(ways);
  return ways;
}

// Loading takes the kernel longer than all of these.
class Fragments : public testing::Test {
 public:
  static void SetUpTestSuite() { cluster_ = std::make_unique<Cluster>(); }
  static void TearDownTestSuite() { cluster_.reset(); }
  void SetUp() override { director().reset(); }

  static Director& director() { return cluster_->director; }
  static const Cluster& cluster() { return *cluster_; }

  static void expect(const Bytes& in, enum verdict verdict, xdp_action action, const Bytes& out) {
    const Outcome outcome = director().run(in);
    EXPECT_EQ(verdict_name(outcome.verdict), verdict_name(verdict)) << describe(in);
    EXPECT_EQ(outcome.action, action);
    const std::string seen = difference(out, outcome.frame);
    EXPECT_TRUE(seen.empty()) << "out of " << describe(in) << "\n" << seen;
  }
  static void expect_pass(const Bytes& in) { expect(in, PASS_FRAGMENT, XDP_PASS, in); }
  static void expect_drop(const Bytes& in, enum verdict verdict) {
    const Outcome outcome = director().run(in);
    EXPECT_EQ(verdict_name(outcome.verdict), verdict_name(verdict)) << describe(in);
    EXPECT_EQ(outcome.action, XDP_DROP);
  }

 private:
  static std::unique_ptr<Cluster> cluster_;
};
std::unique_ptr<Cluster> Fragments::cluster_;

class Ways : public Fragments, public testing::WithParamInterface<Way> {
 public:
  void SetUp() override {
    Fragments::SetUp();
    in = split(way.in, way.cut);
    out = split(way.out, way.cut);
    ASSERT_GE(in.size(), 2U);
    for (const Packet& packet : way.before) director().run(packet);
  }
  void expect_forward(size_t number) const {
    expect(in[number], way.verdict, way.action, out[number]);
  }

  const Way& way = GetParam();
  std::vector<Bytes> in;
  std::vector<Bytes> out;
};

INSTANTIATE_TEST_SUITE_P(All, Ways, testing::ValuesIn(all_ways()), row_name<Way>);

TEST_P(Ways, FollowTheFirst) {
  for (size_t number = 0; number < in.size(); ++number) expect_forward(number);
}

TEST_P(Ways, FollowInAnyOrder) {
  expect_forward(0);
  for (size_t number = in.size(); number-- > 1;) expect_forward(number);
}

// Independently of what the rows say: put together, it is whole.
TEST_P(Ways, ArriveWhole) {
  std::vector<Bytes> arrived;
  for (const Bytes& fragment : in) arrived.push_back(director().run(fragment).frame);
  const auto whole = join(arrived);
  ASSERT_TRUE(whole);
  EXPECT_EQ(verify(*whole).value_or(""), "");
}

TEST_P(Ways, PassBeforeTheFirst) {
  expect_pass(in.back());
  expect_forward(0);
  expect_forward(1);
}

TEST_P(Ways, AreForgotten) {
  expect_forward(0);
  const bool v4 = director().fragments().at(0).first.protocol != 0;
  director().age_fragments((v4 ? 29 : 59) * second);
  expect_forward(1);
  director().age_fragments(second);
  expect_pass(in[1]);
}

// ---- what is no fragment of it ----

class Families : public Fragments, public testing::WithParamInterface<Family> {
 public:
  [[nodiscard]] Packet to_vip(uint16_t port, uint8_t ttl = 64) const {
    return wire.to_vip(ttl) / UDP{.dport = port} / text();
  }
  [[nodiscard]] flow_key key(uint16_t port) const {
    return key_of({client_of(GetParam()), client_port}, {vip_of(GetParam()), port}, udp);
  }
  Wire wire{GetParam(), Tags::none};
};

INSTANTIATE_TEST_SUITE_P(Both, Families, testing::ValuesIn(families), family_name);

// The packet's layer of IP, changed by hand.
Packet changed(Packet packet, const std::function<void(IPv4&)>& v4,
               const std::function<void(IPv6&)>& v6) {
  for (Layer& layer : packet.layers) {
    if (auto* ip = std::get_if<IPv4>(&layer)) v4(*ip);
    if (auto* ip = std::get_if<IPv6>(&layer)) v6(*ip);
  }
  return packet;
}

TEST_P(Families, AnotherIdIsAnotherDatagram) {
  director().run(split(to_vip(dr_port)).at(0));
  const Packet other = changed(
      to_vip(dr_port), [](IPv4& ip) { ip.id ^= 1; }, [](IPv6&) {});
  expect_pass(split(other, {.id = 0x11234}).at(1));
}

TEST_P(Families, AnotherSourceIsAnotherDatagram) {
  director().run(split(to_vip(dr_port)).at(0));
  const Packet other = changed(
      to_vip(dr_port), [](IPv4& ip) { ip.saddr = "198.51.100.8"_ip; },
      [](IPv6& ip) { ip.saddr = "2001:db8:c::8"_ip; });
  expect_pass(split(other).at(1));
}

TEST_P(Families, AnotherDestinationIsAnotherDatagram) {
  director().run(split(to_vip(dr_port)).at(0));
  const Address to = second_vip_of(GetParam());
  const Packet other = changed(
      to_vip(dr_port), [&](IPv4& ip) { ip.daddr = to; }, [&](IPv6& ip) { ip.daddr = to; });
  expect_pass(split(other).at(1));
}

TEST_F(Fragments, AnotherProtocolOfIpv4IsAnotherDatagram) {
  const Packet datagram = Wire{}.to_vip() / UDP{.dport = dr_port} / text();
  director().run(split(datagram).at(0));
  const Packet other = changed(
      datagram, [](IPv4& ip) { ip.protocol = tcp; }, [](IPv6&) {});
  expect_pass(split(other).at(1));
}

TEST_P(Families, ANewFirstReplacesTheOld) {
  director().run(split(to_vip(dr_port)).at(0));
  const auto next = split(to_vip(nat_port));
  director().run(next.at(0));
  EXPECT_EQ(verdict_name(director().run(next.at(1)).verdict), "FORWARD_NAT");
}

// ---- by tunnels ----

// Behind the outer headers each is what it would be by direct routing.
TEST_P(Families, EachGoesByTheTunnel) {
  for (const TunnelKind& kind : all_tunnels) {
    const Cut cut{.size = 1208};
    const auto in = split(to_vip(kind.port()), cut);
    const auto direct = split(wire.to_backend() / UDP{.dport = kind.port()} / text(), cut);
    for (size_t number = 0; number < in.size(); ++number) {
      const Outcome outcome = director().run(in[number]);
      ASSERT_EQ(verdict_name(outcome.verdict), "FORWARD_TUN") << kind.text();
      const auto size = static_cast<ptrdiff_t>(direct[number].size() - 14);
      const Bytes inside(outcome.frame.end() - size, outcome.frame.end());
      EXPECT_EQ(inside, Bytes(direct[number].end() - size, direct[number].end())) << kind.text();
      EXPECT_EQ(verify(outcome.frame).value_or(""), "") << kind.text();
    }
  }
}

// RFC 1122, 3.2.2: an ICMP error speaks of a first fragment alone.
TEST_P(Families, OnlyAFirstThatDoesNotFitIntoTheTunnelIsAnswered) {
  const auto too_big = split(to_vip(tun_port));
  EXPECT_EQ(verdict_name(director().run(too_big.at(0)).verdict), "REFUSE_TOO_BIG");
  expect_drop(too_big.at(1), DROP_FRAGMENT);
  director().run(split(to_vip(tun_port), {.size = 1208}).at(0));
  expect_drop(too_big.at(1), DROP_TOO_BIG);
}

// ---- what they do not do ----

TEST_P(Families, LaterOnesNeitherConfirmNorTouchAFlow) {
  const auto parts = split(to_vip(dr_port));
  director().run(parts.at(0));
  director().age(key(dr_port), second);
  const auto before = director().pending(key(dr_port));
  for (size_t number = 1; number < parts.size(); ++number) director().run(parts.at(number));
  ASSERT_TRUE(before);
  EXPECT_EQ(director().pending(key(dr_port)).value_or(flow{}).last_seen, before->last_seen);
  EXPECT_FALSE(director().confirmed(key(dr_port)));
  // The next datagram does, as any second packet.
  director().run(parts.at(0));
  EXPECT_TRUE(director().confirmed(key(dr_port)));
}

TEST_P(Families, EachCountsForTheBackend) {
  const uint32_t id = cluster().backend_id(GetParam(), udp, nat_port);
  const backend_counters before = director().programs().counters(id);
  uint64_t sent = 0;
  for (const Bytes& part : split(to_vip(nat_port))) {
    sent += part.size() - 14;
    director().run(part);
  }
  const backend_counters after = director().programs().counters(id);
  EXPECT_EQ(after.packets_in - before.packets_in, 3U);
  EXPECT_EQ(after.bytes_in - before.bytes_in, sent);
}

TEST_P(Families, OnesOfNobodyAreNotRemembered) {
  director().run(split(to_vip(unused_port)).at(0));
  EXPECT_TRUE(director().fragments().empty());
  expect_pass(split(to_vip(unused_port)).at(1));
}

TEST_P(Families, WholePacketsAreNotRemembered) {
  director().run(wire.to_vip() / UDP{.dport = dr_port} / text(100));
  director().run(wire.to_vip() / UDP{.dport = nobody_port} / text(100));
  EXPECT_TRUE(director().fragments().empty());
}

// ---- what is not served ----

TEST_P(Families, RefusedByTheFirst) {
  const auto parts = split(to_vip(nobody_port));
  const Outcome refused = director().run(parts.at(0));
  EXPECT_EQ(verdict_name(refused.verdict), "REFUSE_NO_BACKEND");
  EXPECT_EQ(verify(refused.frame).value_or(""), "");
  expect_drop(parts.at(1), DROP_FRAGMENT);
  expect_drop(parts.at(2), DROP_FRAGMENT);
}

TEST_P(Families, DroppedWithTheFirst) {
  const auto parts = split(to_vip(dr_unresolved_port));
  expect_drop(parts.at(0), DROP_NO_NEIGHBOUR);
  expect_drop(parts.at(1), DROP_FRAGMENT);
}

TEST_P(Families, DroppedWhereTheBackendHasGone) {
  const auto parts = split(to_vip(dr_port));
  director().run(parts.at(0));
  director().set_state(cluster().backend_id(GetParam(), udp, dr_port), BACKEND_GONE);
  expect_drop(parts.at(1), DROP_FRAGMENT);
  director().expire();
  EXPECT_TRUE(director().fragments().empty());
  director().set_state(cluster().backend_id(GetParam(), udp, dr_port), BACKEND_UP);
}

TEST_P(Families, TheSweepForgets) {
  director().run(split(to_vip(dr_port)).at(0));
  director().run(split(to_vip(nobody_port), {.id = 7}).at(0));
  const bool v4 = GetParam() == Family::v4;
  director().age_fragments((v4 ? 29 : 59) * second);
  director().expire();
  EXPECT_EQ(director().fragments().size(), v4 ? 1U : 2U);  // IPv4: of one id
  director().age_fragments(second);
  director().expire();
  EXPECT_TRUE(director().fragments().empty());
}

TEST_P(Families, TtlIsUsedUp) {
  const auto parts = split(to_vip(nat_port));
  director().run(parts.at(0));
  expect_drop(split(to_vip(nat_port, 1)).at(1), DROP_TTL);
  director().run(
      split(wire.from_nat_backend() / UDP{.sport = nat_backend_port, .dport = client_port} / text())
          .at(0));
  expect_drop(split(wire.from_nat_backend(nat_backend, 1) /
                    UDP{.sport = nat_backend_port, .dport = client_port} / text())
                  .at(1),
              DROP_TTL);
}

TEST_F(Fragments, WrongHeaderChecksum) {
  const Packet datagram = Wire{}.to_vip() / UDP{.dport = dr_port} / text();
  auto parts = split(datagram);
  director().run(parts.at(0));
  parts.at(1).at(14 + 10) ^= 1;
  expect_drop(parts.at(1), DROP_BAD_CHECKSUM);
}

TEST_P(Families, CutShort) {
  auto parts = split(to_vip(dr_port));
  director().run(parts.at(0));
  parts.at(1).pop_back();
  const Outcome outcome = director().run(parts.at(1));
  EXPECT_EQ(verdict_name(outcome.verdict), "PASS_MALFORMED");
}

// ---- SCTP by NAT: its checksum is over what the first fragment does not hold ----

TEST_P(Families, SctpByNatToAnotherPort) {
  director().run(wire.to_vip() / SCTP{.dport = nat_port} / initiation());
  const auto parts = split(wire.to_vip() / SCTP{.dport = nat_port, .tag = 9, .chunk = 0} / text());
  expect_drop(parts.at(0), DROP_SCTP_FRAGMENT);
  expect_drop(parts.at(1), DROP_FRAGMENT);
  const auto back = split(wire.from_nat_backend() /
                          SCTP{.sport = nat_backend_port, .dport = client_port, .tag = 9} / text());
  expect_drop(back.at(0), DROP_SCTP_FRAGMENT);
  expect_drop(back.at(1), DROP_FRAGMENT);
}

// ---- services that give each packet to a backend anew ----

TEST_P(Families, OnePacketIsOneDatagram) {
  Cluster own;
  Director& director = own.director;
  constexpr uint16_t port = 7000;
  std::vector<uint32_t> turns;
  for (const uint8_t number : {uint8_t{21}, uint8_t{22}, uint8_t{23}}) {
    turns.push_back(director.add_backend(
        {.endpoint = {backend_of(GetParam(), number), port}, .mac = backend_mac(number)}));
  }
  const uint32_t service = director.add_service({vip_of(GetParam()), port}, udp, turns);
  director.set_one_packet(service);
  std::vector<uint8_t> chosen;
  for (uint16_t id = 1; id <= 3; ++id) {
    const Packet datagram = changed(
        to_vip(port), [&](IPv4& ip) { ip.id = id; }, [](IPv6&) {});
    std::vector<uint8_t> to;
    for (const Bytes& part : split(datagram, {.id = id})) {
      to.push_back(director.run(part).frame.at(5));
    }
    EXPECT_EQ(to, std::vector<uint8_t>(3, to.at(0))) << "datagram " << id;
    chosen.push_back(to.at(0));
  }
  EXPECT_EQ(chosen, (std::vector<uint8_t>{0x80 + 21, 0x80 + 22, 0x80 + 23}));
}

// ---- a table too small ----

TEST_P(Families, WhatIsEvictedPasses) {
  Cluster own({.fragments = 64});
  Director& director = own.director;
  const auto parts = split(to_vip(dr_port));
  director.run(parts.at(0));
  for (uint16_t id = 0; id < 2000; ++id) {
    const Packet other = changed(
        to_vip(dr_port), [&](IPv4& ip) { ip.id = uint16_t(20'000 + id); }, [](IPv6&) {});
    director.run(split(other, {.id = 20'000U + id}).at(0));
  }
  EXPECT_EQ(verdict_name(director.run(parts.at(1)).verdict), "PASS_FRAGMENT");
  EXPECT_LE(director.fragments().size(), 64U);
}

}  // namespace
}  // namespace xlvs::test
