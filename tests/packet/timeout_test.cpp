// SPDX-License-Identifier: MIT
// How long a flow is remembered: each state has its time, kept by who looks and by who sweeps.
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "tests/packet/cluster.h"
#include "tests/packet/row_name.h"

namespace xlvs::test {
namespace {

struct TimeoutRow {
  const char* name;
  std::vector<Packet> before;
  enum flow_state state;
  uint32_t jiffies;
  // Sent when the flow is idle for as long: what becomes of it then, and a little earlier.
  Packet then;
  verdict after;
  verdict earlier;
};

std::ostream& operator<<(std::ostream& out, const TimeoutRow& row) { return out << row.name; }

const Packet to_vip = Wire{}.to_vip();
const Packet syn = to_vip / TCP{.dport = dr_port, .syn = true};
const Packet ack = to_vip / TCP{.dport = dr_port, .ack = true};
const Packet fin = to_vip / TCP{.dport = dr_port, .fin = true, .ack = true};
const Packet reset = to_vip / TCP{.dport = dr_port, .rst = true};
const Packet query = to_vip / UDP{.dport = dr_port};

const std::vector<TimeoutRow> timeout_rows = {
    {"opening", {syn}, FLOW_SYN, syn_timeout, ack, REFUSE_NO_FLOW, FORWARD_DR},
    {"established",
     {syn, ack},
     FLOW_ESTABLISHED,
     established_timeout,
     ack,
     REFUSE_NO_FLOW,
     FORWARD_DR},
    {"after fin", {syn, ack, fin}, FLOW_FIN, fin_timeout, ack, REFUSE_NO_FLOW, FORWARD_DR},
    {"after reset",
     {syn, ack, reset},
     FLOW_CLOSED,
     closed_timeout,
     ack,
     REFUSE_NO_FLOW,
     FORWARD_DR},
    {"reset opening", {syn, reset}, FLOW_CLOSED, closed_timeout, reset, DROP_NO_FLOW, FORWARD_DR},
    {"udp", {query, query}, FLOW_UDP, udp_timeout, reset, DROP_NO_FLOW, DROP_NO_FLOW},
    {"first udp", {query}, FLOW_UDP, udp_timeout, reset, DROP_NO_FLOW, DROP_NO_FLOW},
};

class Timeouts : public testing::TestWithParam<TimeoutRow> {
 public:
  // So near to its end as a slow machine allows: what passes in jiffies while the test runs.
  static constexpr uint32_t margin = 50'000;

  Timeouts() {
    for (const Packet& packet : GetParam().before) director.run(packet);
  }
  [[nodiscard]] std::optional<flow> record() const {
    const auto confirmed = director.confirmed(key);
    return confirmed ? confirmed : director.pending(key);
  }

  uint8_t protocol = GetParam().state == FLOW_UDP ? udp : tcp;
  Cluster cluster;
  Director& director = cluster.director;
  flow_key key = key_of({client, client_port}, {vip, dr_port}, protocol);
  uint32_t id = cluster.backend_id(Family::v4, protocol, dr_port);
};

INSTANTIATE_TEST_SUITE_P(States, Timeouts, testing::ValuesIn(timeout_rows), row_name<TimeoutRow>);

TEST_P(Timeouts, StateIsTheRows) {
  ASSERT_TRUE(record());
  EXPECT_EQ(record()->state, GetParam().state);
}

TEST_P(Timeouts, AtLookupEarlier) {
  director.age(key, GetParam().jiffies - margin);
  EXPECT_EQ(verdict_name(director.run(GetParam().then).verdict), verdict_name(GetParam().earlier));
}

TEST_P(Timeouts, AtLookup) {
  director.age(key, GetParam().jiffies);
  EXPECT_EQ(verdict_name(director.run(GetParam().then).verdict), verdict_name(GetParam().after));
}

TEST_P(Timeouts, SweptNotEarlier) {
  director.age(key, GetParam().jiffies - margin);
  const sweep result = director.expire();

  EXPECT_EQ(result.expired, 0);
  EXPECT_EQ(result.flows + result.pending, 1);
  EXPECT_TRUE(record());
  const connections open = director.open(id);
  EXPECT_EQ(open.active + open.inactive + open.pending_active + open.pending_inactive, 1);
}

TEST_P(Timeouts, Swept) {
  director.age(key, GetParam().jiffies);
  const sweep result = director.expire();

  EXPECT_EQ(result.expired, 1);
  EXPECT_FALSE(record());
  const connections open = director.open(id);
  EXPECT_EQ(open.active + open.inactive + open.pending_active + open.pending_inactive, 0);
}

// A second UDP packet after the timeout is a first one.
TEST(Timeout, OldUdpIsNew) {
  Cluster cluster;
  const flow_key key = key_of({client, client_port}, {vip, dr_port}, udp);
  cluster.director.run(query);
  cluster.director.run(query);
  cluster.director.age(key, udp_timeout);
  cluster.director.run(query);

  EXPECT_FALSE(cluster.director.confirmed(key));
  EXPECT_TRUE(cluster.director.pending(key));
}

class NatTimeouts : public testing::TestWithParam<Family> {
 public:
  NatTimeouts() {
    director.run(wire.to_vip() / TCP{.dport = nat_port, .syn = true});
    director.run(wire.to_vip() / TCP{.dport = nat_port, .ack = true});
  }

