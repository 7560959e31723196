// SPDX-License-Identifier: MIT
#include "tests/vm/differential/cable.h"

#include <arpa/inet.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <stdexcept>
#include <system_error>

namespace xlvs::differential {

namespace {

constexpr size_t ethernet = 14;

[[noreturn]] void fail(const std::string& tried) {
  throw std::system_error(errno, std::generic_category(), tried);
}

// Who has the director's address? Asked by its gateway (RFC 826).
test::Bytes fence_frame() {
  test::Bytes frame = (test::Ethernet{.destination = test::broadcast_mac, .type = ETH_P_ARP} /
                       test::Payload(test::Bytes{0, 1, 8, 0, 6, 4, 0, 1}))
                          .build();
  const auto& sender = test::client_mac.bytes;
  frame.insert(frame.end(), sender.begin(), sender.end());
  frame.insert(frame.end(), {10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 254});
  frame.resize(60);
  return frame;
}

unsigned type_of(const test::Bytes& frame) { return frame[12] * 256U + frame[13]; }

// TCP, UDP, a fragment, a tunnel, or an ICMP error: not what the director's own stack says to its
// neighbours.
bool is_answer(const test::Bytes& frame) {
  if (frame.size() < ethernet + 20) return false;
  const bool is_v4 = type_of(frame) == ETH_P_IP;
  if (!is_v4 && type_of(frame) != ETH_P_IPV6) return false;
  const uint8_t protocol = frame[ethernet + (is_v4 ? 9 : 6)];
  if (protocol == IPPROTO_ICMPV6) return frame.size() > ethernet + 40 && frame[ethernet + 40] < 128;
  if (!is_v4 && protocol == IPPROTO_FRAGMENT) return true;
  constexpr std::array others{IPPROTO_TCP,  IPPROTO_UDP,  IPPROTO_ICMP,
                              IPPROTO_IPIP, IPPROTO_IPV6, IPPROTO_GRE};
  return std::ranges::find(others, protocol) != others.end();
}

bool is_fence(const test::Bytes& frame) {
  return frame.size() >= ethernet + 8 && type_of(frame) == ETH_P_ARP && frame[ethernet + 7] == 2;
}

}  // namespace

Namespace Namespace::make() {
  if (unshare(CLONE_NEWNET) != 0) fail("make a network namespace");
  Fd fd{::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)};
  if (!fd) fail("open the network namespace");
  return Namespace(std::move(fd));
}

void Namespace::enter() const {
  if (setns(fd_.get(), CLONE_NEWNET) != 0) fail("enter a network namespace");
}

void Namespace::sh(const std::string& script) const {
  enter();
  // NOLINTNEXTLINE(cert-env33-c,concurrency-mt-unsafe)
  if (std::system(("set -e\n" + script).c_str()) != 0) {
    throw std::runtime_error("failed: " + script);
  }
}

std::string Namespace::path() const {
  return "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(fd_.get());
}

Cable::Cable(const Namespace& world, const Namespace& director, const std::string& name)
    : world_(world), name_(name) {
  world.sh(
      "echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6\n"
      "ip link add " +
      name + " address " + test::client_mac.text() + " type veth peer name eth0 address " +
      test::director_mac.text() + " netns " + director.path() + "\nip link set " + name + " up");
  socket_ = Fd{::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)};
  if (!socket_) fail("open a packet socket");
  const int yes = 1;
  if (setsockopt(socket_.get(), SOL_PACKET, PACKET_IGNORE_OUTGOING, &yes, sizeof yes) != 0) {
    fail("ignore what goes out");
  }
  sockaddr_ll here{};
  here.sll_family = AF_PACKET;
  here.sll_protocol = htons(ETH_P_ALL);
  here.sll_ifindex = static_cast<int>(if_nametoindex(name.c_str()));
  if (bind(socket_.get(), reinterpret_cast<sockaddr*>(&here), sizeof here) != 0) {
    fail("listen on " + name);
  }
  director.enter();
}

void Cable::pass_xdp(int program) const {
  world_.enter();
  const int index = static_cast<int>(if_nametoindex(name_.c_str()));
  if (bpf_xdp_attach(index, program, XDP_FLAGS_DRV_MODE, nullptr) != 0) {
    fail("attach to " + name_);
  }
}

void Cable::send(const test::Bytes& frame) {
  if (::send(socket_.get(), frame.data(), frame.size(), 0) != static_cast<ssize_t>(frame.size())) {
    fail("send by " + name_);
  }
}

// The next frame that matters.
Cable::Got Cable::receive(test::Bytes& frame, bool wait) {
  constexpr int patience = 30'000;  // ms; only a director that is dead takes longer
  while (true) {
    pollfd readable{socket_.get(), POLLIN, 0};
    if (wait && poll(&readable, 1, patience) == 0) {
      throw std::runtime_error("the director behind " + name_ + " does not answer ARP");
    }
    std::array<uint8_t, 2048> buffer{};
    const ssize_t size = recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size < 0) {
      if (errno != EAGAIN) fail("receive by " + name_);
      if (!wait) return Got::nothing;
      continue;
    }
    frame.assign(buffer.begin(), buffer.begin() + size);
    if (is_answer(frame)) return Got::answer;
    if (is_fence(frame)) return Got::fence;
  }
}

std::optional<test::Bytes> Cable::wait_for_fence() {
  test::Bytes frame;
  send(fence_frame());
  if (receive(frame, true) == Got::fence) return std::nullopt;
  test::Bytes fence;
  if (receive(fence, true) != Got::fence) throw std::runtime_error("two answers by " + name_);
  return frame;
}

std::optional<test::Bytes> Cable::ask(const test::Bytes& frame) {
  test::Bytes answer;
  send(frame);
  if (receive(answer, false) == Got::answer) return answer;
  // Twice: the stack may answer ARP before XDP has flushed what it sent in the same poll.
  if (auto late = wait_for_fence()) return late;
  return wait_for_fence();
}

std::vector<test::Bytes> Cable::ask_all(const std::vector<test::Bytes>& frames) {
  for (const test::Bytes& frame : frames) send(frame);
  std::vector<test::Bytes> answers;
  // Twice, as above.
  for (int fence = 0; fence < 2; ++fence) {
    send(fence_frame());
    test::Bytes frame;
    while (receive(frame, true) != Got::fence) answers.push_back(frame);
  }
  return answers;
}

}  // namespace xlvs::differential
