// SPDX-License-Identifier: MIT
// What happens to flows where there is no more room, or too much of something.
#include "tests/packet/flows.h"

namespace xlvs::test {
namespace {

INSTANTIATE_TEST_SUITE_P(Families, Flows, testing::ValuesIn(families), family_name);

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

}  // namespace
}  // namespace xlvs::test
