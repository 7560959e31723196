// SPDX-License-Identifier: MIT
#include "tests/vm/differential/frames.h"

#include <algorithm>
#include <array>
#include <iostream>

#include "loader/state/words.h"
#include "tests/harness/checksum.h"
#include "tests/harness/describe.h"

namespace xlvs::differential {

namespace {

using test::Bytes;

constexpr uint16_t gue_port = 6080;
constexpr uint16_t first_port = 1000;
constexpr size_t ethernet = 14;

struct Probe {
  std::string name;
  test::Packet packet;
  bool too_big = false;
};

unsigned word_at(const Bytes& frame, size_t at) {
  return at + 1 < frame.size() ? frame[at] * 256U + frame[at + 1] : 0;
}

void clear(Bytes& frame, size_t at) {
  if (at + 1 < frame.size()) frame[at] = frame[at + 1] = 0;
}

// Without what a director chooses by itself, and what follows from that: of an outer IPv4 header
// that may be split up the id, of GUE the source port (RFC 6864, 4; both hash). Checksums are
// judged apart.
Bytes without_choices(Bytes frame) {
  const bool is_v4 = word_at(frame, 12) == 0x0800;
  const unsigned protocol = frame.at(ethernet + (is_v4 ? 9 : 6));
  const size_t transport = ethernet + (is_v4 ? 20 : 40);
  if (is_v4 && (word_at(frame, ethernet + 6) & 0x4000U) == 0) {
    clear(frame, ethernet + 4);
    clear(frame, ethernet + 10);
  }
  if (protocol == 17 && word_at(frame, transport + 2) == gue_port) {
    const bool has_checksum = word_at(frame, transport + 6) != 0;
    clear(frame, transport);
    clear(frame, transport + 6);
    if (has_checksum) frame.at(transport + 6) = 1;
  }
  return frame;
}

// Of "too big": from whom to whom, type, code, MTU, and the quoted header with 8 bytes of
// transport. IPVS's stack quotes more, and its IP header is of its own making. Here the
// vips are local routes and no addresses, and ICMPv6 comes from an address: so who sends is
// compared for IPv4 alone.
Bytes told(const Bytes& frame) {
  const bool is_v4 = word_at(frame, 12) == 0x0800;
  const size_t header = is_v4 ? 20 : 40;
  const size_t icmp = ethernet + header;
  Bytes told(frame.begin(), frame.begin() + ethernet);
  const auto add = [&](size_t from, size_t size) {
    for (size_t at = from; at < from + size; ++at)
      told.push_back(at < frame.size() ? frame[at] : 0);
  };
  add(ethernet + (is_v4 ? 12 : 24), is_v4 ? 8 : 16);
  add(icmp, 2);
  add(icmp + 4, 4 + header + 8);
  return told;
}

size_t overhead(const Setup& setup) {
  if (setup.forwarding != Forwarding::tun) return 0;
  const size_t ip = setup.server_family == AF_INET ? 20 : 40;
  if (setup.tunnel.type == TunnelType::gre) return ip + (setup.tunnel.checksum ? 8 : 4);
  return ip + (setup.tunnel.type == TunnelType::gue ? 12 : 0);
}

test::Packet transport(const Setup& setup, uint16_t port, size_t size) {
  if (setup.protocol == Protocol::tcp) {
    return test::TCP{.sport = port, .dport = setup.port, .syn = true, .options = {2, 4, 5, 180}};
  }
  Bytes data(size);
  for (size_t i = 0; i < size; ++i) data[i] = static_cast<uint8_t>(i * 7 + 1);
  return test::UDP{.sport = port, .dport = setup.port} / test::Payload(data);
}

// Each from a port of its own.
std::vector<Probe> probes(const Setup& setup) {
  std::vector<Probe> all;
  uint16_t port = 20000;
  const Address from = address_of({.network = 1, .host = 1, .port = 1}, setup.family);
  const Address to = setup.service().address;
  const auto add = [&](const std::string& name, test::Packet ip, size_t size,
                       bool too_big = false) {
    all.push_back({name,
                   test::Packet(test::Ethernet{}) / std::move(ip) / transport(setup, ++port, size),
                   too_big});
  };
  const bool is_v4 = setup.family == AF_INET;
  const size_t most = 1500 - overhead(setup) - (is_v4 ? 20 : 40) - 8;
  if (is_v4) {
    add("plain", test::IPv4{.saddr = from, .daddr = to}, 5);
    add("may be split up", test::IPv4{.saddr = from, .daddr = to, .dont_fragment = false}, 6);
    for (const uint8_t tos : {uint8_t{0xb9}, uint8_t{0xba}, uint8_t{0xbb}}) {
      add("tos " + std::to_string(tos), test::IPv4{.saddr = from, .daddr = to, .tos = tos}, 1);
    }
    add("TTL 2", test::IPv4{.saddr = from, .daddr = to, .ttl = 2}, 0);
  } else {
    add("plain", test::IPv6{.saddr = from, .daddr = to}, 5);
    for (const uint8_t tos : {uint8_t{0xb9}, uint8_t{0xba}, uint8_t{0xbb}}) {
      add("class " + std::to_string(tos),
          test::IPv6{.saddr = from, .daddr = to, .traffic_class = tos}, 1);
    }
    add("flow label", test::IPv6{.saddr = from, .daddr = to, .flow_label = 0xabcde}, 3);
    add("hop limit 2", test::IPv6{.saddr = from, .daddr = to, .hop_limit = 2}, 0);
  }
  if (setup.protocol == Protocol::tcp) return all;
  const auto long_one = [&](const std::string& name, size_t size, bool too_big) {
    if (is_v4) return add(name, test::IPv4{.saddr = from, .daddr = to}, size, too_big);
    add(name, test::IPv6{.saddr = from, .daddr = to}, size, too_big);
  };
  long_one("511 bytes", 511, false);
  long_one("the most that fits", most, false);
  if (setup.forwarding == Forwarding::tun) long_one("too big by a byte", most + 1, true);
  return all;
}

std::vector<Setup> setups() {
  using enum TunnelType;
  constexpr std::array tunnels{Tunnel{ipip}, Tunnel{gre}, Tunnel{gre, 0, true},
                               Tunnel{gue, gue_port}, Tunnel{gue, gue_port, true}};
  std::vector<Setup> all;
  uint16_t port = first_port;
  for (const int family : {AF_INET, AF_INET6}) {
    for (const Protocol protocol : {Protocol::tcp, Protocol::udp}) {
      Setup setup{.family = family, .protocol = protocol, .servers = {Server{}}};
      setup.port = port++;
      all.push_back(setup);
      setup.forwarding = Forwarding::tun;
      for (const int server_family : {AF_INET, AF_INET6}) {
        setup.server_family = server_family;
        for (const Tunnel& tunnel : tunnels) {
          setup.tunnel = tunnel;
          setup.port = port++;
          all.push_back(setup);
        }
      }
    }
  }
  return all;
}

std::string text(const Setup& setup) {
  std::string text = std::string(word(setup.protocol)) + (setup.family == AF_INET ? " v4" : " v6") +
                     " by " + std::string(word(setup.forwarding));
  if (setup.forwarding != Forwarding::tun) return text;
  return text + " " + std::string(word(setup.tunnel.type)) +
         (setup.tunnel.checksum ? " with checksum" : "") +
         (setup.server_family == AF_INET ? " over v4" : " over v6");
}

// What is wrong with the two answers; empty where nothing is.
std::string judge(const Probe& probe, const Bytes& ipvs, const Bytes& xlvs) {
  if (ipvs.empty() || xlvs.empty()) return "no answer";
  if (const auto wrong = test::verify(ipvs)) return "IPVS: " + *wrong;
  if (const auto wrong = test::verify(xlvs)) return "xlvs: " + *wrong;
  if (probe.too_big) return test::difference(told(ipvs), told(xlvs));
  return test::difference(without_choices(ipvs), without_choices(xlvs));
}

}  // namespace

bool compare_frames(Side& ipvs, Side& xlvs) {
  size_t compared = 0;
  size_t wrong = 0;
  for (const Setup& setup : setups()) {
    ipvs.begin(setup);
    xlvs.begin(setup);
    for (const Probe& probe : probes(setup)) {
      const Bytes frame = probe.packet.build();
      const Bytes by_ipvs = ipvs.ask(frame).frame;
      const Bytes by_xlvs = xlvs.ask(frame).frame;
      ++compared;
      const std::string difference = judge(probe, by_ipvs, by_xlvs);
      if (difference.empty()) continue;
      ++wrong;
      std::cout << "---- " << text(setup) << ": " << probe.name << "\n" << difference << "\n";
    }
  }
  std::cout << compared << " packets to each, " << wrong << " answers differ\n";
  return wrong == 0;
}

}  // namespace xlvs::differential
