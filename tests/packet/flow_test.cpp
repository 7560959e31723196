// SPDX-License-Identifier: MIT
// What is remembered of a flow: when it is confirmed, how it ends, and that it stays with its
// backend in between.
#include <gtest/gtest.h>

#include <ostream>

#include "tests/packet/cluster.h"
#include "tests/packet/row_name.h"

static bool operator==(const connections& a, const connections& b) {
  return a.active == b.active && a.inactive == b.inactive && a.pending_active == b.pending_active &&
         a.pending_inactive == b.pending_inactive;
}

static std::ostream& operator<<(std::ostream& out, const connections& open) {
  return out << open.active << " active, " << open.inactive << " inactive, " << open.pending_active
             << " and " << open.pending_inactive << " pending";
}

namespace xlvs::test {
namespace {

constexpr uint16_t pair_port = 8000;      // dr, two backends in turn
constexpr uint16_t nat_pair_port = 8001;  // nat, two backends in turn, on both vips
constexpr uint8_t first = 11;
constexpr uint8_t second = 12;

constexpr connections none{};
constexpr connections one_active{.active = 1};
constexpr connections one_inactive{.inactive = 1};
constexpr connections one_pending{.pending_active = 1};
constexpr connections one_pending_udp{.pending_inactive = 1};

class Flows : public testing::TestWithParam<Family> {
 public:
  explicit Flows(const Sizes& sizes = {}) : cluster(sizes) {
    for (const uint8_t protocol : {tcp, udp}) {
      std::vector<uint32_t> turns;
      std::vector<uint32_t> nat_turns;
      for (const uint8_t number : {first, second}) {
        turns.push_back(director.add_backend(
            {.endpoint = {backend_of(family, number), pair_port}, .mac = backend_mac(number)}));
        nat_turns.push_back(
            director.add_backend({.endpoint = {backend_of(family, number), nat_pair_port},
                                  .forward = FORWARDING_NAT,
                                  .mac = backend_mac(number)}));
      }
      director.add_service({vip_of(family), pair_port}, protocol, turns);
      director.add_service({vip_of(family), nat_pair_port}, protocol, nat_turns);
      director.add_service({second_vip_of(family), nat_pair_port}, protocol, nat_turns);
      (protocol == tcp ? pair : udp_pair) = turns;
    }
  }

  Outcome send(const TCP& header) { return director.run(wire.to_vip() / header); }
  Outcome send(const UDP& header) { return director.run(wire.to_vip() / header); }
  Outcome send(const SCTP& header) {
    const Packet content = header.chunk == 1 ? Packet(initiation()) : Packet();
    return director.run(wire.to_vip() / header / content);
  }
  // Opens and confirms a flow.
  void establish(uint16_t port, uint16_t from = client_port) {
    send(TCP{.sport = from, .dport = port, .syn = true});
    send(TCP{.sport = from, .dport = port, .ack = true});
  }
  [[nodiscard]] flow_key key(uint16_t port, uint8_t protocol = tcp,
                             uint16_t from = client_port) const {
    return key_of({client_of(family), from}, {vip_of(family), port}, protocol);
  }
  [[nodiscard]] flow_key reply_key(uint8_t protocol = tcp) const {
    return key_of({client_of(family), client_port},
                  {backend_of(family, nat_backend), nat_backend_port}, protocol, DIRECTION_REPLY);
  }
  // The backend by the MAC address that a frame left to.
  static int number_of(const Outcome& outcome) { return outcome.frame.at(5) - 0x80; }
  static int state_of(const std::optional<flow>& record) {
    return record ? static_cast<int>(flow_state(record->word)) : -1;
  }
  [[nodiscard]] uint32_t id(uint16_t port, uint8_t protocol = tcp) const {
    return cluster.backend_id(family, protocol, port);
  }

