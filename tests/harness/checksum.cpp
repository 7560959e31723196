// SPDX-License-Identifier: MIT
#include "tests/harness/checksum.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

namespace xlvs::test {
namespace {

using View = std::span<const uint8_t>;

uint16_t word_at(View bytes, size_t offset) {
  return static_cast<uint16_t>(bytes[offset] << 8 | bytes[offset + 1]);
}

Address address_at(View bytes, size_t offset, size_t size) {
  if (size == 4) {
    in_addr v4{};
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(offset), 4,
                reinterpret_cast<uint8_t*>(&v4));
    return Address(v4);
  }
  in6_addr v6{};
  std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(offset), 16, v6.s6_addr);
  return Address(v6);
}

constexpr uint16_t gue_port = 6080;

// Follows a frame from the outside in and stops at the first thing that is wrong.
class Inspector {
 public:
  explicit Inspector(View frame) : rest_(frame) {}

  Findings run() {
    link();
    return findings_;
  }

 private:
  void link() {
    if (rest_.size() < 14) return bad_length("frame shorter than an Ethernet header");
    uint16_t type = word_at(rest_, 12);
    rest_ = rest_.subspan(14);
    while (type == 0x8100 || type == 0x88a8) {
      if (rest_.size() < 4) return bad_length("frame ends in a VLAN tag");
      type = word_at(rest_, 2);
      rest_ = rest_.subspan(4);
    }
    if (type == 0x0800) ipv4();
    if (type == 0x86dd) ipv6();
  }

  void ipv4() {
    findings_.is_ip = true;
    v6_ = false;
    if (rest_.size() < 20) return bad_length("frame ends in the IPv4 header");
    const size_t header = size_t(rest_[0] & 15) * 4;
    const size_t total = word_at(rest_, 2);
    if (rest_[0] >> 4 != 4) return bad_length("IPv4 version is not 4");
    if (header < 20) return bad_length("IPv4 header shorter than 20 bytes");
    if (total < header) return bad_length("IPv4 total length shorter than its header");
    // What is behind the datagram is Ethernet's padding.
    if (total > rest_.size()) return bad_length("IPv4 total length exceeds the frame");
    if (ones_sum(rest_.first(header)) != 0xffff) {
      findings_.ip_checksum_good = false;
      note("IPv4 header checksum is wrong");
    }
    findings_.transport = rest_[9];
    source_ = address_at(rest_, 12, 4);
    destination_ = address_at(rest_, 16, 4);
    const bool fragment = (word_at(rest_, 6) & 0x3fff) != 0;
    rest_ = rest_.subspan(header, total - header);
    if (!fragment) transport();
  }

  void ipv6() {
    findings_.is_ip = true;
    v6_ = true;
    if (rest_.size() < 40) return bad_length("frame ends in the IPv6 header");
    if (rest_[0] >> 4 != 6) return bad_length("IPv6 version is not 6");
    const size_t length = word_at(rest_, 4);
    if (length > rest_.size() - 40) return bad_length("IPv6 payload length exceeds the frame");
    findings_.transport = rest_[6];
    source_ = address_at(rest_, 8, 16);
    destination_ = address_at(rest_, 24, 16);
    rest_ = rest_.subspan(40, length);
    extensions();
  }

  void extensions() {
    for (;;) {
      const uint8_t type = findings_.transport;
      const bool options = type == 0 || type == 60;
      if (!options && type != 43 && type != 44 && type != 51) return transport();
      if (rest_.size() < 8) return bad_length("packet ends in an extension header");
      size_t size = (size_t(rest_[1]) + 1) * 8;
      if (type == 44) size = 8;
      if (type == 51) size = (size_t(rest_[1]) + 2) * 4;
      if (size > rest_.size()) return bad_length("extension header exceeds the packet");
      if (type == 43) route(size);
      findings_.transport = rest_[0];
      if (type == 44 && (word_at(rest_, 2) & 0xfff9) != 0) return;
      rest_ = rest_.subspan(size);
    }
  }

  void route(size_t size) {
    const bool final_known = rest_[3] != 0 && size >= 24;
    if (!final_known) return;
    // Segment routing lists its segments from the last to the first (RFC 8754, 2).
    const bool last_first = rest_[2] == 4;
    destination_ = address_at(rest_, last_first ? 8 : size - 16, 16);
  }

  void transport() {
    switch (findings_.transport) {
      case 6:
        return tcp();
      case 17:
        return udp();
      case 132:
        return sctp();
      case 4:
        return ipv4();
      case 41:
        return ipv6();
      case 47:
        return gre();
      case 1:
        return icmp();
      case 58:
        if (rest_.size() < 4) return bad_length("packet ends in the ICMPv6 header");
        return checksum("ICMPv6 checksum is wrong");
      default:
        return;
    }
  }

  void tcp() {
    if (rest_.size() < 20) return bad_length("packet ends in the TCP header");
    const size_t header = size_t(rest_[12] >> 4) * 4;
    if (header < 20) return bad_length("TCP header shorter than 20 bytes");
    if (header > rest_.size()) return bad_length("TCP header exceeds the packet");
    checksum("TCP checksum is wrong");
  }

  void udp() {
    if (rest_.size() < 8) return bad_length("packet ends in the UDP header");
    const size_t length = word_at(rest_, 4);
    if (length < 8) return bad_length("UDP length shorter than its header");
    if (length > rest_.size()) return bad_length("UDP length exceeds the packet");
    rest_ = rest_.first(length);
    if (word_at(rest_, 2) == gue_port) return gue();
    if (word_at(rest_, 6) == 0) {
      if (v6_) note("UDP over IPv6 without a checksum");
      return;
    }
    checksum("UDP checksum is wrong");
  }

