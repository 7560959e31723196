// SPDX-License-Identifier: MIT
// Which service a packet is for, and what the endpoints of a service share.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/packet/cluster.h"
#include "tests/packet/row_name.h"

namespace xlvs::test {
namespace {

std::string family_name(const testing::TestParamInfo<Family>& info) {
  return info.param == Family::v4 ? "v4" : "v6";
}

// Backends 1, 2, ... are known by their MACs; each service but `shared` has one of its own.
class Endpoints : public testing::TestWithParam<Family> {
 public:
  Endpoints() {
    for (uint8_t number = 1; number <= 6; ++number) {
      backends.push_back(director.add_backend(
          {.endpoint = {backend_of(family, number), 0}, .mac = backend_mac(number)}));
    }
  }

  uint32_t add(uint8_t number, uint16_t port, uint8_t protocol = tcp) {
    return director.add_service({vip, port}, protocol, {backends.at(number - 1U)});
  }
  Outcome send(const Packet& transport, const Address& to) {
    return director.run(wire.link(client_mac, director_mac) / wire.ip(client, to, 64) / transport);
  }
  static int server(const Outcome& outcome) {
    const bool forwarded = outcome.verdict == FORWARD_DR || outcome.verdict == FORWARD_NAT;
    return forwarded ? outcome.frame.at(5) - 0x80 : 0;
  }
  int syn(uint16_t dport, const Address& to, uint16_t sport = 1000) {
    return server(send(TCP{.sport = sport, .dport = dport, .syn = true}, to));
  }
  int syn(uint16_t dport) { return syn(dport, vip); }

