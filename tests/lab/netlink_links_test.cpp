// SPDX-License-Identifier: MIT
#include <array>
#include <fstream>

#include "loader/plane/links.h"
#include "tests/lab/netlink_lab.h"

namespace xlvs {
namespace {

class LinksTest : public NetlinkLab {
 protected:
  void SetUp() override {
    NetlinkLab::SetUp();
    if (IsSkipped()) return;
    const auto started = links_.start();
    ASSERT_TRUE(started) << started.error().message;
  }

  // The interface that the test is about; an empty one if there is none.
  Link eth0() {
    const Link* link = links_.find("eth0");
    return link != nullptr ? *link : Link{};
  }

  int changes_ = 0;
  Links links_{io_.get_executor(), [this] { ++changes_; }};
};

TEST_F(LinksTest, knows_what_is_there) {
  ASSERT_TRUE(eventually([&] { return eth0().up; }));
  EXPECT_EQ(eth0().mac, mac(1));
  EXPECT_EQ(eth0().mtu, 1500U);
  EXPECT_TRUE(eth0().ethernet);
  ASSERT_NE(links_.find(eth0().ifindex), nullptr);
  EXPECT_EQ(*links_.find(eth0().ifindex), eth0());
  ASSERT_NE(links_.find("lo"), nullptr);
  EXPECT_FALSE(links_.find("lo")->ethernet);
  EXPECT_EQ(links_.find("eth1"), nullptr);
}

TEST_F(LinksTest, follows_mac_mtu_and_name) {
  const int ifindex = eth0().ifindex;
  sh("ip link set eth0 address 02:00:00:00:00:77 mtu 1400");
  EXPECT_TRUE(eventually([&] { return eth0().mac == mac(0x77) && eth0().mtu == 1400; }));
  sh("ip link set eth0 down && ip link set eth0 name lan0");
  EXPECT_TRUE(eventually([&] { return links_.find("lan0") != nullptr; }));
  EXPECT_EQ(links_.find("eth0"), nullptr);
  EXPECT_EQ(links_.find("lan0")->ifindex, ifindex);
  EXPECT_GE(changes_, 2);
}

TEST_F(LinksTest, is_down_without_carrier_and_when_set_down) {
  ASSERT_TRUE(eventually([&] { return eth0().up; }));
  far_sh("ip link set far0 down");
  EXPECT_TRUE(eventually([&] { return !eth0().up; }));
  far_sh("ip link set far0 up");
  EXPECT_TRUE(eventually([&] { return eth0().up; }));
  sh("ip link set eth0 down");
  EXPECT_TRUE(eventually([&] { return !eth0().up; }));
}

TEST_F(LinksTest, is_another_when_made_again) {
  const int before = eth0().ifindex;
  sh("ip link del eth0");
  EXPECT_TRUE(eventually([&] { return links_.find("eth0") == nullptr; }));
  EXPECT_EQ(links_.find(before), nullptr);
  sh("ip link add eth0 type veth peer name other0");
  EXPECT_TRUE(eventually([&] { return links_.find("eth0") != nullptr; }));
  EXPECT_NE(eth0().ifindex, before);
}

// A bridge says RTM_DELLINK when a port leaves it; the interface's own message comes after that.
TEST_F(LinksTest, outlives_leaving_a_bridge) {
  auto socket = netlink::Socket::open();
  LinkTable table;
  ASSERT_TRUE(socket && table.load(*socket));
  int removals = 0;
  netlink::Events events(io_.get_executor(), {.message =
                                                  [&](const netlink::View& message) {
                                                    table.apply(message);
                                                    if (message.type() == RTM_DELLINK) ++removals;
                                                    EXPECT_NE(table.find("eth0"), nullptr);
                                                  },
                                              .batch = [](bool) {}});
  constexpr std::array groups{RTNLGRP_LINK};
  ASSERT_TRUE(events.start(groups));
  sh("ip link add br0 type bridge && ip link set eth0 master br0 && ip link set eth0 nomaster");
  EXPECT_TRUE(eventually([&] { return removals > 0; }));
}

TEST_F(LinksTest, makes_up_for_lost_events) {
  // The loop does not run meanwhile, and the socket holds less than this.
  sh("for i in $(seq 4000); do for mtu in 1399 1400; do echo link set eth0 mtu $mtu; done; done |"
     " ip -batch -");
  sh("ip link set eth0 mtu 1401");
  ASSERT_NE(output("awk 'NR > 1 && $9 > 0' /proc/net/netlink"), "") << "nothing was lost";
  EXPECT_TRUE(eventually([&] { return eth0().mtu == 1401; }));
}

TEST_F(LinksTest, tells_once_for_a_burst) {
  io_.poll();
  changes_ = 0;
  for (int mtu = 1301; mtu <= 1320; ++mtu) sh("ip link set eth0 mtu " + std::to_string(mtu));
  EXPECT_TRUE(eventually([&] { return eth0().mtu == 1320; }));
  EXPECT_EQ(changes_, 1);
}

TEST_F(LinksTest, reads_whether_the_machine_forwards) {
  const std::pair<int, std::string> rows[] = {{AF_INET, "/proc/sys/net/ipv4/ip_forward"},
                                              {AF_INET6, "/proc/sys/net/ipv6/conf/all/forwarding"}};
  for (const auto& [family, path] : rows) {
    for (const bool wanted : {true, false}) {
      std::ofstream(path) << wanted << std::endl;
      const auto enabled = forwarding_enabled(family);
      ASSERT_TRUE(enabled) << enabled.error().message;
      EXPECT_EQ(*enabled, wanted) << path;
    }
  }
}

}  // namespace
}  // namespace xlvs