  void gre() {
    if (rest_.size() < 4) return bad_length("packet ends in the GRE header");
    const uint16_t flags = word_at(rest_, 0);
    const uint16_t type = word_at(rest_, 2);
    if ((flags & 0x7fff) != 0) return note("GRE with other flags than that of a checksum");
    const size_t header = flags == 0 ? 4 : 8;
    if (rest_.size() < header) return bad_length("packet ends in the GRE header");
    if (flags != 0) judge_tunnel(ones_sum(rest_), "GRE checksum is wrong");
    rest_ = rest_.subspan(header);
    if (type == 0x0800) return ipv4();
    if (type == 0x86dd) return ipv6();
    note("GRE holds no IP packet");
  }

  // RFC 6935, 5: a tunnel may leave the checksum out over IPv6, too.
  void gue() {
    if (rest_.size() < 12) return bad_length("packet ends in the GUE header");
    if (word_at(rest_, 6) != 0) {
      const uint16_t pseudo =
          pseudo_sum(source_, destination_, 17, static_cast<uint32_t>(rest_.size()));
      judge_tunnel(ones_sum(rest_, pseudo), "UDP checksum of GUE is wrong");
    }
    const uint8_t protocol = rest_[9];
    if (rest_[8] != 0 || word_at(rest_, 10) != 0) return note("GUE with options");
    rest_ = rest_.subspan(12);
    if (protocol == 4) return ipv4();
    if (protocol == 41) return ipv6();
    note("GUE holds no IP packet");
  }

  void judge_tunnel(uint16_t sum, const char* wrong) {
    if (sum == 0xffff) return;
    findings_.tunnel_good = false;
    note(wrong);
  }

  void sctp() {
    if (rest_.size() < 16) return bad_length("packet ends in the SCTP header or its first chunk");
    const size_t chunk = word_at(rest_, 14);
    if (chunk < 4) return bad_length("SCTP chunk shorter than its header");
    if (chunk > rest_.size() - 12) return bad_length("SCTP chunk exceeds the packet");
    std::vector<uint8_t> bytes(rest_.begin(), rest_.end());
    std::fill_n(bytes.begin() + 8, 4, uint8_t{0});
    const uint32_t stated = uint32_t(word_at(rest_, 8)) << 16 | word_at(rest_, 10);
    findings_.residue = crc32c(bytes) ^ stated;
    if (findings_.residue != 0) note("SCTP checksum is wrong");
  }

  void icmp() {
    if (rest_.size() < 8) return bad_length("packet ends in the ICMP header");
    set_residue(ones_sum(rest_), "ICMP checksum is wrong");
    // RFC 792: what quotes a packet. Five is a redirect.
    const uint8_t type = rest_[0];
    if (type == 3 || type == 4 || type == 5 || type == 11 || type == 12) quoted(rest_.subspan(8));
  }

  void quoted(View packet) {
    if (packet.size() < 20 || packet[0] >> 4 != 4) return;
    const size_t header = size_t(packet[0] & 15) * 4;
    if (header < 20 || packet.size() < header) return;
    findings_.quoted_residue = static_cast<uint16_t>(~ones_sum(packet.first(header)));
    if (findings_.quoted_residue != 0) note("checksum of the quoted IPv4 header is wrong");
  }

  void checksum(const char* wrong) {
    const uint16_t pseudo =
        pseudo_sum(source_, destination_, findings_.transport, static_cast<uint32_t>(rest_.size()));
    set_residue(ones_sum(rest_, pseudo), wrong);
  }

  void set_residue(uint16_t sum, const char* wrong) {
    findings_.residue = static_cast<uint16_t>(~sum);
    if (findings_.residue != 0) note(wrong);
  }

  void bad_length(const char* what) {
    findings_.lengths_good = false;
    note(what);
  }

  void note(const char* what) {
    if (!findings_.problem) findings_.problem = what;
  }

  View rest_;
  Address source_;
  Address destination_;
  bool v6_ = false;
  Findings findings_;
};

}  // namespace

uint16_t ones_sum(View bytes, uint16_t start) {
  uint64_t sum = start;
  for (size_t i = 0; i + 1 < bytes.size(); i += 2) sum += word_at(bytes, i);
  if (bytes.size() % 2 != 0) sum += uint64_t(bytes.back()) << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

// Bit by bit, as the polynomial is written: highest power first.
uint32_t crc32c(View bytes) {
  constexpr uint32_t polynomial = 0x1edc6f41;
  uint32_t remainder = 0xffffffff;
  for (const uint8_t byte : bytes) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      const bool high = (remainder >> 31 ^ (byte >> bit & 1U)) != 0;
      remainder = remainder << 1 ^ (high ? polynomial : 0);
    }
  }
  // Each byte goes out with its bits the other way round.
  uint32_t check = 0;
  for (unsigned bit = 0; bit < 32; ++bit) {
    const uint32_t from = ~remainder >> (31 - bit) & 1U;
    check |= from << ((3 - bit / 8) * 8 + bit % 8);
  }
  return check;
}

uint16_t pseudo_sum(const Address& source, const Address& destination, uint8_t protocol,
                    uint32_t length) {
  const auto add = [](uint16_t sum, std::string_view wire) {
    return ones_sum({reinterpret_cast<const uint8_t*>(wire.data()), wire.size()}, sum);
  };
  const std::array<uint8_t, 6> rest = {uint8_t(length >> 24),
                                       uint8_t(length >> 16),
                                       uint8_t(length >> 8),
                                       uint8_t(length),
                                       0,
                                       protocol};
  return ones_sum(rest, add(add(0, source.wire()), destination.wire()));
}

Findings inspect(View frame) { return Inspector(frame).run(); }

std::optional<std::string> verify(View frame) { return inspect(frame).problem; }

}  // namespace xlvs::test
