// SPDX-License-Identifier: MIT
#include "tests/packet/mutate.h"

#include <algorithm>
#include <utility>

#include "tests/harness/fragments.h"

namespace xlvs::test {

Bytes Mutator::any_bytes(size_t size) {
  Bytes bytes(size);
  std::ranges::generate(bytes, [this] { return any<uint8_t>(); });
  return bytes;
}

Bytes Mutator::next() {
  if (one_in(100)) return any_bytes(14 + pick(200));
  if (waiting_.empty() && one_in(10)) {
    waiting_ = fragments();
    std::ranges::reverse(waiting_);
    if (one_in(10)) std::ranges::shuffle(waiting_, random_);
  }
  if (!waiting_.empty() && one_in(2)) {
    Bytes frame = std::move(waiting_.back());
    waiting_.pop_back();
    if (one_in(10)) damage(frame);
    return frame;
  }
  Bytes frame = sound().build();
  if (one_in(3)) damage(frame);
  return frame;
}

std::vector<Bytes> Mutator::fragments() {
  const Cut cut{.size = 8 * size_t{1 + pick(16)}, .id = pick(16)};
  std::vector<Bytes> parts = split((sound() / Payload(any_bytes(pick(600)))).build(), cut);
  if (one_in(4)) std::shuffle(parts.begin() + 1, parts.end(), random_);
  return parts;
}

Packet Mutator::sound() {
  family_ = one_in(2) ? Family::v4 : Family::v6;
  if (one_in(8)) return link() / error();
  const bool reply = one_in(4);
  const Packet head = link() / network(reply) / extensions();
  const Packet whole = head / transport(reply);
  return one_in(10) ? whole / Padding{any_bytes(pick(50))} : whole;
}

Packet Mutator::link() {
  Ethernet ethernet{.source = backend_mac(any<uint8_t>() & 0x7f)};
  if (one_in(50)) ethernet.destination = broadcast_mac;
  Packet packet = ethernet;
  const uint32_t tags = pick(12);
  if (tags == 2) packet = packet / Vlan{.id = uint16_t(pick(4096)), .tpid = 0x88a8};
  if (tags <= 2) packet = packet / Vlan{.id = uint16_t(pick(4096)), .priority = uint8_t(pick(8))};
  return packet;
}

Packet Mutator::network(bool reply) {
  Address source = client_of(family_);
  Address destination = one_in(20) ? second_vip_of(family_) : vip_of(family_);
  if (reply) {
    source = backend_of(family_, one_in(2) ? nat_backend : nat_far_backend);
    destination = client_of(family_);
  }
  return network(source, destination);
}

// From outside about what a service has answered, or about what a backend was sent by NAT.
Packet Mutator::error() {
  const bool reply = one_in(2);
  const Address backend = backend_of(family_, one_in(2) ? nat_backend : nat_far_backend);
  const Address from = reply ? client_of(family_) : vip_of(family_);
  const Address to = reply ? backend : client_of(family_);
  const Packet transported =
      reply ? transport(client_port(), replier_port()) : transport(service_port(), client_port());
  Bytes quoted = quote(network(from, to) / extensions() / transported).bytes;
  const auto size = static_cast<uint32_t>(quoted.size());
  if (one_in(8)) quoted[pick(size)] = any<uint8_t>();
  if (one_in(4)) quoted.resize(pick(size + 1));
  const Packet head = network(one_in(4) ? client_of(family_) : to, from) / extensions();
  std::optional<uint16_t> check;
  if (one_in(20)) check = any<uint16_t>();
  if (family_ == Family::v6) {
    const auto type = static_cast<uint8_t>(one_in(10) ? pick(140) : 1 + pick(4));
    return head / ICMPv6{.type = type, .rest = any<uint32_t>(), .check = check} / Payload(quoted);
  }
  constexpr std::array<uint8_t, 4> types = {3, 4, 11, 12};
  const auto type = static_cast<uint8_t>(one_in(10) ? pick(20) : types.at(pick(types.size())));
  return head / ICMP{.type = type, .rest = any<uint32_t>(), .check = check} / Payload(quoted);
}

Packet Mutator::network(const Address& source, const Address& destination) {
  const auto ttl = static_cast<uint8_t>(one_in(20) ? pick(3) : 2 + pick(254));
  if (family_ == Family::v6) {
    return IPv6{.saddr = source,
                .daddr = destination,
                .hop_limit = ttl,
                .traffic_class = any<uint8_t>(),
                .flow_label = pick(1U << 20)};
  }
  IPv4 header{.saddr = source, .daddr = destination, .ttl = ttl, .tos = any<uint8_t>()};
  header.id = any<uint16_t>();
  if (one_in(10)) header.options = any_bytes(size_t(pick(11)) * 4);
  if (one_in(50)) header.more_fragments = true;
  if (one_in(50)) header.fragment_offset = static_cast<uint16_t>(pick(0x2000));
  return header;
}

Packet Mutator::extensions() {
  Packet packet;
  if (family_ == Family::v4 || !one_in(5)) return packet;
  for (uint32_t count = 1 + pick(6); count > 0; --count) {
    switch (pick(6)) {
      case 0:
        packet = packet / HopByHop{.options = any_bytes(pick(20))};
        break;
      case 1:
        packet = packet / DestinationOptions{.options = any_bytes(pick(60))};
        break;
      case 2:
        packet = packet / Authentication{.check_value = any_bytes(size_t(pick(4)) * 4)};
        break;
      case 3:
        packet = packet / Routing{.addresses = {vip6}};
        break;
      case 4:
        packet = packet / Fragment{.offset = 0, .more = one_in(10)};
        break;
      default:
        packet = packet / DestinationOptions{};
        break;
    }
  }
  return packet;
}

uint16_t Mutator::service_port() {
  constexpr std::array<uint16_t, 22> ports = {
      dr_port,      nat_port,           local_port,   nobody_port,  dr_far_port,  nat_far_port,
      gone_port,    dr_unresolved_port, range_port,   tun_port,     tun_port + 1, tun_port + 2,
      tun_port + 3, tun_port + 4,       tun_port + 5, tun_port + 6, tun_port + 7, tun_port + 8,
      tun_port + 9, tun_mss_port,       dr_mss_port,  tun_far_port};
  return one_in(30) ? any<uint16_t>() : ports.at(pick(ports.size()));
}

// Few clients, and some more often than others, so that flows meet again.
uint16_t Mutator::client_port() { return static_cast<uint16_t>(1000 + pick(one_in(2) ? 4 : 64)); }

uint16_t Mutator::replier_port() { return one_in(2) ? nat_backend_port : nat_far_backend_port; }

Packet Mutator::transport(bool reply) {
  return reply ? transport(replier_port(), client_port())
               : transport(client_port(), service_port());
}

Packet Mutator::transport(uint16_t from, uint16_t to) {
  // Also what does not fit into a tunnel.
  const uint32_t most = one_in(20) ? 1480 : 200;
  const Payload payload(any_bytes(one_in(3) ? pick(most) : 0));
  if (one_in(20)) return ICMP{.type = any<uint8_t>()} / payload;
  if (one_in(3)) {
    UDP header{.sport = from, .dport = to};
    if (one_in(10) && family_ == Family::v4) header.check = 0;
    if (one_in(20)) header.check = any<uint16_t>();
    return header / payload;
  }
  if (one_in(5)) {
    SCTP header{.sport = from, .dport = to, .tag = any<uint32_t>()};
    header.chunk = static_cast<uint8_t>(one_in(3) ? 1 : pick(16));
    if (one_in(20)) header.length = any<uint16_t>();
    if (one_in(20)) header.check = any<uint32_t>();
    if (one_in(4)) return header / payload;
    header.tag = header.chunk == 1 ? 0 : header.tag;
    return header / initiation(any<uint32_t>()) / payload;
  }
  TCP header{.sport = from, .dport = to};
  header.seq = any<uint32_t>();
  header.ack_seq = any<uint32_t>();
  const uint32_t kind = pick(16);
  header.syn = kind < 5;
  header.ack = kind >= 4;
  header.fin = kind == 14;
  header.rst = kind == 15;
  header.psh = one_in(2);
  if (one_in(4)) header.options = any_bytes(size_t(pick(11)) * 4);
  if (one_in(20)) header.check = any<uint16_t>();
  return header / payload;
}

// Where most of the decisions are: in the first hundred bytes, behind the MAC addresses.
void Mutator::damage(Bytes& frame) {
  for (uint32_t times = 1 + pick(4); times > 0; --times) {
    const size_t at = 12 + pick(static_cast<uint32_t>(std::min<size_t>(frame.size() - 12, 100)));
    switch (pick(4)) {
      case 0:
        frame[at] = any<uint8_t>();
        break;
      case 1:
        frame[at] ^= static_cast<uint8_t>(1U << pick(8));
        break;
      case 2:
        frame[at] = one_in(2) ? 0x00 : 0xff;
        break;
      default:
        frame.resize(std::max<size_t>(14, pick(static_cast<uint32_t>(frame.size()))));
        break;
    }
  }
}

}  // namespace xlvs::test
