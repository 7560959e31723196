// SPDX-License-Identifier: MIT
#include "tests/vm/differential/ipvs_side.h"

#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "loader/state/words.h"

namespace xlvs::differential {

namespace {

// A vip is the director's own, a client is behind the gateway, and nobody has to be asked for a MAC
// address. Without offloads checksums are looked at, and written: a veth says of all that it
// carries that they are right, and leaves to itself to write them.
std::string network() {
  std::string script = R"(
for conf in all default; do
  echo 0 >/proc/sys/net/ipv4/conf/$conf/rp_filter
  echo 0 >/proc/sys/net/ipv4/conf/$conf/send_redirects
  echo 0 >/proc/sys/net/ipv6/conf/$conf/accept_dad
  echo 0 >/proc/sys/net/ipv6/conf/$conf/accept_ra
done
ethtool -K eth0 tx off rx off >/dev/null
echo 1 >/proc/sys/net/ipv4/ip_forward
echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
echo 0 >/proc/sys/net/ipv4/icmp_ratemask
echo 0 >/proc/sys/net/ipv6/icmp/ratelimit
echo >/proc/sys/net/ipv6/icmp/ratemask
ip -batch - <<'IP'
link set lo up
address add 10.0.0.254/24 dev eth0
address add 2001:db8::fe/64 dev eth0 nodad
link set eth0 up mtu 1500
route add local 10.0.0.96/27 dev lo
route add local 10.0.0.128/26 dev lo
route add local 2001:db8::1:0/112 dev lo
route add default via 10.0.0.1
route add default via 2001:db8::1
)";
  const auto neighbour = [&](const std::string& address, const Mac& mac) {
    script +=
        "neighbour replace " + address + " lladdr " + mac.text() + " dev eth0 nud permanent\n";
  };
  neighbour("10.0.0.1", test::client_mac);
  neighbour("2001:db8::1", test::client_mac);
  for (uint8_t number = 1; number <= most_servers; ++number) {
    for (const int family : {AF_INET, AF_INET6}) {
      neighbour(Setup{.family = family}.endpoint(number).address.text(), test::backend_mac(number));
    }
  }
  // Until its link-local address is there, the interface answers nothing over IPv6.
  return script + R"(IP
for _ in $(seq 100); do
  grep -q '^fe80.* 80 *eth0$' /proc/net/if_inet6 && exit 0
  sleep 0.1
done
exit 1)";
}

// As /proc/net/ip_vs writes it: 0A00000B:2710, [2001:0db8:0000:0000:0000:0000:0002:0001]:2710.
std::string listed_as(const Endpoint& endpoint) {
  std::string text;
  std::array<char, 8> part{};
  const std::string_view bytes = endpoint.address.wire();
  for (size_t i = 0; i < bytes.size(); i += 2) {
    if (bytes.size() > 4 && i > 0) text += ":";
    for (const size_t at : {i, i + 1}) {
      std::snprintf(part.data(), part.size(), bytes.size() > 4 ? "%02x" : "%02X",
                    static_cast<unsigned>(static_cast<uint8_t>(bytes[at])));
      text += part.data();
    }
  }
  if (bytes.size() > 4) text = "[" + text + "]";
  std::snprintf(part.data(), part.size(), ":%04X", unsigned{endpoint.port});
  return text + part.data();
}

bool run_quietly(const std::string& command) {
  // NOLINTNEXTLINE(cert-env33-c,concurrency-mt-unsafe)
  return std::system((command + " >/dev/null 2>&1").c_str()) == 0;
}

}  // namespace

IpvsSide::IpvsSide(const Namespace& world)
    : here_(Namespace::make()), cable_(world, here_, "ipvs"), ipvsadm_(here_) {
  here_.sh(network());
}

// The guest's kernel loads none by itself.
std::set<Scheduler> IpvsSide::load() {
  std::set<Scheduler> there;
  if (!run_quietly("modprobe -a veth ip_vs")) return there;
  for (const auto& [name, scheduler] : words::schedulers) {
    if (run_quietly("modprobe ip_vs_" + std::string(name))) there.insert(scheduler);
  }
  return there;
}

void IpvsSide::set(const std::string& name, bool value) const {
  here_.enter();
  std::ofstream file("/proc/sys/net/ipv4/vs/" + name);
  if (!(file << (value ? 1 : 0) << std::flush)) throw std::runtime_error("set " + name);
}

void IpvsSide::begin(const Setup& setup) {
  set("expire_quiescent_template", setup.scheduling.expire_drained);
  ipvsadm_.begin_anew(ipvsadm_lines(setup));
}

void IpvsSide::change(const Setup& before, const Step& change) {
  ipvsadm_.add(ipvsadm_lines(before, change));
}

Answer IpvsSide::ask(const test::Bytes& frame) {
  const auto got = cable_.ask(frame);
  return got ? answer_of(*got) : Answer{};
}

void IpvsSide::expire(const Setup& setup, const std::vector<test::Bytes>& frames) {
  ipvsadm_.add("--set 0 1 0\n");
  for (const auto& frame : frames) ask(frame);
  while (any_inactive(counts(setup))) usleep(10'000);
  ipvsadm_.add("--set 0 120 0\n");
}

std::vector<test::Bytes> IpvsSide::forward(const std::string& lines,
                                           const std::vector<std::vector<test::Bytes>>& datagrams) {
  ipvsadm_.begin_anew(lines);
  std::vector<test::Bytes> all;
  for (const auto& frames : datagrams) {
    for (auto& frame : cable_.ask_all(frames)) all.push_back(std::move(frame));
  }
  return all;
}

// "  -> 0A00000B:2710      Route   1      3          17", in the order of the kernel's list.
std::vector<Count> IpvsSide::counts(const Setup& setup) {
  std::istringstream listed(ipvsadm_.table());
  std::vector<Count> counts;
  for (std::string line; std::getline(listed, line);) {
    std::istringstream words(line);
    std::string arrow;
    std::string address;
    std::string forwarding;
    Count count;
    uint32_t weight = 0;
    words >> arrow >> address >> forwarding >> weight >> count.active >> count.inactive;
    for (const Server& server : setup.servers) {
      if (words && listed_as(setup.endpoint(server.number)) == address) {
        count.server = server.number;
      }
    }
    if (count.server != 0) counts.push_back(count);
  }
  return counts;
}

}  // namespace xlvs::differential
