// SPDX-License-Identifier: MIT
// What a tunnel leaves of the MTU, and so of the MSS.
#include <gtest/gtest.h>

#include "loader/state/effective.h"

namespace xlvs {
namespace {

struct Row {
  const char* name;
  const char* vip;
  const char* backend;
  Forwarding forwarding = Forwarding::tun;
  Tunnel tunnel{};
  Mss mss{};
  uint16_t mtu = 1500;
  uint16_t expected = 0;
};

constexpr Tunnel gre{TunnelType::gre};
constexpr Tunnel gre_sum{TunnelType::gre, 0, true};
constexpr Tunnel gue{TunnelType::gue, 6080};
constexpr Tunnel gue_sum{TunnelType::gue, 6080, true};
constexpr Mss off{false, 0};
constexpr Mss fixed{false, 1300};

const Row rows[] = {
    {"v4_in_v4", "192.0.2.1", "192.0.2.9", Forwarding::tun, {}, {}, 1500, 1440},
    {"v6_in_v6", "2001:db8::1", "2001:db8::9", Forwarding::tun, {}, {}, 1500, 1400},
    {"v4_in_v6", "192.0.2.1", "2001:db8::9", Forwarding::tun, {}, {}, 1500, 1420},
    {"v6_in_v4", "2001:db8::1", "192.0.2.9", Forwarding::tun, {}, {}, 1500, 1420},
    {"gre", "192.0.2.1", "192.0.2.9", Forwarding::tun, gre, {}, 1500, 1436},
    {"gre_with_checksum", "192.0.2.1", "192.0.2.9", Forwarding::tun, gre_sum, {}, 1500, 1432},
    {"gue", "192.0.2.1", "192.0.2.9", Forwarding::tun, gue, {}, 1500, 1428},
    {"gue_with_checksum", "192.0.2.1", "192.0.2.9", Forwarding::tun, gue_sum, {}, 1500, 1428},
    {"jumbo", "192.0.2.1", "192.0.2.9", Forwarding::tun, {}, {}, 9000, 8940},
    {"unknown", "192.0.2.1", "192.0.2.9", Forwarding::tun, {}, {}, 0, 0},
    {"less_than_the_headers", "192.0.2.1", "192.0.2.9", Forwarding::tun, {}, {}, 60, 1},
    {"off", "192.0.2.1", "192.0.2.9", Forwarding::tun, {}, off, 1500, 0},
    {"a_number", "192.0.2.1", "192.0.2.9", Forwarding::tun, {}, fixed, 1500, 1300},
    {"dr", "192.0.2.1", "192.0.2.9", Forwarding::dr, {}, {}, 1500, 0},
    {"nat", "192.0.2.1", "192.0.2.9", Forwarding::nat, {}, {}, 1500, 0},
    {"a_number_by_dr", "192.0.2.1", "192.0.2.9", Forwarding::dr, {}, fixed, 1500, 1300},
    {"a_number_by_nat", "192.0.2.1", "192.0.2.9", Forwarding::nat, {}, fixed, 1500, 1300},
    {"a_number_for_the_director", "192.0.2.1", "127.0.0.1", Forwarding::local, {}, fixed, 1500, 0},
};

class MssTest : public testing::TestWithParam<Row> {};

TEST_P(MssTest, follows_from_the_way) {
  const Row& row = GetParam();
  Service service{.name = "web", .key = {{*Address::parse(row.vip), 80}}, .mss = row.mss};
  service.backends.push_back({.endpoint = {*Address::parse(row.backend)},
                              .forwarding = row.forwarding,
                              .tunnel = row.tunnel});
  Configuration configuration;
  configuration.services.push_back(service);
  const TunnelWay way{*Address::parse("192.0.2.254"), row.mtu};
  const State state =
      effective(configuration,
                [&](const Service&, const Backend&, bool) {
                  return Observation{Observation::Checked::up, true, Egress{{}, 1}, way};
                },
                {});
  const BackendEntry& entry = state.at(service.key).backends.at(0);
  EXPECT_EQ(entry.mss, row.expected);
  EXPECT_EQ(entry.tunnel, row.tunnel);
  EXPECT_EQ(entry.way, way);
}

void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

INSTANTIATE_TEST_SUITE_P(Rows, MssTest, testing::ValuesIn(rows),
                         [](const auto& row) { return std::string(row.param.name); });

}  // namespace
}  // namespace xlvs
