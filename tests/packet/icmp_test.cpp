// SPDX-License-Identifier: MIT
// What an ICMP error leaves behind: it is counted for the backend, and changes nothing else.
#include <gtest/gtest.h>

#include "tests/harness/describe.h"
#include "tests/packet/cluster.h"
#include "tests/packet/row_name.h"

namespace xlvs::test {
namespace {

class Errors : public testing::TestWithParam<Family> {
 public:
  [[nodiscard]] Packet unreachable() const {
    if (family == Family::v4) return ICMP{.type = 3, .code = 3};
    return ICMPv6{.type = 1, .code = 4};
  }
  // From the client to the vip, about its answer.
  [[nodiscard]] Packet to_vip(uint16_t port) const {
    return wire.to_vip() / unreachable() /
           quote(wire.ip(vip_of(family), client_of(family), 64) /
                 UDP{.sport = port, .dport = client_port});
  }
  // From the NAT backend to the client, about what it was asked.
  [[nodiscard]] Packet to_client() const {
    return wire.from_nat_backend() / unreachable() /
           quote(wire.ip(client_of(family), backend_of(family, nat_backend), 63) /
                 UDP{.sport = client_port, .dport = nat_backend_port});
  }
  void open(uint16_t port) { director.run(wire.to_vip() / UDP{.dport = port}); }
  // All that is remembered of flows, byte by byte.
  [[nodiscard]] std::string remembered() const {
    std::string bytes;
    for (const char* map : {"flows", "pending"}) {
      for (const auto& [key, record] : director.records(map)) {
        bytes.append(reinterpret_cast<const char*>(&key), sizeof key);
        bytes.append(reinterpret_cast<const char*>(&record), sizeof record);
      }
    }
    return bytes;
  }
  void age_all() {
    for (const auto& [key, record] : director.records("pending")) director.age(key, 1000);
  }
  [[nodiscard]] uint32_t id(uint16_t port) const { return cluster.backend_id(family, udp, port); }
  // Of an IP packet: that and ICMP's 8 bytes in front of IP's and UDP's headers.
  [[nodiscard]] uint64_t size() const { return family == Family::v4 ? 56 : 96; }

  Family family = GetParam();
  Wire wire{family, Tags::none};
  Cluster cluster;
  Director& director = cluster.director;
};

INSTANTIATE_TEST_SUITE_P(Families, Errors, testing::ValuesIn(families), family_name);

TEST_P(Errors, KeepNoFlowOpenAndConfirmNone) {
  open(dr_port);
  open(nat_port);
  age_all();
  const std::string before = remembered();
  const connections counted = director.open(id(dr_port));

  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(verdict_name(director.run(to_vip(dr_port)).verdict), "FORWARD_ICMP");
    EXPECT_EQ(verdict_name(director.run(to_vip(nat_port)).verdict), "FORWARD_ICMP");
    EXPECT_EQ(verdict_name(director.run(to_client()).verdict), "FORWARD_ICMP_REPLY");
  }

  EXPECT_EQ(remembered(), before);
  EXPECT_EQ(director.open(id(dr_port)).pending_inactive, counted.pending_inactive);
}

TEST_P(Errors, OpenNoFlow) {
  director.run(to_vip(dr_port));
  director.run(to_client());

  EXPECT_EQ(remembered(), "");
}

// As IPVS does, in both directions.
TEST_P(Errors, AreCountedForTheBackend) {
  open(nat_port);
  const backend_counters before = director.programs().counters(id(nat_port));
  director.run(to_vip(nat_port));
  director.run(to_client());
  director.run(to_client());

  const backend_counters after = director.programs().counters(id(nat_port));
  EXPECT_EQ(after.flows, before.flows);
  EXPECT_EQ(after.packets_in - before.packets_in, 1);
  EXPECT_EQ(after.bytes_in - before.bytes_in, size());
  EXPECT_EQ(after.packets_out - before.packets_out, 2);
  EXPECT_EQ(after.bytes_out - before.bytes_out, 2 * size());
}

TEST_P(Errors, FollowNoBackendThatIsGone) {
  open(dr_port);
  open(nat_port);
  director.set_state(id(dr_port), BACKEND_GONE);
  director.set_state(id(nat_port), BACKEND_GONE);

  EXPECT_EQ(verdict_name(director.run(to_vip(dr_port)).verdict), "PASS_ICMP_NO_FLOW");
  EXPECT_EQ(verdict_name(director.run(to_client()).verdict), "PASS_ICMP_NO_FLOW");
}

// Another CPU is ending it.
TEST_P(Errors, FollowNoRecordThatIsDead) {
  const flow_key key = key_of({client_of(family), client_port}, {vip_of(family), nat_port}, udp);
  open(nat_port);
  flow record = director.pending(key).value();
  record.state = FLOW_DEAD;
  record.nonce = 7;
  director.put_pending(key, record);

  EXPECT_EQ(verdict_name(director.run(to_vip(nat_port)).verdict), "PASS_ICMP_NO_FLOW");
}

// As its answers would.
TEST_P(Errors, FollowTheWayBackAsLongAsItIsThere) {
  open(nat_port);
  director.age(key_of({client_of(family), client_port},
                      {backend_of(family, nat_backend), nat_backend_port}, udp, DIRECTION_REPLY),
               established_timeout);

  EXPECT_EQ(verdict_name(director.run(to_client()).verdict), "FORWARD_ICMP_REPLY");
}

// What serves no more, but has flows, is told of them.
TEST_P(Errors, FollowABackendThatIsDown) {
  open(dr_port);
  director.set_state(id(dr_port), BACKEND_DOWN);

  EXPECT_EQ(verdict_name(director.run(to_vip(dr_port)).verdict), "FORWARD_ICMP");
}

}  // namespace
}  // namespace xlvs::test
