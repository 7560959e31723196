// SPDX-License-Identifier: MIT
// The way back to a NAT client follows the kernel's routes and neighbours, where it knows them.
#include <gtest/gtest.h>
#include <net/if.h>

#include <cstdlib>
#include <fstream>

#include "tests/harness/checksum.h"
#include "tests/harness/describe.h"
#include "tests/packet/cluster.h"
#include "tests/packet/row_name.h"

namespace xlvs::test {
namespace {

constexpr Mac gateway_mac{{0x00, 0x00, 0x5e, 0x00, 0x53, 0x40}};
constexpr Mac other_gateway_mac{{0x00, 0x00, 0x5e, 0x00, 0x53, 0x41}};

// In the network namespace that the cluster has made for this test: a gateway to the client behind
// interface 2.
class Routes : public testing::TestWithParam<Family> {
 public:
  void SetUp() override {
    for (const char* path :
         {"/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding"}) {
      std::ofstream(path) << "1";
    }
    ip("link set lo up");
    ip("link add far type veth peer name farther");
    ip("link set far up");
    ip("link set farther up");
    ip("address add 203.0.113.200/24 dev far");
    ip("address add 2001:db8:f::1/64 dev far nodad");
    ip("route add 198.51.100.0/24 via " + gateway_v4);
    ip("route add 2001:db8:c::/64 via " + gateway_v6);
    set_neighbour(gateway_mac);
    director.live().interfaces[1].ifindex = if_nametoindex("far");
  }

  void TearDown() override { ip("link delete far"); }

  static void ip(const std::string& arguments) {
    ASSERT_EQ(std::system(("ip " + arguments).c_str()), 0) << arguments;  // NOLINT: fixed text
  }

  static void set_neighbour(const Mac& mac) {
    for (const std::string& gateway : {gateway_v4, gateway_v6}) {
      ip("neighbour replace " + gateway + " lladdr " + mac.text() + " dev far nud permanent");
    }
  }

  Outcome open() { return director.run(wire.to_vip() / TCP{.dport = nat_port, .syn = true}); }

  // Sends an answer and expects it to leave by interface 2 to `gateway`.
  void expect_reply_to(const Mac& gateway) {
    TCP answer{.sport = nat_backend_port, .dport = client_port, .syn = true, .ack = true};
    const Outcome outcome = director.run(wire.from_nat_backend() / answer);
    answer.sport = nat_port;
    const Bytes expected = (wire.link(second_director_mac, gateway) /
                            wire.ip(vip_of(wire.family), client_of(wire.family), 63) / answer)
                               .build();
    EXPECT_EQ(verdict_name(outcome.verdict), "FORWARD_REPLY");
    EXPECT_EQ(outcome.action, XDP_REDIRECT);
    EXPECT_EQ(difference(expected, outcome.frame), "");
  }

  static inline const std::string gateway_v4 = "203.0.113.254";
  static inline const std::string gateway_v6 = "2001:db8:f::fe";
  Wire wire{GetParam(), Tags::none};
  Cluster cluster;
  Director& director = cluster.director;
};

INSTANTIATE_TEST_SUITE_P(Families, Routes, testing::ValuesIn(families), family_name);

TEST_P(Routes, ReplyTakesTheKernelsRoute) {
  open();
  expect_reply_to(gateway_mac);
  EXPECT_EQ(director.programs().events(EVENT_REPLY_BY_SYN), 0);
}

TEST_P(Routes, LookedUpAgainWhenTheGenerationDiffers) {
  open();
  set_neighbour(other_gateway_mac);
  expect_reply_to(gateway_mac);
  EXPECT_EQ(director.programs().events(EVENT_REPLY_REROUTED), 0);

  ++director.live().route_generation;
  expect_reply_to(other_gateway_mac);
  expect_reply_to(other_gateway_mac);
  EXPECT_EQ(director.programs().events(EVENT_REPLY_REROUTED), 1);
}

// Also where the backend says nothing else.
TEST_P(Routes, AnErrorOfTheBackendsIsReroutedAsAReplyIs) {
  open();
  set_neighbour(other_gateway_mac);
  ++director.live().route_generation;
  const Packet error = wire.family == Family::v4 ? Packet(ICMP{.type = 3, .code = 3})
                                                 : Packet(ICMPv6{.type = 1, .code = 4});
  const auto quoting = [&](const Address& to, uint16_t port) {
    const TCP syn{.dport = port, .syn = true, .check = 0};
    return error / quote(wire.ip(client_of(wire.family), to, 63) / syn);
  };
  const Outcome outcome = director.run(
      wire.from_nat_backend() / quoting(backend_of(wire.family, nat_backend), nat_backend_port));
  const Bytes expected = (wire.link(second_director_mac, other_gateway_mac) /
                          wire.ip(vip_of(wire.family), client_of(wire.family), 63) /
                          quoting(vip_of(wire.family), nat_port))
                             .build();
  EXPECT_EQ(verdict_name(outcome.verdict), "FORWARD_ICMP_REPLY");
  EXPECT_EQ(outcome.action, XDP_REDIRECT);
  EXPECT_EQ(difference(expected, outcome.frame), "");
  EXPECT_EQ(director.programs().events(EVENT_REPLY_REROUTED), 1);
}

TEST_P(Routes, WithoutANeighbourTheReplyGoesWhereTheSynCameFrom) {
  ip("neighbour del " + (wire.family == Family::v4 ? gateway_v4 : gateway_v6) + " dev far");
  open();
  const TCP answer{.sport = nat_backend_port, .dport = client_port, .ack = true};
  const Outcome outcome = director.run(wire.from_nat_backend() / answer);

  EXPECT_EQ(outcome.action, XDP_TX);
  TCP expected = answer;
  expected.sport = nat_port;
  EXPECT_EQ(difference((wire.to_client() / expected).build(), outcome.frame), "");
  EXPECT_EQ(director.programs().events(EVENT_REPLY_BY_SYN), 1);

  // The agent has resolved it since.
  set_neighbour(gateway_mac);
  ++director.live().route_generation;
  expect_reply_to(gateway_mac);
}

}  // namespace
}  // namespace xlvs::test