  Family family = GetParam();
  Wire wire{family, Tags::none};
  Address client = client_of(family);
  Address vip = vip_of(family);
  Address second_vip = second_vip_of(family);
  Director director;
  std::vector<uint32_t> backends;
};

INSTANTIATE_TEST_SUITE_P(Families, Endpoints, testing::ValuesIn(families), family_name);

TEST_P(Endpoints, APortComesBeforeARangeAndThatBeforeAllPorts) {
  add(1, 8050);
  const uint32_t range = add(2, 9);  // its own port is elsewhere
  const uint32_t all = add(3, 10);
  director.add_ports(vip, tcp, all, {{8000, 8100, range}});
  EXPECT_EQ(syn(8050), 1);
  EXPECT_EQ(syn(8000), 2);
  EXPECT_EQ(syn(8100), 2);
  EXPECT_EQ(syn(7999), 3);
  EXPECT_EQ(syn(8101), 3);
  EXPECT_EQ(syn(1), 3);
  EXPECT_EQ(syn(65535), 3);
}

TEST_P(Endpoints, RangesOfAVipAreThatVipsAndProtocols) {
  const uint32_t range = add(1, 9);
  director.add_ports(vip, tcp, 0, {{8000, 8100, range}});
  EXPECT_EQ(syn(8000), 1);
  EXPECT_EQ(send(TCP{.sport = 1, .dport = 8000, .syn = true}, second_vip).verdict, PASS_NO_SERVICE);
  EXPECT_EQ(send(UDP{.sport = 1, .dport = 8000}, vip).verdict, PASS_NO_SERVICE);
  EXPECT_EQ(send(TCP{.sport = 1, .dport = 8101, .syn = true}, vip).verdict, PASS_NO_SERVICE);
}

TEST_P(Endpoints, ARangeWithoutAServiceLeavesItsPortsToTheOthers) {
  const uint32_t all = add(3, 10);
  director.add_ports(vip, tcp, all, {{8000, 8100, 0}});
  EXPECT_EQ(syn(8000), 3);
}

// Of no flow: one to a port of a range, or of all, may be the director's own.
TEST_P(Endpoints, APortOfItsOwnIsNotTheDirectors) {
  const uint32_t all = add(3, 10);
  add(1, 8050);
  director.add_ports(vip, tcp, all, {{8000, 8100, all}});
  director.add_ports(vip, sctp, add(2, 10, sctp), {});
  add(4, 8050, sctp);
  const auto answer_to = [&](uint16_t port) {
    return send(TCP{.sport = 443, .dport = port, .syn = true, .ack = true}, vip).verdict;
  };
  const auto sctp_answer_to = [&](uint16_t port) {
    return send(SCTP{.sport = 443, .dport = port, .tag = 9, .chunk = 2}, vip).verdict;
  };
  EXPECT_EQ(answer_to(8050), REFUSE_NO_FLOW);
  EXPECT_EQ(answer_to(8051), PASS_NO_FLOW);
  EXPECT_EQ(answer_to(40000), PASS_NO_FLOW);
  EXPECT_EQ(sctp_answer_to(8050), REFUSE_NO_FLOW);
  EXPECT_EQ(sctp_answer_to(40000), PASS_NO_FLOW);
}

// Each port of 1 to 1024 in a range of its own, but every fifth.
TEST_P(Endpoints, AreFoundAmongManyRanges) {
  const std::vector<uint32_t> services{add(1, 60001), add(2, 60002), add(3, 60003)};
  const uint32_t others = add(4, 60004);
  std::vector<port_range> ranges;
  for (uint16_t port = 1; port <= 1024; ++port) {
    if (port % 5 != 0) ranges.push_back({port, port, services[port % 3]});
  }
  director.add_ports(vip, tcp, others, ranges);
  for (uint16_t port = 1; port <= 1025; ++port) {
    const bool in_range = port <= 1024 && port % 5 != 0;
    ASSERT_EQ(syn(port), in_range ? 1 + port % 3 : 4) << port;
  }
}

TEST_P(Endpoints, ShareTheTurnsOfTheirService) {
  const uint32_t shared = director.add_service({vip, 80}, tcp, {backends[0], backends[1]});
  director.add_endpoint(shared, {vip, 443}, tcp);
  director.add_endpoint(shared, {second_vip, 80}, tcp);
  director.add_endpoint(shared, {vip, 443}, udp);
  director.add_ports(second_vip, tcp, 0, {{8000, 8100, shared}});
  EXPECT_EQ(syn(80), 1);
  EXPECT_EQ(syn(443), 2);
  EXPECT_EQ(syn(80, second_vip), 1);
  EXPECT_EQ(syn(8010, second_vip), 2);
  EXPECT_EQ(server(send(UDP{.sport = 1000, .dport = 443}, vip)), 1);
}

TEST_P(Endpoints, SharePersistence) {
  const uint32_t shared = director.add_service({vip, 80}, tcp, {backends[0], backends[1]});
  director.add_endpoint(shared, {second_vip, 443}, tcp);
  director.add_endpoint(shared, {vip, 443}, udp);
  director.add_ports(vip, tcp, shared, {});
  director.set_persistence(shared, 300);
  const int chosen = syn(80);
  EXPECT_EQ(syn(443, second_vip), chosen);
  EXPECT_EQ(server(send(UDP{.sport = 1000, .dport = 443}, vip)), chosen);
  EXPECT_EQ(syn(12345), chosen);
}

TEST_P(Endpoints, AServiceOfAllPortsKeepsClientsWithTheirBackend) {
  const uint32_t all = director.add_service({vip, 9}, tcp, {backends[0], backends[1]});
  director.add_ports(vip, tcp, all, {});
  director.set_persistence(all, 300);
  for (const uint16_t port : std::vector<uint16_t>{21, 1024, 30000, 65535}) EXPECT_EQ(syn(port), 1);
  client = second_vip;  // another one
  for (const uint16_t port : std::vector<uint16_t>{21, 1024, 30000, 65535}) EXPECT_EQ(syn(port), 2);
}

TEST_P(Endpoints, OpenFlowsHoldTheTemplateWhicheverEndpointTheyCameBy) {
  const uint32_t shared = director.add_service({vip, 80}, tcp, {backends[0], backends[1]});
  director.add_ports(second_vip, tcp, shared, {});
  director.set_persistence(shared, 1);
  const int chosen = syn(5000, second_vip);
  send(TCP{.sport = 1000, .dport = 5000, .ack = true}, second_vip);
  director.expire();
  const flow_key key = key_of({client, 0}, {vip, 80}, tcp, DIRECTION_TEMPLATE);
  // A sweep may meet the template before its flow.
  for (int sweep = 0; sweep < 2; ++sweep) {
    auto record = director.confirmed(key);
    ASSERT_TRUE(record);
    record->last_seen -= 10 * director.live().second;
    director.put_confirmed(key, *record);
    director.expire();
  }
  EXPECT_EQ(syn(80), chosen);
}

// ---- NAT ----

class NatEndpoints : public Endpoints {
 public:
  NatEndpoints() {
    any_port = director.add_backend(
        {.endpoint = {backend_of(family, 7), 0}, .forward = FORWARDING_NAT, .mac = backend_mac(7)});
    shared = director.add_service({vip, 80}, tcp, {any_port});
    director.add_ports(vip, tcp, 0, {{8000, 8100, shared}});
    director.add_endpoint(shared, {vip, 53}, udp);
  }
  uint32_t any_port = 0;
  uint32_t shared = 0;
};

INSTANTIATE_TEST_SUITE_P(Families, NatEndpoints, testing::ValuesIn(families), family_name);

TEST_P(NatEndpoints, ABackendWithoutAPortGetsTheClients) {
  for (const uint16_t port : std::vector<uint16_t>{80, 8000, 8100}) {
    const Outcome outcome = send(TCP{.sport = 1000, .dport = port, .syn = true}, vip);
    EXPECT_EQ(outcome.frame,
              (wire.to_nat_backend(7) / TCP{.sport = 1000, .dport = port, .syn = true}).build());
  }
  const Outcome outcome = send(UDP{.sport = 1000, .dport = 53}, vip);
  EXPECT_EQ(outcome.frame, (wire.to_nat_backend(7) / UDP{.sport = 1000, .dport = 53}).build());
}

TEST_P(NatEndpoints, ItsRepliesGoBackFromThePortThatTheyCameTo) {
  for (const uint16_t port : std::vector<uint16_t>{80, 8010}) {
    send(TCP{.sport = 1000, .dport = port, .syn = true}, vip);
    const TCP answer{.sport = port, .dport = 1000, .syn = true, .ack = true};
    const Outcome outcome = director.run(wire.from_nat_backend(7) / answer);
    EXPECT_EQ(outcome.verdict, FORWARD_REPLY);
    EXPECT_EQ(outcome.frame, (wire.to_client() / answer).build());
  }
}

TEST_P(NatEndpoints, WhatElseItSendsPasses) {
  EXPECT_EQ(
      director.run(wire.from_nat_backend(7) / TCP{.sport = 22, .dport = 9, .ack = true}).verdict,
      PASS_REPLY_NO_FLOW);
}

TEST_P(NatEndpoints, ABackendWithAPortGetsAllThere) {
  const uint32_t one_port = director.add_backend({.endpoint = {backend_of(family, 8), 3128},
                                                  .forward = FORWARDING_NAT,
                                                  .mac = backend_mac(8)});
  director.set_table(shared, {one_port});
  const Outcome outcome = send(TCP{.sport = 1000, .dport = 8010, .syn = true}, vip);
  EXPECT_EQ(outcome.frame,
            (wire.to_nat_backend(8) / TCP{.sport = 1000, .dport = 3128, .syn = true}).build());
  // The same client port to another port of the vip: the backend could not tell them apart.
  EXPECT_EQ(send(TCP{.sport = 1000, .dport = 8020, .syn = true}, vip).verdict, REFUSE_REPLY_TAKEN);
}

}  // namespace
}  // namespace xlvs::test
