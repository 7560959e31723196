// SPDX-License-Identifier: MIT
// A client stays with its backend, for as long as its template lasts.
#include <bpf/bpf.h>
#include <gtest/gtest.h>
#include <sched.h>

#include <array>
#include <atomic>
#include <map>
#include <thread>
#include <vector>

#include "tests/harness/describe.h"
#include "tests/packet/cluster.h"
#include "tests/packet/row_name.h"

namespace xlvs::test {
namespace {

constexpr uint16_t port = 9000;
constexpr uint16_t nat_port_of_two = 9001;
constexpr uint32_t timeout = 300;  // seconds; a second is a million jiffies here

class Persistence : public testing::TestWithParam<Family> {
 public:
  Persistence() {
    std::vector<uint32_t> nat;
    for (const uint8_t number : {uint8_t(1), uint8_t(2)}) {
      backends.push_back(director.add_backend(
          {.endpoint = {backend_of(family, number), port}, .mac = backend_mac(number)}));
      nat.push_back(director.add_backend({.endpoint = {backend_of(family, number), 9100},
                                          .forward = FORWARDING_NAT,
                                          .mac = backend_mac(number)}));
      udp_backends.push_back(director.add_backend(
          {.endpoint = {backend_of(family, number), port}, .mac = backend_mac(number)}));
    }
    service = director.add_service({vip_of(family), port}, tcp, backends);
    nat_service = director.add_service({vip_of(family), nat_port_of_two}, tcp, nat);
    udp_service = director.add_service({vip_of(family), port}, udp, udp_backends);
    director.set_persistence(service, timeout);
    director.set_persistence(nat_service, timeout);
  }

  // The last byte of a source address says which client.
  [[nodiscard]] Address client_number(uint8_t number, uint8_t network = 113) const {
    const std::string n = std::to_string(number);
    const std::string net = std::to_string(network);
    return *Address::parse(family == Family::v4 ? "203.0." + net + "." + n
                                                : "2001:db8:" + net + "::" + n);
  }
  [[nodiscard]] Address numbered(uint16_t number) const {
    return client_number(static_cast<uint8_t>(number % 250), static_cast<uint8_t>(number / 250));
  }
  [[nodiscard]] Bytes packet(const Address& from, const TCP& header) const {
    return (wire.link(client_mac, director_mac) / wire.ip(from, vip_of(family), 64) / header)
        .build();
  }
  [[nodiscard]] Bytes opening(const Address& from, uint16_t sport) const {
    return packet(from, TCP{.sport = sport, .dport = port, .syn = true});
  }
  Outcome send(const Address& from, const TCP& header) {
    return director.run(packet(from, header));
  }
  // Opens a flow; answers who serves it: 1, 2, or 0 for nobody.
  int open(const Address& from, uint16_t sport, uint16_t to = port) {
    const Outcome outcome = send(from, TCP{.sport = sport, .dport = to, .syn = true});
    const bool forwarded = outcome.verdict == FORWARD_DR || outcome.verdict == FORWARD_NAT;
    return forwarded ? outcome.frame.at(5) - 0x80 : 0;
  }
  int connect(const Address& from, uint16_t sport) {
    const int server = open(from, sport);
    send(from, TCP{.sport = sport, .dport = port, .ack = true});
    return server;
  }
  [[nodiscard]] flow_key template_of(const Address& from) const {
    return key_of({from, 0}, {vip_of(family), port}, tcp, DIRECTION_TEMPLATE);
  }
  [[nodiscard]] flow_key flow_of(const Address& from, uint16_t sport) const {
    return key_of({from, sport}, {vip_of(family), port});
  }
  // A client's template looks so many seconds older; held: the last sweep saw a flow of it.
  void age_template(const Address& from, uint32_t seconds, bool held = false) {
    for (const bool confirmed : {true, false}) {
      auto record =
          confirmed ? director.confirmed(template_of(from)) : director.pending(template_of(from));
      if (!record) continue;
      record->last_seen -= seconds * director.live().second;
      director.live().swept = record->held;
      if (!held) record->held -= seconds * director.live().second;
      confirmed ? director.put_confirmed(template_of(from), *record)
                : director.put_pending(template_of(from), *record);
    }
  }