  Wire wire{GetParam(), Tags::none};
  Cluster cluster;
  Director& director = cluster.director;
  Endpoint from{client_of(GetParam()), client_port};
  flow_key forward = key_of(from, {vip_of(GetParam()), nat_port});
  flow_key reply =
      key_of(from, {backend_of(GetParam(), nat_backend), nat_backend_port}, tcp, DIRECTION_REPLY);
};

INSTANTIATE_TEST_SUITE_P(Families, NatTimeouts, testing::ValuesIn(families), family_name);

// A download: the client says nothing for long, the backend speaks all the time.
TEST_P(NatTimeouts, NotIdleWhileTheBackendSpeaks) {
  director.age(forward, established_timeout);

  EXPECT_EQ(director.expire().expired, 0);
  EXPECT_EQ(director.run(wire.to_vip() / TCP{.dport = nat_port, .ack = true}).verdict, FORWARD_NAT);
}

TEST_P(NatTimeouts, NotIdleWhileTheClientSpeaks) {
  director.age(reply, established_timeout);

  EXPECT_EQ(director.expire().expired, 0);
  EXPECT_EQ(director
                .run(wire.from_nat_backend() /
                     TCP{.sport = nat_backend_port, .dport = client_port, .ack = true})
                .verdict,
            FORWARD_REPLY);
}

TEST_P(NatTimeouts, BothDirectionsEndTogether) {
  director.age(forward, established_timeout);
  director.age(reply, established_timeout);

  EXPECT_EQ(director.expire().expired, 1);
  EXPECT_FALSE(director.confirmed(forward));
  EXPECT_FALSE(director.confirmed(reply));
  EXPECT_EQ(director
                .run(wire.from_nat_backend() /
                     TCP{.sport = nat_backend_port, .dport = client_port, .ack = true})
                .verdict,
            PASS_REPLY_NO_FLOW);
}

TEST_P(NatTimeouts, ReplyWithoutItsFlowIsSwept) {
  director.run(wire.to_vip() / TCP{.dport = nat_port, .rst = true});
  const auto record = director.confirmed(reply);
  ASSERT_TRUE(record);
  flow_key orphan = reply;
  orphan.client_port = 7;
  director.put_confirmed(orphan, *record);
  director.put_pending(orphan, *record);
  director.age(orphan, established_timeout);
  director.expire();

  EXPECT_FALSE(director.confirmed(orphan));
  EXPECT_FALSE(director.pending(orphan));
  EXPECT_TRUE(director.confirmed(reply));
}

TEST_P(NatTimeouts, ReplyOfABackendThatLostTheFlowIsSwept) {
  director.run(wire.to_vip() / TCP{.dport = nat_port, .rst = true});
  auto record = director.confirmed(reply);
  ASSERT_TRUE(record);
  flow_key loser = reply;
  loser.server_port = 7;
  ++record->backend;
  director.put_confirmed(loser, *record);
  director.age(loser, established_timeout);
  director.expire();

  EXPECT_FALSE(director.confirmed(loser));
  EXPECT_TRUE(director.confirmed(reply));
}

TEST(Sweep, EndsFlowsOfABackendThatIsGone) {
  Cluster cluster;
  const uint32_t id = cluster.backend_id(Family::v4, tcp, dr_port);
  cluster.director.run(syn);
  cluster.director.run(ack);
  cluster.director.run(to_vip / TCP{.sport = 7, .dport = dr_port, .syn = true});
  cluster.director.set_state(id, BACKEND_GONE);

  EXPECT_EQ(cluster.director.expire().expired, 2);
  EXPECT_TRUE(cluster.director.records("flows").empty());
  EXPECT_TRUE(cluster.director.records("pending").empty());
  EXPECT_EQ(cluster.director.open(id).active, 0);
  EXPECT_EQ(cluster.director.open(id).pending_active, 0);
}

TEST(Sweep, CountsAnewWhatWasEvicted) {
  Cluster cluster;
  const uint32_t id = cluster.backend_id(Family::v4, tcp, dr_port);
  for (uint32_t i = 0; i < 5000; ++i) {
    cluster.director.run(to_vip / TCP{.sport = uint16_t(1 + i), .dport = dr_port, .syn = true});
  }
  EXPECT_EQ(cluster.director.open(id).pending_active, 5000);
  const sweep result = cluster.director.expire();

  const auto left = static_cast<uint32_t>(cluster.director.records("pending").size());
  EXPECT_LE(left, 1024);
  EXPECT_GT(left, 0);
  EXPECT_EQ(result.pending, left);
  EXPECT_EQ(cluster.director.open(id).pending_active, left);
}

// Whatever happened, after a sweep the counts are those of the records.
class RandomStory : public testing::TestWithParam<uint32_t> {
 public:
  Packet any_packet() {
    const Wire wire{pick(2) == 0 ? Family::v4 : Family::v6, Tags::none};
    const auto from = static_cast<uint16_t>(1000 + pick(100));
    const uint16_t port = pick(2) == 0 ? dr_port : nat_port;
    if (pick(8) == 0) {
      const TCP reply{.sport = nat_backend_port, .dport = from, .fin = pick(3) == 0, .ack = true};
      return wire.from_nat_backend() / reply;
    }
    if (pick(4) == 0) return wire.to_vip() / UDP{.sport = from, .dport = port};
    TCP header{.sport = from, .dport = port};
    switch (pick(6)) {
      case 0:
      case 1:
        header.syn = true;
        break;
      case 2:
        header.rst = true;
        break;
      case 3:
        header.fin = header.ack = true;
        break;
      default:
        header.ack = true;
        break;
    }
    return wire.to_vip() / header;
  }

