// SPDX-License-Identifier: MIT
#include "tests/lab/netlink_lab.h"

#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <sys/socket.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>

namespace xlvs {
namespace {

Fd own_namespace() { return Fd{::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)}; }

}  // namespace

Address address(const char* text) { return Address::parse(text).value(); }

Mac mac(uint8_t last) { return {{2, 0, 0, 0, 0, last}}; }

void NetlinkLab::SetUp() {
  if (::unshare(CLONE_NEWNET) != 0)
    GTEST_SKIP() << "no network namespace of our own: " << std::strerror(errno);
  far_ = own_namespace();
  ASSERT_EQ(::unshare(CLONE_NEWNET), 0);
  director_ = own_namespace();
  ASSERT_TRUE(far_ && director_);
  const std::string far_path =
      "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(far_.get());
  // Without the second that duplicate address detection takes.
  sh("sysctl -qw net.ipv6.conf.default.accept_dad=0");
  far_sh("sysctl -qw net.ipv6.conf.default.accept_dad=0");
  sh("ip link set lo up");
  sh("ip link add eth0 address 02:00:00:00:00:01 type veth peer name far0 "
     "address 02:00:00:00:00:02 netns " +
     far_path);
  sh("ip addr add 192.0.2.1/24 dev eth0 && ip addr add 2001:db8::1/64 dev eth0 nodad");
  sh("ip link set eth0 up");
  far_sh("ip addr add 192.0.2.2/24 dev far0 && ip addr add 2001:db8::2/64 dev far0 nodad");
  far_sh("ip link set far0 up");
  wait_for_link("eth0");
  far([this] { wait_for_link("far0"); });
}

// The kernel works off a new carrier up to a second later; until then an interface answers nothing
// over IPv6. Its link-local address, made at the end of that, shows that it is ready.
void NetlinkLab::wait_for_link(const std::string& name) {
  EXPECT_TRUE(eventually([&] {
    return !output("grep '^fe80.* 80 *" + name + "$' /proc/net/if_inet6").empty();
  })) << name;
}

void NetlinkLab::sh(const std::string& command) {
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
}

std::string NetlinkLab::output(const std::string& command) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "re"), pclose);
  std::string text;
  std::array<char, 4096> part{};
  while (const size_t size = fread(part.data(), 1, part.size(), pipe.get()))
    text.append(part.data(), size);
  return text;
}

void NetlinkLab::far(const std::function<void()>& call) const {
  ASSERT_EQ(setns(far_.get(), CLONE_NEWNET), 0);
  call();
  ASSERT_EQ(setns(director_.get(), CLONE_NEWNET), 0);
}

void NetlinkLab::far_sh(const std::string& command) const {
  far([&] { sh(command); });
}

Fd NetlinkLab::capture() const {
  Fd fd;
  far([&] {
    fd = Fd{::socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    sockaddr_ll from{};
    from.sll_family = AF_PACKET;
    from.sll_protocol = htons(ETH_P_ALL);
    from.sll_ifindex = static_cast<int>(if_nametoindex("far0"));
    ASSERT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&from), sizeof from), 0);
  });
  return fd;
}

void NetlinkLab::read_frames(const Fd& capture, std::vector<Frame>& frames) {
  Frame frame(2048);
  ssize_t size = 0;
  while ((size = ::recv(capture.get(), frame.data(), frame.size(), 0)) > 0)
    frames.emplace_back(frame.begin(), frame.begin() + size);
}

}  // namespace xlvs