  Family family = GetParam();
  Wire wire{family, Tags::none};
  Cluster cluster;
  Director& director = cluster.director;
  std::vector<uint32_t> pair;
  std::vector<uint32_t> udp_pair;
};

INSTANTIATE_TEST_SUITE_P(Families, Flows, testing::ValuesIn(families), family_name);

TEST_P(Flows, SynIsPending) {
  send(TCP{.dport = dr_port, .syn = true});

  EXPECT_EQ(state_of(director.pending(key(dr_port))), FLOW_SYN);
  EXPECT_FALSE(director.confirmed(key(dr_port)));
  EXPECT_EQ(director.open(id(dr_port)), one_pending);
}

TEST_P(Flows, RepeatedSynDoesNotConfirm) {
  EXPECT_EQ(number_of(send(TCP{.dport = pair_port, .syn = true})), first);
  EXPECT_EQ(number_of(send(TCP{.dport = pair_port, .syn = true})), first);

  EXPECT_EQ(state_of(director.pending(key(pair_port))), FLOW_SYN);
  EXPECT_FALSE(director.confirmed(key(pair_port)));
  EXPECT_EQ(director.open(pair[0]), one_pending);
  EXPECT_EQ(director.open(pair[1]), none);
}

TEST_P(Flows, AckConfirms) {
  establish(dr_port);

  EXPECT_EQ(state_of(director.confirmed(key(dr_port))), FLOW_ESTABLISHED);
  EXPECT_FALSE(director.pending(key(dr_port)));
  EXPECT_EQ(director.open(id(dr_port)), one_active);
}

TEST_P(Flows, NatRecordsBothDirections) {
  send(TCP{.dport = nat_port, .syn = true});
  EXPECT_TRUE(director.pending(key(nat_port)));
  EXPECT_TRUE(director.pending(reply_key()));

  send(TCP{.dport = nat_port, .ack = true});
  EXPECT_TRUE(director.confirmed(key(nat_port)));
  EXPECT_TRUE(director.confirmed(reply_key()));
  EXPECT_FALSE(director.pending(key(nat_port)));
  EXPECT_FALSE(director.pending(reply_key()));
  EXPECT_EQ(director.open(id(nat_port)), one_active);
}

// Chunks as a client sends them: INIT 1, COOKIE ECHO 10, SHUTDOWN 7, its end 14; ABORT 6.
TEST_P(Flows, SctpOpensWithInitAndIsConfirmedByWhatFollows) {
  send(SCTP{.dport = dr_port, .chunk = 1});
  send(SCTP{.dport = dr_port, .chunk = 1});
  EXPECT_EQ(state_of(director.pending(key(dr_port, sctp))), FLOW_SYN);
  // IPVS counts an association as active once it is established.
  EXPECT_EQ(director.open(id(dr_port, sctp)), (connections{.pending_inactive = 1}));

  send(SCTP{.dport = dr_port, .chunk = 10});
  EXPECT_EQ(state_of(director.confirmed(key(dr_port, sctp))), FLOW_ESTABLISHED);
  EXPECT_EQ(director.open(id(dr_port, sctp)), one_active);
}

TEST_P(Flows, SctpEndsWithShutdownAndAbort) {
  send(SCTP{.dport = dr_port, .chunk = 1});
  send(SCTP{.dport = dr_port, .chunk = 10});
  send(SCTP{.dport = dr_port, .chunk = 7});
  EXPECT_EQ(state_of(director.confirmed(key(dr_port, sctp))), FLOW_FIN);
  EXPECT_EQ(director.open(id(dr_port, sctp)), one_inactive);
  send(SCTP{.dport = dr_port, .chunk = 14});
  EXPECT_EQ(state_of(director.confirmed(key(dr_port, sctp))), FLOW_CLOSED);
  // An INIT is then a new association's.
  send(SCTP{.dport = dr_port, .chunk = 1});
  EXPECT_EQ(state_of(director.pending(key(dr_port, sctp))), FLOW_SYN);
  EXPECT_FALSE(director.confirmed(key(dr_port, sctp)));
  send(SCTP{.dport = dr_port, .chunk = 10});
  send(SCTP{.dport = dr_port, .chunk = 6});
  EXPECT_EQ(state_of(director.confirmed(key(dr_port, sctp))), FLOW_CLOSED);
}

TEST_P(Flows, SecondUdpPacketConfirms) {
  send(UDP{.dport = dr_port});
  EXPECT_EQ(state_of(director.pending(key(dr_port, udp))), FLOW_UDP);
  EXPECT_EQ(director.open(id(dr_port, udp)), one_pending_udp);

  send(UDP{.dport = dr_port});
  EXPECT_EQ(state_of(director.confirmed(key(dr_port, udp))), FLOW_UDP);
  EXPECT_FALSE(director.pending(key(dr_port, udp)));
  // IPVS counts UDP as inactive.
  EXPECT_EQ(director.open(id(dr_port, udp)), one_inactive);
}

TEST_P(Flows, FinMakesItInactive) {
  establish(dr_port);
  EXPECT_EQ(send(TCP{.dport = dr_port, .fin = true, .ack = true}).verdict, FORWARD_DR);

  EXPECT_EQ(state_of(director.confirmed(key(dr_port))), FLOW_FIN);
  EXPECT_EQ(director.open(id(dr_port)), one_inactive);
  // The last ACK is still the flow's.
  EXPECT_EQ(send(TCP{.dport = dr_port, .ack = true}).verdict, FORWARD_DR);
  EXPECT_EQ(state_of(director.confirmed(key(dr_port))), FLOW_FIN);
}

TEST_P(Flows, FinRightAfterSyn) {
  send(TCP{.dport = dr_port, .syn = true});
  send(TCP{.dport = dr_port, .fin = true, .ack = true});

  EXPECT_EQ(state_of(director.confirmed(key(dr_port))), FLOW_FIN);
  EXPECT_EQ(director.open(id(dr_port)), one_inactive);
}

TEST_P(Flows, ResetIsForwardedAndCloses) {
  establish(dr_port);
  EXPECT_EQ(send(TCP{.dport = dr_port, .rst = true}).verdict, FORWARD_DR);

  EXPECT_EQ(state_of(director.confirmed(key(dr_port))), FLOW_CLOSED);
  EXPECT_EQ(director.open(id(dr_port)), one_inactive);
  // It may have been forged, so what comes still goes to the same backend, and revives nothing.
  EXPECT_EQ(send(TCP{.dport = dr_port, .ack = true}).verdict, FORWARD_DR);
  EXPECT_EQ(state_of(director.confirmed(key(dr_port))), FLOW_CLOSED);
}

TEST_P(Flows, ResetOfAnOpeningIsForwardedAndCloses) {
  send(TCP{.dport = dr_port, .syn = true});
  EXPECT_EQ(send(TCP{.dport = dr_port, .rst = true}).verdict, FORWARD_DR);
  EXPECT_EQ(state_of(director.pending(key(dr_port))), FLOW_CLOSED);

  send(TCP{.dport = dr_port, .ack = true});
  const auto record = director.confirmed(key(dr_port));
  EXPECT_EQ(state_of(record ? record : director.pending(key(dr_port))), FLOW_CLOSED);
}

TEST_P(Flows, SynOfAnEstablishedFlowStays) {
  establish(pair_port);

  EXPECT_EQ(number_of(send(TCP{.dport = pair_port, .syn = true})), first);
  EXPECT_EQ(state_of(director.confirmed(key(pair_port))), FLOW_ESTABLISHED);
  EXPECT_EQ(director.open(pair[0]), one_active);
}

TEST_P(Flows, SynAfterFinIsNew) {
  establish(pair_port);
  send(TCP{.dport = pair_port, .fin = true, .ack = true});

  EXPECT_EQ(number_of(send(TCP{.dport = pair_port, .syn = true})), second);
  EXPECT_FALSE(director.confirmed(key(pair_port)));
  EXPECT_EQ(state_of(director.pending(key(pair_port))), FLOW_SYN);
  EXPECT_EQ(director.open(pair[0]), none);
  EXPECT_EQ(director.open(pair[1]), one_pending);
}

TEST_P(Flows, SynAfterResetIsNew) {
  establish(pair_port);
  send(TCP{.dport = pair_port, .rst = true});

  EXPECT_EQ(number_of(send(TCP{.dport = pair_port, .syn = true})), second);
  EXPECT_EQ(director.open(pair[0]), none);
  EXPECT_EQ(director.open(pair[1]), one_pending);
}

TEST_P(Flows, SynAfterResetOfAnOpeningIsNew) {
  send(TCP{.dport = pair_port, .syn = true});
  send(TCP{.dport = pair_port, .rst = true});

  EXPECT_EQ(number_of(send(TCP{.dport = pair_port, .syn = true})), second);
  EXPECT_EQ(director.open(pair[0]), none);
  EXPECT_EQ(director.open(pair[1]), one_pending);
}

TEST_P(Flows, NewFlowAfterNatLeavesNoOldReply) {
  establish(nat_port);
  send(TCP{.dport = nat_port, .fin = true, .ack = true});
  send(TCP{.dport = nat_port, .syn = true});

  EXPECT_FALSE(director.confirmed(reply_key()));
  EXPECT_TRUE(director.pending(reply_key()));
  EXPECT_EQ(director.open(id(nat_port)), one_pending);
}

TEST_P(Flows, FinOfTheBackendCloses) {
  establish(nat_port);
  const TCP fin{.sport = nat_backend_port, .dport = client_port, .fin = true, .ack = true};
  EXPECT_EQ(director.run(wire.from_nat_backend() / fin).verdict, FORWARD_REPLY);

  EXPECT_EQ(state_of(director.confirmed(key(nat_port))), FLOW_FIN);
  EXPECT_EQ(director.open(id(nat_port)), one_inactive);
}

TEST_P(Flows, ResetOfTheBackendCloses) {
  establish(nat_port);
  const TCP reset{.sport = nat_backend_port, .dport = client_port, .rst = true};
  EXPECT_EQ(director.run(wire.from_nat_backend() / reset).verdict, FORWARD_REPLY);

  EXPECT_EQ(state_of(director.confirmed(key(nat_port))), FLOW_CLOSED);
  EXPECT_EQ(director.open(id(nat_port)), one_inactive);
}

TEST_P(Flows, GoOnWhileTheBackendIsDown) {
  establish(pair_port);
  for (const backend_state state : {BACKEND_DOWN, BACKEND_UNKNOWN, BACKEND_DRAINING}) {
    director.set_state(pair[0], state);
    EXPECT_EQ(number_of(send(TCP{.dport = pair_port, .ack = true})), first) << state;
  }
}

TEST_P(Flows, EndWhenTheBackendIsGone) {
  establish(pair_port);
  director.set_state(pair[0], BACKEND_GONE);

  EXPECT_EQ(send(TCP{.dport = pair_port, .ack = true}).verdict, REFUSE_NO_FLOW);
  EXPECT_FALSE(director.confirmed(key(pair_port)));
  EXPECT_EQ(director.open(pair[0]), none);
  EXPECT_EQ(number_of(send(TCP{.dport = pair_port, .syn = true})), second);
}

TEST_P(Flows, AnotherBackendIsAskedWhereOneIsGone) {
  director.set_state(pair[0], BACKEND_GONE);

  EXPECT_EQ(number_of(send(TCP{.dport = pair_port, .syn = true})), second);
  EXPECT_EQ(number_of(send(TCP{.sport = 7, .dport = pair_port, .syn = true})), second);
}

TEST_P(Flows, AnotherBackendIsAskedWhereTheReplyIsTaken) {
  send(TCP{.dport = nat_pair_port, .syn = true});  // the first
  send(TCP{.sport = 7, .dport = nat_pair_port, .syn = true});

  const Packet to_second_vip = wire.link(client_mac, director_mac) /
                               wire.ip(client_of(family), second_vip_of(family), 64) /
                               TCP{.dport = nat_pair_port, .syn = true};
  const Outcome outcome = director.run(to_second_vip);
  EXPECT_EQ(outcome.verdict, FORWARD_NAT);
  EXPECT_EQ(number_of(outcome), second);
}

TEST_P(Flows, TakenReplyIsFreeWhenItsFlowIsIdle) {
  send(TCP{.dport = nat_port, .syn = true});
  const Packet to_second_vip = wire.link(client_mac, director_mac) /
                               wire.ip(client_of(family), second_vip_of(family), 64) /
                               TCP{.dport = nat_port, .syn = true};
  EXPECT_EQ(director.run(to_second_vip).verdict, REFUSE_REPLY_TAKEN);

  director.age(key(nat_port), established_timeout);
  director.age(reply_key(), established_timeout);
  EXPECT_EQ(director.run(to_second_vip).verdict, FORWARD_NAT);
}

// ---- limits ----

class SmallFlows : public Flows {
 public:
  SmallFlows() : Flows({.flows = 2, .pending = 1024}) {}
};

INSTANTIATE_TEST_SUITE_P(Families, SmallFlows, testing::ValuesIn(families), family_name);

TEST_P(SmallFlows, FullMeansPending) {
  for (const uint16_t from : {uint16_t(1), uint16_t(2), uint16_t(3)}) establish(dr_port, from);

  EXPECT_TRUE(director.confirmed(key(dr_port, tcp, 1)));
  EXPECT_TRUE(director.confirmed(key(dr_port, tcp, 2)));
  EXPECT_FALSE(director.confirmed(key(dr_port, tcp, 3)));
  EXPECT_EQ(state_of(director.pending(key(dr_port, tcp, 3))), FLOW_ESTABLISHED);
  EXPECT_EQ(director.programs().events(EVENT_FLOWS_FULL), 1);
  EXPECT_EQ(director.open(id(dr_port)), (connections{.active = 2, .pending_active = 1}));

  // It is served all the same, and moves over when there is room.
  const TCP ack{.sport = 3, .dport = dr_port, .ack = true};
  EXPECT_EQ(send(ack).verdict, FORWARD_DR);
  director.age(key(dr_port, tcp, 1), established_timeout);
  director.expire();
  EXPECT_EQ(send(ack).verdict, FORWARD_DR);
  EXPECT_TRUE(director.confirmed(key(dr_port, tcp, 3)));
  EXPECT_EQ(director.open(id(dr_port)), (connections{.active = 2}));
}

TEST_P(SmallFlows, FullLeavesTheWayBackPending) {
  establish(dr_port, 1);
  establish(nat_port);  // room for one of two records

  EXPECT_TRUE(director.confirmed(key(nat_port)));
  EXPECT_FALSE(director.pending(key(nat_port)));
  EXPECT_FALSE(director.confirmed(reply_key()));
  EXPECT_TRUE(director.pending(reply_key()));
  EXPECT_EQ(director.open(id(nat_port)), one_active);
  EXPECT_EQ(director
                .run(wire.from_nat_backend() /
                     TCP{.sport = nat_backend_port, .dport = client_port, .ack = true})
                .verdict,
            FORWARD_REPLY);
}

TEST_P(SmallFlows, FinOutlivesFull) {
  for (const uint16_t from : {uint16_t(1), uint16_t(2), uint16_t(3)}) establish(dr_port, from);
  send(TCP{.sport = 3, .dport = dr_port, .fin = true, .ack = true});
  EXPECT_EQ(state_of(director.pending(key(dr_port, tcp, 3))), FLOW_FIN);

  send(TCP{.sport = 3, .dport = dr_port, .ack = true});
  EXPECT_EQ(state_of(director.pending(key(dr_port, tcp, 3))), FLOW_FIN);
}

TEST_P(Flows, FloodOfOpeningsTouchesNothingEstablished) {
  establish(pair_port);
  for (uint32_t i = 0; i < 5000; ++i) {
    const TCP syn{.sport = uint16_t(1 + i), .dport = dr_port, .syn = true};
    ASSERT_EQ(send(syn).verdict, FORWARD_DR);
  }

  EXPECT_EQ(number_of(send(TCP{.dport = pair_port, .ack = true})), first);
  EXPECT_EQ(state_of(director.confirmed(key(pair_port))), FLOW_ESTABLISHED);
  EXPECT_EQ(director.open(pair[0]), one_active);
}

TEST_P(Flows, RepeatedSynBringsAnEvictedWayBackAgain) {
  send(TCP{.dport = nat_port, .syn = true});
  director.evict_pending(reply_key());
  EXPECT_EQ(send(TCP{.dport = nat_port, .syn = true}).verdict, FORWARD_NAT);

  EXPECT_TRUE(director.pending(reply_key()));
  EXPECT_EQ(director.open(id(nat_port)), one_pending);
  EXPECT_EQ(director
                .run(wire.from_nat_backend() /
                     TCP{.sport = nat_backend_port, .dport = client_port, .syn = true, .ack = true})
                .verdict,
            FORWARD_REPLY);
}

// A reply's record that a race has left: its flow has been given to another backend since.
TEST_P(Flows, OtherBackendsFinDoesNotEndIt) {
  establish(nat_port);
  auto record = director.confirmed(reply_key());
  ASSERT_TRUE(record);
  record->backend = id(nat_port) + 1;
  director.put_confirmed(reply_key(), *record);
  director.run(wire.from_nat_backend() /
               TCP{.sport = nat_backend_port, .dport = client_port, .fin = true, .ack = true});

  EXPECT_EQ(state_of(director.confirmed(key(nat_port))), FLOW_ESTABLISHED);
  EXPECT_EQ(director.open(id(nat_port)), one_active);
}

TEST_P(Flows, RefusalsAreLimited) {
  director.live().second = 0x7fffffff;
  director.live().refusals_per_second = 3;
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(send(TCP{.dport = dr_port, .ack = true}).verdict, REFUSE_NO_FLOW);
  }
  EXPECT_EQ(send(TCP{.dport = dr_port, .ack = true}).verdict, DROP_REFUSAL_LIMIT);
  EXPECT_EQ(send(TCP{.dport = nobody_port, .syn = true}).verdict, DROP_REFUSAL_LIMIT);
  // A second of no length is over at once.
  director.live().second = 0;
  EXPECT_EQ(send(TCP{.dport = dr_port, .ack = true}).verdict, REFUSE_NO_FLOW);
  EXPECT_EQ(send(TCP{.dport = dr_port, .ack = true}).verdict, REFUSE_NO_FLOW);
}

TEST_P(Flows, AreCountedAtTheirBackend) {
  const Payload data("hello");
  const uint64_t head = family == Family::v4 ? 40 : 60;
  send(TCP{.dport = nat_port, .syn = true});
  director.run(wire.to_vip() / TCP{.dport = nat_port, .ack = true} / data);
  director.run(wire.from_nat_backend() /
               TCP{.sport = nat_backend_port, .dport = client_port, .ack = true} / data /
               Padding{});

  const backend_counters seen = director.programs().counters(id(nat_port));
  EXPECT_EQ(seen.flows, 1);
  EXPECT_EQ(seen.packets_in, 2);
  EXPECT_EQ(seen.bytes_in, 2 * head + 5);
  EXPECT_EQ(seen.packets_out, 1);
  EXPECT_EQ(seen.bytes_out, head + 5);
}

}  // namespace
}  // namespace xlvs::test
