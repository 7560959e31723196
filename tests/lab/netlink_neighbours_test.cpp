// SPDX-License-Identifier: MIT
#include <net/if.h>

#include <algorithm>
#include <fstream>
#include <memory>

#include "loader/plane/neighbours.h"
#include "tests/lab/netlink_lab.h"

namespace xlvs {
namespace {

using State = NextHop::State;

class NeighboursTest : public NetlinkLab {
 protected:
  void SetUp() override {
    NetlinkLab::SetUp();
    if (IsSkipped()) return;
    begin();
  }

  void begin() {
    neighbours_ = std::make_unique<Neighbours>(io_.get_executor(), [this] {
      ++changes_;
      if (on_change_) on_change_();
    });
    const auto started = neighbours_->start();
    ASSERT_TRUE(started) << started.error().message;
  }

  void watch(std::set<Address> addresses) { neighbours_->watch(std::move(addresses)); }
  NextHop hop(const char* text) { return neighbours_->next_hop(address(text)); }
  bool becomes(const char* text, State state) {
    return eventually([&] { return hop(text).state == state; });
  }
  bool becomes(const char* text, const Mac& wanted) {
    return eventually(
        [&] { return hop(text).state == State::resolved && hop(text).mac == wanted; });
  }
  // As the kernel holds it now.
  static Neighbour entry(const char* text) {
    auto socket = netlink::Socket::open();
    NeighbourTable table;
    EXPECT_TRUE(socket && table.load(*socket));
    const Neighbour* found = table.find({eth0(), address(text)});
    return found != nullptr ? *found : Neighbour{};
  }
  static int eth0() { return static_cast<int>(if_nametoindex("eth0")); }
  static void write(const std::string& path, const std::string& text) {
    std::ofstream(path) << text << std::endl;
  }

