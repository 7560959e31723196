// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "loader/plane/next_hop.h"

namespace xlvs {
namespace {

using State = NextHop::State;

const Mac mac_a{{2, 0, 0, 0, 0, 0xa}};
const Mac mac_b{{2, 0, 0, 0, 0, 0xb}};
const Address gateway = Address::parse("192.0.2.254").value();
const Address backend = Address::parse("192.0.2.7").value();
const Address backend6 = Address::parse("2001:db8::7").value();

const Route on_link{
    .kind = Route::Kind::unicast, .ifindex = 3, .on_link = true, .gateway = backend};
const Route on_link6{
    .kind = Route::Kind::unicast, .ifindex = 3, .on_link = true, .gateway = backend6};
const Route routed{
    .kind = Route::Kind::unicast, .ifindex = 3, .on_link = false, .gateway = gateway};
const Link up{.ifindex = 3, .name = "eth0", .mac = mac_b, .up = true, .ethernet = true};
const Link down{.ifindex = 3, .name = "eth0", .mac = mac_b, .up = false, .ethernet = true};
const Link tunnel{.ifindex = 3, .name = "wg0", .up = true, .ethernet = false};

struct Row {
  std::string name;
  Route route;
  std::optional<Link> link;
  std::optional<Neighbour> neighbour;
  std::optional<Mac> last;
  State state;
  std::optional<Mac> mac;
  std::string text;
};

const Row rows[] = {
    {"reachable",
     on_link,
     up,
     Neighbour{NUD_REACHABLE, mac_a},
     {},
     State::resolved,
     mac_a,
     "on eth0"},
    {"stale", on_link, up, Neighbour{NUD_STALE, mac_a}, {}, State::resolved, mac_a, "on eth0"},
    {"delay", on_link, up, Neighbour{NUD_DELAY, mac_a}, {}, State::resolved, mac_a, "on eth0"},
    {"probe", on_link, up, Neighbour{NUD_PROBE, mac_a}, {}, State::resolved, mac_a, "on eth0"},
    {"permanent",
     on_link,
     up,
     Neighbour{NUD_PERMANENT, mac_a},
     {},
     State::resolved,
     mac_a,
     "on eth0"},
    {"the_kernels_mac_not_the_last", on_link, up, Neighbour{NUD_STALE, mac_a}, mac_b,
     State::resolved, mac_a, "on eth0"},
    {"by_a_gateway",
     routed,
     up,
     Neighbour{NUD_STALE, mac_a},
     {},
     State::resolved,
     mac_a,
     "via 192.0.2.254 on eth0"},
    {"incomplete",
     on_link,
     up,
     Neighbour{NUD_INCOMPLETE, {}},
     {},
     State::unresolved,
     {},
     "no answer to ARP on eth0"},
    {"absent", on_link, up, {}, {}, State::unresolved, {}, "no answer to ARP on eth0"},
    {"absent_ipv6",
     on_link6,
     up,
     {},
     {},
     State::unresolved,
     {},
     "no answer to neighbour discovery on eth0"},
    {"absent_gateway",
     routed,
     up,
     {},
     {},
     State::unresolved,
     {},
     "no answer to ARP from gateway 192.0.2.254 on eth0"},
    {"failed_keeps_no_mac",
     on_link,
     up,
     Neighbour{NUD_FAILED, mac_a},
     {},
     State::unresolved,
     {},
     "no answer to ARP on eth0"},
    {"asked_again_keeps_the_last", on_link, up, Neighbour{NUD_INCOMPLETE, {}}, mac_b,
     State::resolved, mac_b, "on eth0"},
    {"deleted_keeps_the_last", on_link, up, {}, mac_b, State::resolved, mac_b, "on eth0"},
    {"failed_forgets_the_last",
     on_link,
     up,
     Neighbour{NUD_FAILED, {}},
     mac_b,
     State::unresolved,
     {},
     "no answer to ARP on eth0"},
    {"no_carrier",
     on_link,
     down,
     Neighbour{NUD_STALE, mac_a},
     mac_a,
     State::unresolved,
     {},
     "eth0 is down"},
    {"link_gone", on_link, {}, {}, mac_a, State::unresolved, {}, "interface 3 is down"},
    {"no_ethernet",
     on_link,
     tunnel,
     Neighbour{NUD_NOARP, {}},
     {},
     State::unresolved,
     {},
     "wg0 is not an Ethernet interface"},
    {"no_route", Route{}, {}, {}, {}, State::no_route, {}, "no route"},
    {"local",
     Route{.kind = Route::Kind::local},
     {},
     {},
     {},
     State::local,
     {},
     "the director's own address"},
};

class NextHopTest : public testing::TestWithParam<Row> {};

TEST_P(NextHopTest, follows_from_route_link_and_neighbour) {
  const Row& row = GetParam();
  const NextHop next = next_hop(row.route, row.link ? &*row.link : nullptr,
                                row.neighbour ? &*row.neighbour : nullptr, row.last);
  EXPECT_EQ(next.state, row.state);
  EXPECT_EQ(next.text(), row.text);
  EXPECT_EQ(next.mac, row.mac.value_or(Mac{}));
}

void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

INSTANTIATE_TEST_SUITE_P(Rows, NextHopTest, testing::ValuesIn(rows),
                         [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace xlvs
