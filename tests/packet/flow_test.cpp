// SPDX-License-Identifier: MIT
// What is remembered of a flow: when it is confirmed, how it ends, and that it stays with its
// backend in between.
#include "tests/packet/flows.h"

namespace xlvs::test {
namespace {

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
