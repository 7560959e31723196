// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>

#include <cstring>
#include <string>
#include <vector>

#include "loader/plane/tags.h"

namespace xlvs {
namespace {

Address address(const char* text) { return Address::parse(text).value(); }

// An interface as the kernel tells of it; `kind` as in `ip -d link`.
void tell(LinkTable& links, int ifindex, const std::string& name, const std::string& kind,
          uint32_t on, bool elsewhere = false) {
  netlink::Message message(RTM_NEWLINK, 0);
  message.header(
      ifinfomsg{.ifi_family = AF_UNSPEC, .ifi_type = ARPHRD_ETHER, .ifi_index = ifindex});
  message.put(IFLA_IFNAME, name).put_u32(IFLA_MTU, 1500).put_u32(IFLA_LINK, on);
  if (elsewhere) message.put_u32(IFLA_LINK_NETNSID, 0);
  rtattr inner{.rta_len = static_cast<unsigned short>(RTA_LENGTH(kind.size() + 1)),
               .rta_type = IFLA_INFO_KIND};
  std::vector<char> nested(RTA_ALIGN(inner.rta_len));
  std::memcpy(nested.data(), &inner, sizeof inner);
  std::memcpy(nested.data() + RTA_LENGTH(0), kind.c_str(), kind.size() + 1);
  message.put(IFLA_LINKINFO, nested.data(), nested.size());
  links.apply(netlink::View(*message.raw()));
}

LinkTable links() {
  LinkTable table;
  tell(table, 2, "eth0", "veth", 1);
  tell(table, 3, "eth1", "veth", 1);
  tell(table, 4, "eth0.5", "vlan", 2);
  tell(table, 5, "eth0.5.6", "vlan", 4);
  tell(table, 6, "mac0", "macvlan", 2);
  tell(table, 7, "far.5", "vlan", 2, true);
  return table;
}

TEST(Tags, a_vlan_lies_on_its_interface_and_on_no_other) {
  const LinkTable table = links();
  EXPECT_TRUE(is_tagged_over(table, *table.find("eth0.5"), 2));
  EXPECT_TRUE(is_tagged_over(table, *table.find("eth0.5.6"), 2));
  EXPECT_TRUE(is_tagged_over(table, *table.find("eth0.5.6"), 4));
  EXPECT_FALSE(is_tagged_over(table, *table.find("eth0.5"), 3));
  EXPECT_FALSE(is_tagged_over(table, *table.find("eth0"), 2));
  EXPECT_FALSE(is_tagged_over(table, *table.find("eth0"), 1)) << "a veth's peer";
  EXPECT_FALSE(is_tagged_over(table, *table.find("mac0"), 2));
  EXPECT_FALSE(is_tagged_over(table, *table.find("far.5"), 2));
}

struct Row {
  std::string name;
  const char* address;
  Route route;
  std::vector<Network> networks;
  std::string way;  // empty: none
};

class TaggedWay : public testing::TestWithParam<Row> {};

Route by(int ifindex) { return {.kind = Route::Kind::unicast, .ifindex = ifindex}; }

const Route local{.kind = Route::Kind::local};

const Row rows[] = {
    {"route_by_vlan", "192.0.2.7", by(4), {}, "eth0.5"},
    {"route_by_vlan_in_vlan", "192.0.2.7", by(5), {}, "eth0.5.6"},
    {"route_by_the_interface", "192.0.2.7", by(2), {}, ""},
    {"route_by_macvlan", "192.0.2.7", by(6), {}, ""},
    {"no_route", "192.0.2.7", {}, {}, ""},
    {"own_vip_in_the_vlan", "192.0.2.7", local, {{4, address("192.0.2.1"), 24}}, "eth0.5"},
    {"own_vip_elsewhere", "192.0.3.7", local, {{4, address("192.0.2.1"), 24}}, ""},
    {"own_vip_untagged", "192.0.2.7", local, {{2, address("192.0.2.1"), 24}}, ""},
    {"odd_prefix_in", "192.0.2.7", local, {{4, address("192.0.2.1"), 29}}, "eth0.5"},
    {"odd_prefix_out", "192.0.2.8", local, {{4, address("192.0.2.1"), 29}}, ""},
    {"ipv6_in", "2001:db8:0:1fff::7", local, {{4, address("2001:db8:0:1000::1"), 52}}, "eth0.5"},
    {"ipv6_out", "2001:db8:0:2000::7", local, {{4, address("2001:db8:0:1000::1"), 52}}, ""},
    {"other_family", "192.0.2.7", local, {{4, address("::1"), 0}}, ""},
};

INSTANTIATE_TEST_SUITE_P(Rows, TaggedWay, testing::ValuesIn(rows),
                         [](const auto& row) { return row.param.name; });

TEST_P(TaggedWay, is_found) {
  const Row& row = GetParam();
  const LinkTable table = links();
  const Link* way = tagged_way(table, 2, address(row.address), row.route, row.networks);
  EXPECT_EQ(way == nullptr ? "" : way->name, row.way);
  EXPECT_EQ(tagged_way(table, 3, address(row.address), row.route, row.networks), nullptr);
}

}  // namespace
}  // namespace xlvs