  int changes_ = 0;
  std::function<void()> on_change_;
  std::unique_ptr<Neighbours> neighbours_;
};

class OnLinkTest : public NeighboursTest, public testing::WithParamInterface<const char*> {};

INSTANTIATE_TEST_SUITE_P(Families, OnLinkTest, testing::Values("192.0.2.2", "2001:db8::2"),
                         [](const auto& row) {
                           return address(row.param).is_v4() ? "ipv4" : "ipv6";
                         });

TEST_P(OnLinkTest, is_resolved_and_kept) {
  const char* backend = GetParam();
  watch({address(backend)});
  ASSERT_TRUE(becomes(backend, mac(2)));
  EXPECT_TRUE(hop(backend).on_link);
  EXPECT_EQ(hop(backend).ifindex, eth0());
  EXPECT_EQ(hop(backend).text(), "on eth0");
  EXPECT_TRUE(entry(backend).ours());
  EXPECT_GE(changes_, 1);
}

TEST_P(OnLinkTest, is_known_at_once_where_the_kernel_knows) {
  const char* backend = GetParam();
  watch({address(backend)});
  ASSERT_TRUE(becomes(backend, State::resolved));
  begin();
  watch({address(backend)});
  EXPECT_EQ(hop(backend).mac, mac(2));
}

TEST_P(OnLinkTest, comes_back_after_its_entry_was_deleted) {
  const char* backend = GetParam();
  watch({address(backend)});
  ASSERT_TRUE(becomes(backend, mac(2)));
  ASSERT_TRUE(eventually([&] { return entry(backend).ours(); }));
  on_change_ = [&] { EXPECT_EQ(hop(backend).state, State::resolved) << "a gap of one ARP"; };
  sh(std::string("ip neigh del dev eth0 ") + backend);
  ASSERT_FALSE(entry(backend).managed);
  EXPECT_TRUE(eventually([&] { return entry(backend).ours() && entry(backend).usable(); }));
  EXPECT_EQ(hop(backend).mac, mac(2));
}

// So it is with a kernel that cannot keep neighbours at all.
TEST_P(OnLinkTest, is_asked_for_again_when_somebody_ends_its_keeping) {
  const char* backend = GetParam();
  watch({address(backend)});
  ASSERT_TRUE(becomes(backend, mac(2)));
  sh(std::string("ip neigh replace ") + backend + " dev eth0 use");
  ASSERT_FALSE(entry(backend).managed);
  EXPECT_TRUE(eventually([&] { return entry(backend).ours(); }));
}

TEST_P(OnLinkTest, comes_back_after_its_link_flapped) {
  const char* backend = GetParam();
  watch({address(backend)});
  ASSERT_TRUE(becomes(backend, mac(2)));
  far_sh("sysctl -qw net.ipv6.conf.far0.keep_addr_on_down=1; ip link set far0 down");
  ASSERT_TRUE(becomes(backend, State::unresolved));
  EXPECT_EQ(hop(backend).text(), "eth0 is down");
  far_sh("ip link set far0 up");
  EXPECT_TRUE(becomes(backend, mac(2)));
  EXPECT_TRUE(eventually([&] { return entry(backend).ours(); }));
}

TEST_P(OnLinkTest, follows_its_mac) {
  const char* backend = GetParam();
  watch({address(backend)});
  ASSERT_TRUE(becomes(backend, mac(2)));
  const uint32_t before = neighbours_->generation();
  far_sh("ip link set far0 address 02:00:00:00:00:99");
  far([&] {
    const Address of = address(backend);
    const Frame frame = of.is_v4() ? arp_announcement(ArpForm::reply, mac(0x99), of)
                                   : neighbour_advertisement(mac(0x99), of, false);
    const auto sent = send_frame(static_cast<int>(if_nametoindex("far0")), frame);
    ASSERT_TRUE(sent) << sent.error().message;
  });
  EXPECT_TRUE(becomes(backend, mac(0x99)));
  EXPECT_NE(neighbours_->generation(), before);
}

TEST_P(OnLinkTest, follows_its_mac_in_silence) {
  const char* backend = GetParam();
  // The kernel by itself would ask in an hour.
  write("/proc/sys/net/ipv4/neigh/eth0/base_reachable_time_ms", "3600000");
  write("/proc/sys/net/ipv6/neigh/eth0/base_reachable_time_ms", "3600000");
  watch({address(backend)});
  ASSERT_TRUE(becomes(backend, mac(2)));
  far_sh("ip link set far0 address 02:00:00:00:00:99");
  EXPECT_TRUE(becomes(backend, mac(0x99)));
  EXPECT_TRUE(entry(backend).ours());
  far_sh("ip link set far0 address 02:00:00:00:00:9a");
  EXPECT_TRUE(becomes(backend, mac(0x9a)));
}

TEST_P(OnLinkTest, is_asked_where_it_is_and_others_are_left_alone) {
  const char* backend = GetParam();
  watch({address(backend)});
  ASSERT_TRUE(becomes(backend, mac(2)));
  const Fd capture = this->capture();
  std::vector<Frame> frames;
  const auto asked = [&](const std::optional<Mac>& at) {
    const Address whom = address(backend);
    const Asker asker{mac(1), address(whom.is_v4() ? "192.0.2.1" : "2001:db8::1")};
    return std::count(
        frames.begin(), frames.end(),
        whom.is_v4() ? arp_request(asker, whom, at) : neighbour_solicitation(asker, whom, at));
  };
  ASSERT_TRUE(eventually([&] {
    read_frames(capture, frames);
    return asked(mac(2)) >= 4;
  }));
  EXPECT_EQ(asked(std::nullopt), 0) << "of all, though it answers";
  far_sh("ip link set far0 address 02:00:00:00:00:99");
  EXPECT_TRUE(eventually([&] {
    read_frames(capture, frames);
    return asked(std::nullopt) > 0 && asked(mac(0x99)) > 0;
  }));
}

TEST_P(OnLinkTest, is_released_when_no_longer_watched_and_at_the_end) {
  const char* backend = GetParam();
  watch({address(backend)});
  ASSERT_TRUE(becomes(backend, mac(2)));
  watch({});
  EXPECT_FALSE(entry(backend).managed);
  EXPECT_EQ(entry(backend).mac, mac(2));
  EXPECT_EQ(hop(backend).text(), "not watched");

  watch({address(backend)});
  ASSERT_TRUE(eventually([&] { return entry(backend).ours(); }));
  neighbours_.reset();
  EXPECT_FALSE(entry(backend).managed);
  EXPECT_EQ(entry(backend).mac, mac(2));
}

TEST_F(NeighboursTest, silent_ones_are_unresolved_until_they_answer) {
  watch({address("192.0.2.77"), address("2001:db8::77")});
  ASSERT_TRUE(eventually([&] { return entry("192.0.2.77").failed(); }));
  ASSERT_TRUE(eventually([&] { return entry("2001:db8::77").failed(); }));
  EXPECT_EQ(hop("192.0.2.77").state, State::unresolved);
  EXPECT_EQ(hop("192.0.2.77").text(), "no answer to ARP on eth0");
  EXPECT_EQ(hop("2001:db8::77").state, State::unresolved);
  EXPECT_EQ(hop("2001:db8::77").text(), "no answer to neighbour discovery on eth0");
  far_sh("ip addr add 192.0.2.77/24 dev far0 && ip addr add 2001:db8::77/64 dev far0 nodad");
  EXPECT_TRUE(becomes("192.0.2.77", mac(2)));
  EXPECT_TRUE(becomes("2001:db8::77", mac(2)));
}

TEST_F(NeighboursTest, one_that_falls_silent_becomes_unresolved) {
  watch({address("192.0.2.2")});
  ASSERT_TRUE(becomes("192.0.2.2", State::resolved));
  far_sh("ip addr del 192.0.2.2/24 dev far0");
  sh("ip neigh del 192.0.2.2 dev eth0");
  EXPECT_TRUE(becomes("192.0.2.2", State::unresolved));
}

TEST_F(NeighboursTest, gateways_are_asked_for_what_is_behind_them) {
  sh("ip route add 198.51.100.0/24 via 192.0.2.2");
  sh("ip route add 203.0.113.0/24 via inet6 2001:db8::2");
  sh("ip route add 2001:db8:1::/64 via 2001:db8::2");
  const std::pair<const char*, const char*> rows[] = {{"198.51.100.7", "192.0.2.2"},
                                                      {"203.0.113.7", "2001:db8::2"},
                                                      {"2001:db8:1::7", "2001:db8::2"}};
  std::set<Address> all;
  for (const auto& [backend, gateway] : rows) all.insert(address(backend));
  watch(all);
  for (const auto& [backend, gateway] : rows) {
    ASSERT_TRUE(becomes(backend, mac(2))) << backend;
    EXPECT_FALSE(hop(backend).on_link);
    EXPECT_EQ(hop(backend).gateway, address(gateway));
    EXPECT_EQ(hop(backend).text(), std::string("via ") + gateway + " on eth0");
    EXPECT_TRUE(entry(gateway).ours());
  }
}

TEST_F(NeighboursTest, routes_are_followed) {
  watch({address("198.51.100.7"), address("2001:db8:1::7")});
  EXPECT_EQ(hop("198.51.100.7").text(), "no route");
  EXPECT_EQ(hop("2001:db8:1::7").text(), "no route");
  sh("ip route add 198.51.100.0/24 via 192.0.2.2");
  sh("ip route add 2001:db8:1::/64 via 2001:db8::2");
  EXPECT_TRUE(becomes("198.51.100.7", mac(2)));
  EXPECT_TRUE(becomes("2001:db8:1::7", mac(2)));
  sh("ip route replace unreachable 198.51.100.0/24 && ip route del 2001:db8:1::/64");
  EXPECT_TRUE(becomes("198.51.100.7", State::no_route));
  EXPECT_TRUE(becomes("2001:db8:1::7", State::no_route));
  EXPECT_FALSE(entry("192.0.2.2").managed);
}

TEST_F(NeighboursTest, a_link_that_is_set_down_takes_its_routes_along) {
  watch({address("192.0.2.2")});
  ASSERT_TRUE(becomes("192.0.2.2", State::resolved));
  sh("ip link set eth0 down");
  EXPECT_TRUE(becomes("192.0.2.2", State::no_route));
  sh("ip link set eth0 up");
  EXPECT_TRUE(becomes("192.0.2.2", mac(2)));
}

TEST_F(NeighboursTest, own_addresses_are_local) {
  watch({address("192.0.2.1"), address("127.0.0.1"), address("2001:db8::1"), address("::1"),
         address("192.0.2.9")});
  for (const char* own : {"192.0.2.1", "127.0.0.1", "2001:db8::1", "::1"})
    EXPECT_EQ(hop(own).state, State::local) << own;
  EXPECT_EQ(hop("192.0.2.9").state, State::unresolved);
  sh("ip addr add 192.0.2.9/32 dev lo");
  EXPECT_TRUE(becomes("192.0.2.9", State::local));
}

TEST_F(NeighboursTest, what_a_killed_agent_kept_is_released_and_what_others_keep_is_not) {
  auto socket = netlink::Socket::open();
  ASSERT_TRUE(socket);
  ASSERT_TRUE(keep_neighbour(*socket, {eth0(), address("192.0.2.2")}));
  sh("ip neigh add 192.0.2.3 dev eth0 managed");
  ASSERT_TRUE(entry("192.0.2.2").ours() && entry("192.0.2.3").managed);
  begin();
  watch({});
  EXPECT_FALSE(entry("192.0.2.2").managed);
  EXPECT_TRUE(entry("192.0.2.3").managed);
}

TEST_F(NeighboursTest, entries_made_by_hand_are_used_as_they_are) {
  sh("ip neigh add 192.0.2.50 lladdr 02:00:00:00:00:50 dev eth0 nud permanent");
  begin();
  watch({address("192.0.2.50")});
  EXPECT_EQ(hop("192.0.2.50").mac, mac(0x50));
  EXPECT_EQ(entry("192.0.2.50").state, NUD_PERMANENT);
  EXPECT_FALSE(entry("192.0.2.50").managed);
}

TEST_F(NeighboursTest, the_generation_rises_with_what_may_move_replies) {
  sh("ip neigh add 192.0.2.60 lladdr 02:00:00:00:00:60 dev eth0 nud reachable");
  begin();
  const std::string rows[] = {
      "ip neigh replace 192.0.2.61 lladdr 02:00:00:00:00:61 dev eth0 nud reachable",
      "ip neigh replace 192.0.2.60 lladdr 02:00:00:00:00:62 dev eth0 nud reachable",
      "ip neigh del 192.0.2.61 dev eth0",
      "ip route add 198.51.100.0/24 via 192.0.2.2",
      "ip -6 rule add from 2001:db8:5::/64 table main",
      "ip addr add 192.0.2.70/32 dev eth0",
      "ip link set eth0 address 02:00:00:00:00:71",
  };
  for (const std::string& row : rows) {
    io_.restart();
    io_.run_for(std::chrono::milliseconds(200));  // what came before is told by then
    const uint32_t before = neighbours_->generation();
    sh(row);
    EXPECT_TRUE(eventually([&] { return neighbours_->generation() != before; })) << row;
  }
}

TEST_F(NeighboursTest, the_generation_stays_when_a_neighbour_only_ages) {
  sh("ip neigh add 192.0.2.60 lladdr 02:00:00:00:00:60 dev eth0 nud reachable");
  begin();
  ASSERT_TRUE(eventually([&] { return entry("192.0.2.60").usable(); }));
  io_.restart();
  io_.run_for(std::chrono::milliseconds(300));
  const uint32_t before = neighbours_->generation();
  sh("ip neigh replace 192.0.2.60 lladdr 02:00:00:00:00:60 dev eth0 nud stale");
  io_.restart();
  io_.run_for(std::chrono::milliseconds(300));
  EXPECT_EQ(neighbours_->generation(), before);
}

TEST_F(NeighboursTest, a_burst_is_told_in_few_calls) {
  sh("for i in $(seq 200); do echo route add 198.51.100.$i/32 via 192.0.2.2; done | ip -batch -");
  changes_ = 0;
  const uint32_t before = neighbours_->generation();
  EXPECT_TRUE(eventually([&] { return neighbours_->generation() != before; }));
  EXPECT_EQ(neighbours_->generation(), before + 1);
  EXPECT_EQ(changes_, 1);
}

TEST_F(NeighboursTest, lost_events_are_made_up_for) {
  watch({address("192.0.2.2"), address("198.51.100.7")});
  ASSERT_TRUE(becomes("192.0.2.2", State::resolved));
  // The loop does not run meanwhile, and the socket holds less than this.
  sh("for a in $(seq 0 79); do for b in $(seq 0 249); do "
     "echo route add 198.18.$a.$b/32 via 192.0.2.2; done; done | ip -batch -");
  sh("ip neigh replace 192.0.2.2 lladdr 02:00:00:00:00:55 dev eth0 nud permanent");
  sh("ip route add 198.51.100.0/24 via 192.0.2.3");
  sh("ip neigh replace 192.0.2.3 lladdr 02:00:00:00:00:56 dev eth0 nud permanent");
  ASSERT_NE(output("awk 'NR > 1 && $9 > 0' /proc/net/netlink"), "") << "nothing was lost";
  EXPECT_TRUE(becomes("192.0.2.2", mac(0x55)));
  EXPECT_TRUE(becomes("198.51.100.7", mac(0x56)));
}

}  // namespace
}  // namespace xlvs
