// SPDX-License-Identifier: MIT
#include <gmock/gmock.h>
#include <net/if.h>

#include <algorithm>

#include "loader/plane/vips.h"
#include "tests/lab/netlink_lab.h"

namespace xlvs {
namespace {

using testing::HasSubstr;
using testing::Not;

// For 02:00:00:00:00:01 and the VIPs 192.0.2.100 and 2001:db8::100, out of RFC 826, RFC 5227 and
// RFC 4861; the checksum was computed elsewhere.
const Frame arp_request{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2,   0, 0, 0,   0, 1, 0x08, 0x06,  //
                        0,    1,    0x08, 0,    6,    4,    0,   1,                            //
                        2,    0,    0,    0,    0,    1,    192, 0, 2, 100,                    //
                        0,    0,    0,    0,    0,    0,    192, 0, 2, 100};
const Frame arp_reply{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2,   0, 0, 0,   0, 1, 0x08, 0x06,  //
                      0,    1,    0x08, 0,    6,    4,    0,   2,                            //
                      2,    0,    0,    0,    0,    1,    192, 0, 2, 100,                    //
                      2,    0,    0,    0,    0,    1,    192, 0, 2, 100};
const Frame advertisement{
    0x33, 0x33, 0,    0,    0,    1,  2,  0,   0, 0, 0, 1, 0x86, 0xdd,        //
    0x60, 0,    0,    0,    0,    32, 58, 255,                                //
    0x20, 0x01, 0x0d, 0xb8, 0,    0,  0,  0,   0, 0, 0, 0, 0,    0,    1, 0,  //
    0xff, 0x02, 0,    0,    0,    0,  0,  0,   0, 0, 0, 0, 0,    0,    0, 1,  //
    136,  0,    0xf7, 0x2c, 0x20, 0,  0,  0,                                  //
    0x20, 0x01, 0x0d, 0xb8, 0,    0,  0,  0,   0, 0, 0, 0, 0,    0,    1, 0,  //
    2,    1,    2,    0,    0,    0,  0,  1};

class VipsTest : public NetlinkLab {
 protected:
  static int eth0() { return static_cast<int>(if_nametoindex("eth0")); }
  static std::string addresses() { return output("ip -o addr show"); }
  void set(std::set<Address> wanted) {
    const auto result = vips_.set(wanted, eth0());
    ASSERT_TRUE(result) << result.error().message;
  }
  static auto count(const std::vector<Frame>& frames, const Frame& wanted) {
    return std::count(frames.begin(), frames.end(), wanted);
  }