  Family family = GetParam();
  Wire wire{family, Tags::none};
  Director director;
  std::vector<uint32_t> backends;
  std::vector<uint32_t> udp_backends;
  uint32_t service = 0;
  uint32_t nat_service = 0;
  uint32_t udp_service = 0;
};

INSTANTIATE_TEST_SUITE_P(Families, Persistence, testing::ValuesIn(families), family_name);

TEST_P(Persistence, AClientStays) {
  for (uint16_t sport = 1; sport <= 5; ++sport) {
    EXPECT_EQ(open(client_number(1), sport), 1);
    EXPECT_EQ(open(client_number(2), sport), 2);
  }
  EXPECT_EQ(open(client_number(3), 1), 1);
}

TEST_P(Persistence, AlsoByNat) {
  for (uint16_t sport = 1; sport <= 4; ++sport) {
    EXPECT_EQ(open(client_number(1), sport, nat_port_of_two), 1);
  }
}

// By another vip from the same port: the client's own backend could not tell its answers apart, so
// it is given another, and stays with its own by all other ports.
TEST_P(Persistence, GivesWayWhereTheReplyIsTaken) {
  director.add_endpoint(nat_service, {second_vip_of(family), nat_port_of_two}, tcp);
  const Address from = client_number(1);
  for (const bool confirmed : {false, true}) {
    ASSERT_EQ(open(from, 5000, nat_port_of_two), 1);
    if (confirmed) send(from, TCP{.sport = 5000, .dport = nat_port_of_two, .ack = true});
    const Outcome other = director.run(wire.link(client_mac, director_mac) /
                                       wire.ip(from, second_vip_of(family), 64) /
                                       TCP{.sport = 5000, .dport = nat_port_of_two, .syn = true});
    ASSERT_EQ(verdict_name(other.verdict), "FORWARD_NAT");
    EXPECT_EQ(other.frame.at(5) - 0x80, 2);
    EXPECT_EQ(open(from, 5001, nat_port_of_two), 1);
  }
}

TEST_P(Persistence, EndsWithItsTimeout) {
  EXPECT_EQ(open(client_number(1), 1), 1);
  age_template(client_number(1), timeout - 1);
  EXPECT_EQ(open(client_number(1), 2), 1);
  age_template(client_number(1), timeout - 1);  // renewed by the last one
  EXPECT_EQ(open(client_number(1), 3), 1);
  age_template(client_number(1), timeout);
  EXPECT_EQ(open(client_number(1), 4), 2);
}

TEST_P(Persistence, LastsWhileAFlowIsOpen) {
  EXPECT_EQ(connect(client_number(1), 1), 1);
  age_template(client_number(1), 2 * timeout, true);
  director.expire();
  EXPECT_TRUE(director.confirmed(template_of(client_number(1))));
  EXPECT_EQ(open(client_number(1), 2), 1);

  director.age(flow_of(client_number(1), 1), established_timeout);
  director.age(flow_of(client_number(1), 2), established_timeout);
  age_template(client_number(1), 2 * timeout);
  director.expire();
  director.expire();
  EXPECT_FALSE(director.confirmed(template_of(client_number(1))));
  EXPECT_EQ(open(client_number(1), 3), 2);
}

TEST_P(Persistence, LastsWhileAFlowIsOpenAlsoIfNobodySweeps) {
  EXPECT_EQ(connect(client_number(1), 1), 1);
  director.expire();
  auto record = director.confirmed(template_of(client_number(1)));
  ASSERT_TRUE(record);
  const uint32_t long_ago = 5 * timeout * director.live().second;
  record->last_seen -= long_ago;
  record->held -= long_ago;
  director.live().swept -= long_ago;
  director.put_confirmed(template_of(client_number(1)), *record);
  EXPECT_EQ(open(client_number(1), 2), 1);
}

// Two CPUs find no template, and each would make one.
TEST_P(Persistence, OfTwoFlowsAtOnceIsOne) {
  constexpr uint16_t rounds = 60;
  const int program = director.programs().fd();
  std::array<std::vector<Bytes>, 2> openings;
  for (size_t which = 0; which < openings.size(); ++which) {
    for (uint16_t number = 0; number < rounds; ++number) {
      openings.at(which).push_back(opening(numbered(number), static_cast<uint16_t>(which + 1)));
    }
  }
  std::atomic<unsigned> arrived = 0;
  std::atomic<unsigned> failures = 0;
  const auto send_all = [&](size_t which) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(which, &one);
    if (sched_setaffinity(0, sizeof one, &one) != 0) ++failures;
    for (uint16_t number = 0; number < rounds; ++number) {
      Bytes& frame = openings.at(which)[number];
      LIBBPF_OPTS(bpf_test_run_opts, options);
      options.data_in = frame.data();
      options.data_size_in = static_cast<uint32_t>(frame.size());
      options.repeat =
          20;  // the kernel prepares for more than one: so both start later, and closer
      // At the same time, but not for the rest of a slice where the other has no CPU.
      ++arrived;
      for (unsigned spins = 0; arrived < 2U * (number + 1U); ++spins) {
        if (spins % 4096 == 4095) std::this_thread::yield();
      }
      if (bpf_prog_test_run_opts(program, &options) != 0) ++failures;
    }
  };
  std::thread one(send_all, 0);
  std::thread other(send_all, 1);
  one.join();
  other.join();
  EXPECT_EQ(failures, 0U);
  for (uint16_t number = 0; number < rounds; ++number) {
    const auto first = director.pending(flow_of(numbered(number), 1));
    const auto second = director.pending(flow_of(numbered(number), 2));
    ASSERT_TRUE(first && second);
    ASSERT_EQ(first->backend, second->backend) << number;
  }
}

TEST_P(Persistence, OfAnOpeningAloneIsPending) {
  open(client_number(1), 1);
  EXPECT_TRUE(director.pending(template_of(client_number(1))));
  EXPECT_FALSE(director.confirmed(template_of(client_number(1))));

  send(client_number(1), TCP{.sport = 1, .dport = port, .ack = true});
  EXPECT_FALSE(director.pending(template_of(client_number(1))));
  EXPECT_TRUE(director.confirmed(template_of(client_number(1))));
}

TEST_P(Persistence, AFloodOfOpeningsLeavesWhoWasHere) {
  EXPECT_EQ(connect(client_number(1), 1), 1);
  for (uint8_t network = 1; network <= 20; ++network) {
    for (uint8_t number = 1; number <= 250; ++number) open(client_number(number, network), 1);
  }
  EXPECT_EQ(open(client_number(1), 2), 1);
  EXPECT_EQ(open(client_number(1), 3), 1);
}

TEST_P(Persistence, OfAPrefixIsOneForAllOfIt) {
  director.set_persistence(service, timeout, family == Family::v4 ? 96 + 24 : 48);
  for (uint8_t number = 1; number <= 4; ++number) EXPECT_EQ(open(client_number(number), 1), 1);
  EXPECT_EQ(open(client_number(1, 114), 1), 2);
}

TEST_P(Persistence, LeavesADrainedBackend) {
  EXPECT_EQ(connect(client_number(1), 1), 1);
  director.set_state(backends[0], BACKEND_DOWN);
  director.set_table(service, {backends[1]});
  EXPECT_EQ(open(client_number(1), 2), 2);
  director.set_state(backends[0], BACKEND_UP);
  director.set_table(service, backends);
  EXPECT_EQ(open(client_number(1), 3), 2);  // stays there
  // Its open flow does not move.
  EXPECT_EQ(send(client_number(1), TCP{.sport = 1, .dport = port, .ack = true}).frame.at(5), 0x81);
}

TEST_P(Persistence, KeepsADrainedBackendWhereAskedTo) {
  director.set_persistence(service, timeout, 128, true);
  EXPECT_EQ(connect(client_number(1), 1), 1);
  director.set_state(backends[0], BACKEND_DOWN);
  director.set_table(service, {backends[1]});
  EXPECT_EQ(open(client_number(1), 2), 1);
  EXPECT_EQ(open(client_number(2), 1), 2);
  director.set_state(backends[0], BACKEND_GONE);
  EXPECT_EQ(open(client_number(1), 3), 2);
}

TEST_P(Persistence, NobodyStaysWithTheFallback) {
  const uint32_t fallback = director.add_backend(
      {.endpoint = {backend_of(family, 3), port}, .mac = backend_mac(3), .fallback = true});
  director.set_table(service, {fallback});
  EXPECT_EQ(connect(client_number(1), 1), 3);
  director.set_table(service, backends);
  EXPECT_EQ(open(client_number(1), 2), 1);
}

TEST_P(Persistence, IsSweptWithoutAClient) {
  open(client_number(1), 1);
  connect(client_number(2), 1);
  for (const uint8_t number : {uint8_t(1), uint8_t(2)}) {
    director.age(flow_of(client_number(number), 1), established_timeout);
    age_template(client_number(number), timeout);
  }
  director.expire();
  director.expire();
  EXPECT_TRUE(director.records("flows").empty());
  EXPECT_TRUE(director.records("pending").empty());
}

TEST_P(Persistence, DoesNotCountAsAConnection) {
  connect(client_number(1), 1);
  EXPECT_EQ(director.open(backends[0]).active, 1);
  EXPECT_EQ(director.open(backends[0]).inactive, 0);
  EXPECT_EQ(director.open(backends[0]).pending_active, 0);
}

// ---- one packet ----

TEST_P(Persistence, OnePacketIsGivenToABackendAnew) {
  director.set_one_packet(udp_service);
  std::string served;
  for (int i = 0; i < 6; ++i) {
    const Outcome outcome = director.run(wire.to_vip() / UDP{.dport = port} / Payload("query"));
    ASSERT_EQ(outcome.verdict, FORWARD_DR);
    served += static_cast<char>('0' + outcome.frame.at(5) - 0x80);
  }
  EXPECT_EQ(served, "121212");
  EXPECT_TRUE(director.records("flows").empty());
  EXPECT_TRUE(director.records("pending").empty());
  EXPECT_EQ(director.programs().counters(udp_backends[0]).flows, 3);
}

}  // namespace
}  // namespace xlvs::test