  void age_any() {
    for (const char* map : {"flows", "pending"}) {
      for (const auto& [key, record] : director.records(map)) {
        if (pick(20) == 0) director.age(key, established_timeout);
      }
    }
  }

  void expect_exact_counts() {
    std::map<uint32_t, connections> expected;
    for (const auto& [key, record] : director.records("flows")) {
      const enum flow_state state = record.state;
      const bool active = state == FLOW_SYN || state == FLOW_ESTABLISHED;
      if (key.direction == DIRECTION_FORWARD) {
        ++(active ? expected[record.backend].active : expected[record.backend].inactive);
      }
    }
    for (const auto& [key, record] : director.records("pending")) {
      if (key.direction != DIRECTION_FORWARD) continue;
      auto& open = expected[record.backend];
      ++(key.protocol == udp ? open.pending_inactive : open.pending_active);
    }
    for (uint32_t id = 1; id < director.programs().sizes().backends; ++id) {
      const connections open = director.open(id);
      EXPECT_EQ(open.active, expected[id].active) << "backend " << id;
      EXPECT_EQ(open.inactive, expected[id].inactive) << "backend " << id;
      EXPECT_EQ(open.pending_active, expected[id].pending_active) << "backend " << id;
      EXPECT_EQ(open.pending_inactive, expected[id].pending_inactive) << "backend " << id;
    }
  }

  uint32_t pick(uint32_t below) { return static_cast<uint32_t>(random_() % below); }

  Cluster cluster{{.flows = 64, .pending = 256}};
  Director& director = cluster.director;

 private:
  std::mt19937_64 random_{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(Seeds, RandomStory, testing::Range(1U, 5U));

TEST_P(RandomStory, CountsAreThoseOfTheRecords) {
  for (int round = 0; round < 20 && !HasFailure(); ++round) {
    for (int i = 0; i < 200; ++i) director.run(any_packet());
    age_any();
    director.expire();
    expect_exact_counts();
  }
}

}  // namespace
}  // namespace xlvs::test
