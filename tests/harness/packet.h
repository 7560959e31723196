// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "loader/base/address.h"

// Packets composed with `/`:
//   Ethernet{} / Vlan{.id = 10} / IPv4{.ttl = 64} / TCP{.dport = 80, .syn = true} /
//   Payload("hello")
// What is a std::optional here (lengths, protocol numbers, checksums) is computed unless it is set,
// so that wrong ones can be made. Numbers are in host order. Defaults are a client that speaks to a
// vip, out of the documentation ranges (RFC 5737, RFC 3849, RFC 7042 2.1.1).
namespace xlvs::test {

using Bytes = std::vector<uint8_t>;

// An address out of a literal; ends the program where the text is none.
Address operator""_ip(const char* text, size_t size);

constexpr Mac client_mac{{0x00, 0x00, 0x5e, 0x00, 0x53, 0x07}};
constexpr Mac director_mac{{0x00, 0x00, 0x5e, 0x00, 0x53, 0x01}};
constexpr Mac second_director_mac{{0x00, 0x00, 0x5e, 0x00, 0x53, 0x02}};
constexpr Mac broadcast_mac{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
// Of the backends 1, 2, ...
constexpr Mac backend_mac(uint8_t number) {
  return {{0, 0, 0x5e, 0, 0x53, uint8_t(0x80 + number)}};
}

inline const Address client = "198.51.100.7"_ip;
inline const Address vip = "192.0.2.1"_ip;
inline const Address client6 = "2001:db8:c::7"_ip;
inline const Address vip6 = "2001:db8::1"_ip;
constexpr uint16_t client_port = 40000;

struct Ethernet {
  Mac source = client_mac;
  Mac destination = director_mac;
  std::optional<uint16_t> type{};
};

struct Vlan {
  uint16_t id = 1;
  uint8_t priority = 0;
  uint16_t tpid = 0x8100;  // 0x88a8 for the outer tag of 802.1ad
  std::optional<uint16_t> type{};
};

struct IPv4 {
  Address saddr = client;
  Address daddr = vip;
  uint8_t ttl = 64;
  uint8_t tos = 0;
  uint16_t id = 0x1234;
  bool dont_fragment = true;
  bool more_fragments = false;
  uint16_t fragment_offset = 0;  // in units of 8 bytes
  Bytes options{};               // padded with zeros to whole words
  uint8_t version = 4;
  std::optional<uint8_t> ihl{};
  std::optional<uint8_t> protocol{};
  std::optional<uint16_t> total_length{};
  std::optional<uint16_t> check{};
};

struct IPv6 {
  Address saddr = client6;
  Address daddr = vip6;
  uint8_t hop_limit = 64;
  uint8_t traffic_class = 0;
  uint32_t flow_label = 0;
  uint8_t version = 6;
  std::optional<uint8_t> next_header{};
  std::optional<uint16_t> payload_length{};
};

// Extension headers of IPv6 (RFC 8200, 4). Options are padded by PadN to whole units of 8 bytes.
struct HopByHop {
  Bytes options{};
  std::optional<uint8_t> next_header{};
  std::optional<uint8_t> length{};
};

struct DestinationOptions {
  Bytes options{};
  std::optional<uint8_t> next_header{};
  std::optional<uint8_t> length{};
};

// With segments left the checksum is over the last address (RFC 8200, 8.1).
struct Routing {
  uint8_t type = 0;
  uint8_t segments_left = 0;
  std::vector<Address> addresses{};
  std::optional<uint8_t> next_header{};
  std::optional<uint8_t> length{};
};

struct Fragment {
  uint16_t offset = 0;  // in units of 8 bytes
  bool more = false;
  uint32_t id = 0x12345678;
  std::optional<uint8_t> next_header{};
};

// RFC 4302; the check value is not computed.
struct Authentication {
  uint32_t spi = 256;
  uint32_t sequence = 1;
  Bytes check_value = Bytes(12, 0xaa);
  std::optional<uint8_t> next_header{};
  std::optional<uint8_t> length{};
};

struct TCP {
  uint16_t sport = client_port;
  uint16_t dport = 80;
  uint32_t seq = 1000;
  uint32_t ack_seq = 0;
  bool fin = false;
  bool syn = false;
  bool rst = false;
  bool psh = false;
  bool ack = false;
  bool urg = false;
  uint16_t window = 64240;
  uint16_t urgent = 0;
  Bytes options{};  // padded with zeros to whole words
  std::optional<uint8_t> doff{};
  std::optional<uint16_t> check{};
};

struct UDP {
  uint16_t sport = client_port;
  uint16_t dport = 53;
  std::optional<uint16_t> length{};
  std::optional<uint16_t> check{};  // 0: none (RFC 768)
};

// With one chunk; what follows is its content, and behind that further chunks (RFC 9260, 3.2).
struct SCTP {
  uint16_t sport = client_port;
  uint16_t dport = 80;
  uint32_t tag = 0;
  uint8_t chunk = 1;  // INIT
  uint8_t flags = 0;
  std::optional<uint16_t> length{};  // of the chunk
  std::optional<uint32_t> check{};   // as it is read in network order
};

// The rest of the header is four bytes that each type uses in its own way.
struct ICMP {
  uint8_t type = 8;
  uint8_t code = 0;
  uint32_t rest = 0;
  std::optional<uint16_t> check{};
};

struct ICMPv6 {
  uint8_t type = 128;
  uint8_t code = 0;
  uint32_t rest = 0;
  std::optional<uint16_t> check{};
};

// RFC 2784, in front of an IP header.
struct GRE {
  bool checksum = false;
};

// draft-ietf-intarea-gue-09, between UDP and an IP header.
struct GUE {
  uint8_t version = 0;  // and the length of options
  uint16_t flags = 0;
};

struct Payload {
  Bytes bytes{};

  Payload() = default;
  explicit Payload(std::string_view text) : bytes(text.begin(), text.end()) {}
  explicit Payload(Bytes raw) : bytes(std::move(raw)) {}
};

// What an INIT's chunk has behind its header (RFC 9260, 3.3.2): the tag that its sender wants,
// which is not the packet's, and the rest of what it has to have.
Payload initiation(uint32_t tag = 0x0a0b0c0d);

// Behind the IP packet, which does not count it: Ethernet's padding to 60 bytes. Last, if at all.
struct Padding {
  Bytes bytes{};
};

using Layer =
    std::variant<Ethernet, Vlan, IPv4, IPv6, HopByHop, DestinationOptions, Routing, Fragment,
                 Authentication, TCP, UDP, SCTP, ICMP, ICMPv6, Payload, Padding, GRE, GUE>;

struct Packet {
  std::vector<Layer> layers{};

  Packet() = default;
  // One layer is a packet, so that `/` knows packets only.
  template <typename T>
  requires std::is_constructible_v<Layer, T> Packet(T layer)
      : layers{Layer(std::move(layer))} {}  // NOLINT(google-explicit-constructor)

  [[nodiscard]] Bytes build() const;
};

inline Packet operator/(Packet outer, Packet inner) {
  std::ranges::move(inner.layers, std::back_inserter(outer.layers));
  return outer;
}

// The bytes of `packet` from its IP header on, for what an ICMP error quotes of it.
Payload quote(const Packet& packet, size_t limit = SIZE_MAX);

}  // namespace xlvs::test