  const Address v4_ = address("192.0.2.100");
  const Address v6_ = address("2001:db8::100");
  Vips vips_{io_.get_executor()};
};

TEST_F(VipsTest, come_and_go) {
  set({v4_, v6_});
  EXPECT_THAT(addresses(), HasSubstr("192.0.2.100/32"));
  EXPECT_THAT(addresses(), HasSubstr("2001:db8::100/128"));
  EXPECT_EQ(output("ip -6 addr show tentative | grep -c ::100"), "0\n");
  set({v6_});
  EXPECT_THAT(addresses(), Not(HasSubstr("192.0.2.100/32")));
  EXPECT_THAT(addresses(), HasSubstr("2001:db8::100/128"));
  const auto removed = vips_.remove_all();
  EXPECT_TRUE(removed) << removed.error().message;
  EXPECT_THAT(addresses(), Not(HasSubstr("::100/128")));
  EXPECT_THAT(addresses(), HasSubstr("192.0.2.1/24"));
}

TEST_F(VipsTest, are_announced_three_times) {
  const Fd far_end = capture();
  std::vector<Frame> frames;
  set({v4_, v6_});
  EXPECT_TRUE(eventually([&] {
    read_frames(far_end, frames);
    return count(frames, arp_request) == 3 && count(frames, arp_reply) == 3 &&
           count(frames, advertisement) == 3;
  })) << count(frames, arp_request)
      << " requests, " << count(frames, arp_reply) << " replies, " << count(frames, advertisement)
      << " advertisements";
}

TEST_F(VipsTest, move_the_neighbours_of_others) {
  far_sh("ip neigh add 192.0.2.100 lladdr 02:00:00:00:00:88 dev far0 nud stale");
  far_sh("ip neigh add 2001:db8::100 lladdr 02:00:00:00:00:88 dev far0 nud stale");
  set({v4_, v6_});
  const auto moved = [&] {
    std::string neighbours;
    far([&] { neighbours = output("ip neigh show dev far0 | grep :01"); });
    return neighbours.find("192.0.2.100 ") != std::string::npos &&
           neighbours.find("2001:db8::100 ") != std::string::npos;
  };
  EXPECT_TRUE(eventually(moved));
}

TEST_F(VipsTest, are_not_announced_once_they_are_given_away) {
  const Fd far_end = capture();
  std::vector<Frame> frames;
  set({v4_, v6_});
  ASSERT_TRUE(eventually([&] {
    read_frames(far_end, frames);
    return count(frames, advertisement) == 1;
  }));
  set({v4_});
  EXPECT_TRUE(eventually([&] {
    read_frames(far_end, frames);
    return count(frames, arp_request) == 3;
  }));
  EXPECT_EQ(count(frames, advertisement), 1);
}

TEST_F(VipsTest, that_are_there_already_are_not_touched) {
  sh("ip addr add 192.0.2.100/24 dev eth0 && ip addr add 2001:db8::100/128 dev lo nodad");
  const std::string before = addresses();
  set({v4_, v6_});
  EXPECT_EQ(vips_.already_there(), (std::set<Address>{v4_, v6_}));
  EXPECT_EQ(addresses(), before);
  EXPECT_TRUE(vips_.remove_all());
  EXPECT_EQ(addresses(), before);
}

TEST_F(VipsTest, of_a_killed_agent_are_adopted) {
  set({v4_, v6_});
  const std::string before = addresses();
  Vips next(io_.get_executor());
  ASSERT_TRUE(next.set({v4_, v6_}, eth0()));
  EXPECT_TRUE(next.already_there().empty());
  EXPECT_EQ(addresses(), before);
  ASSERT_TRUE(next.set({v4_}, eth0()));
  EXPECT_THAT(addresses(), Not(HasSubstr("::100/128")));
  Vips last(io_.get_executor());
  ASSERT_TRUE(last.remove_all());
  EXPECT_THAT(addresses(), Not(HasSubstr("192.0.2.100")));
}

// What a kernel without IFA_PROTO leaves.
TEST_F(VipsTest, are_known_by_their_label_alone) {
  sh("ip addr add 192.0.2.100/32 dev eth0 label eth0:xlvs");
  set({v4_});
  EXPECT_TRUE(vips_.already_there().empty());
  ASSERT_TRUE(vips_.remove_all());
  EXPECT_THAT(addresses(), Not(HasSubstr("192.0.2.100")));
}

TEST_F(VipsTest, are_known_by_their_protocol_alone) {
  sh("ip link set eth0 down && ip link set eth0 name longest-name-0 && ip link set "
     "longest-name-0 up");
  const int ifindex = static_cast<int>(if_nametoindex("longest-name-0"));
  ASSERT_TRUE(vips_.set({v4_}, ifindex));
  EXPECT_THAT(addresses(), Not(HasSubstr(":xlvs")));
  Vips next(io_.get_executor());
  ASSERT_TRUE(next.remove_all());
  EXPECT_THAT(addresses(), Not(HasSubstr("192.0.2.100")));
}

TEST_F(VipsTest, move_to_another_interface) {
  set({v4_, v6_});
  sh("ip link add eth1 type veth peer name other1 && ip link set eth1 up");
  ASSERT_TRUE(vips_.set({v4_, v6_}, static_cast<int>(if_nametoindex("eth1"))));
  EXPECT_THAT(output("ip -o addr show dev eth0"), Not(HasSubstr("100/")));
  EXPECT_THAT(output("ip -o addr show dev eth1"), HasSubstr("192.0.2.100/32"));
  EXPECT_THAT(output("ip -o addr show dev eth1"), HasSubstr("2001:db8::100/128"));
}

// IPv6 addresses go with their link, without a word of the kernel's.
TEST_F(VipsTest, are_there_again_after_their_link_was_down) {
  set({v4_, v6_});
  sh("ip link set eth0 down");
  EXPECT_THAT(addresses(), Not(HasSubstr("2001:db8::100/128")));
  sh("ip link set eth0 up");
  set({v4_, v6_});
  EXPECT_THAT(addresses(), HasSubstr("192.0.2.100/32"));
  EXPECT_THAT(addresses(), HasSubstr("2001:db8::100/128"));
}

TEST_F(VipsTest, are_never_the_source_of_own_ipv6_connections) {
  sh("ip addr del 2001:db8::1/64 dev eth0 && ip addr add 2001:db8:0:1::1/64 dev eth0 nodad");
  sh("ip route add 2001:db8::/64 dev eth0");
  set({v6_});
  EXPECT_THAT(output("ip route get 2001:db8::101"), HasSubstr("src 2001:db8:0:1::1"));
}

TEST_F(VipsTest, say_what_failed_and_do_the_rest) {
  sh("sysctl -qw net.ipv6.conf.eth0.disable_ipv6=1");
  const auto result = vips_.set({v4_, v6_}, eth0());
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().message, HasSubstr("add vip 2001:db8::100 to eth0: "));
  EXPECT_THAT(addresses(), HasSubstr("192.0.2.100/32"));
  EXPECT_FALSE(vips_.set({v4_}, 4711));
}

}  // namespace
}  // namespace xlvs
