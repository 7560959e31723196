// SPDX-License-Identifier: MIT
#include "loader/plane/frames.h"

#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/if_ether.h>
#include <netinet/ip6.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <utility>

namespace xlvs {

namespace {

constexpr Mac broadcast{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
constexpr Mac all_nodes_mac{{0x33, 0x33, 0, 0, 0, 1}};
constexpr in6_addr all_nodes{{{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x01}}};

template <typename T>
void append(Frame& frame, const T& part) {
  const auto* first = reinterpret_cast<const uint8_t*>(&part);
  frame.insert(frame.end(), first, first + sizeof part);
}

Frame ethernet(const Mac& to, const Mac& from, uint16_t type) {
  Frame frame;
  append(frame, to.bytes);
  append(frame, from.bytes);
  append(frame, htons(type));
  return frame;
}

in6_addr to_in6(const Address& address) {
  in6_addr in6{};
  std::memcpy(&in6, address.bytes().data(), sizeof in6);
  return in6;
}

// RFC 1071, over the pseudo header (RFC 8200, 8.1) and the message, whose length is even.
uint16_t icmpv6_checksum(const ip6_hdr& ip, const Frame& message) {
  Frame covered;
  append(covered, ip.ip6_src);
  append(covered, ip.ip6_dst);
  append(covered, htonl(static_cast<uint32_t>(message.size())));
  append(covered, htonl(IPPROTO_ICMPV6));
  covered.insert(covered.end(), message.begin(), message.end());
  uint32_t sum = 0;
  for (size_t at = 0; at + 1 < covered.size(); at += 2)
    sum += static_cast<uint32_t>(covered[at] << 8 | covered[at + 1]);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return htons(static_cast<uint16_t>(~sum));
}

// Begins with the Ethernet header that is given.
Frame discovery(Frame frame, const in6_addr& from, const in6_addr& to, Frame message) {
  ip6_hdr ip{};
  ip.ip6_flow = htonl(6U << 28);
  ip.ip6_plen = htons(static_cast<uint16_t>(message.size()));
  ip.ip6_nxt = IPPROTO_ICMPV6;
  ip.ip6_hlim = 255;  // RFC 4861, 7.1: anything else is dropped
  ip.ip6_src = from;
  ip.ip6_dst = to;
  const uint16_t checksum = icmpv6_checksum(ip, message);
  std::memcpy(&message[offsetof(icmp6_hdr, icmp6_cksum)], &checksum, sizeof checksum);
  append(frame, ip);
  frame.insert(frame.end(), message.begin(), message.end());
  return frame;
}

ether_arp arp(uint16_t operation, const Asker& sender, const Address& target) {
  ether_arp arp{};
  arp.ea_hdr = {.ar_hrd = htons(ARPHRD_ETHER),
                .ar_pro = htons(ETHERTYPE_IP),
                .ar_hln = sizeof arp.arp_sha,
                .ar_pln = sizeof arp.arp_spa,
                .ar_op = htons(operation)};
  std::memcpy(arp.arp_sha, sender.mac.bytes.data(), sizeof arp.arp_sha);
  std::memcpy(arp.arp_spa, sender.address.wire().data(), sizeof arp.arp_spa);
  std::memcpy(arp.arp_tpa, target.wire().data(), sizeof arp.arp_tpa);
  return arp;
}

// RFC 4291, 2.7.1, and RFC 2464, 7: by the target's last three bytes.
in6_addr solicited_node(const in6_addr& target) {
  in6_addr group{{{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x01, 0xff}}};
  std::memcpy(&group.s6_addr[13], &target.s6_addr[13], 3);
  return group;
}

Mac solicited_node_mac(const in6_addr& target) {
  return {{0x33, 0x33, 0xff, target.s6_addr[13], target.s6_addr[14], target.s6_addr[15]}};
}

}  // namespace

Frame arp_announcement(ArpForm form, const Mac& mac, const Address& vip) {
  const bool request = form == ArpForm::request;
  Frame frame = ethernet(broadcast, mac, ETHERTYPE_ARP);
  ether_arp message = arp(request ? ARPOP_REQUEST : ARPOP_REPLY, {mac, vip}, vip);
  // The one asked for is not known in a request (zero, RFC 5227, 2.3), in a reply it is the sender.
  if (!request) std::memcpy(message.arp_tha, mac.bytes.data(), sizeof message.arp_tha);
  append(frame, message);
  return frame;
}

Frame neighbour_advertisement(const Mac& mac, const Address& vip, bool router) {
  nd_neighbor_advert advert{};
  advert.nd_na_type = ND_NEIGHBOR_ADVERT;
  advert.nd_na_flags_reserved = ND_NA_FLAG_OVERRIDE;
  if (router) advert.nd_na_flags_reserved |= ND_NA_FLAG_ROUTER;
  advert.nd_na_target = to_in6(vip);
  Frame message;
  append(message, advert);
  append(message, nd_opt_hdr{.nd_opt_type = ND_OPT_TARGET_LINKADDR, .nd_opt_len = 1});
  append(message, mac.bytes);
  return discovery(ethernet(all_nodes_mac, mac, ETHERTYPE_IPV6), to_in6(vip), all_nodes,
                   std::move(message));
}

Frame arp_request(const Asker& asker, const Address& target, const std::optional<Mac>& known) {
  Frame frame = ethernet(known.value_or(broadcast), asker.mac, ETHERTYPE_ARP);
  append(frame, arp(ARPOP_REQUEST, asker, target));
  return frame;
}

Frame neighbour_solicitation(const Asker& asker, const Address& target,
                             const std::optional<Mac>& known) {
  nd_neighbor_solicit solicit{};
  solicit.nd_ns_type = ND_NEIGHBOR_SOLICIT;
  solicit.nd_ns_target = to_in6(target);
  Frame message;
  append(message, solicit);
  append(message, nd_opt_hdr{.nd_opt_type = ND_OPT_SOURCE_LINKADDR, .nd_opt_len = 1});
  append(message, asker.mac.bytes);
  const in6_addr to = to_in6(target);
  Frame frame = ethernet(known.value_or(solicited_node_mac(to)), asker.mac, ETHERTYPE_IPV6);
  return discovery(std::move(frame), to_in6(asker.address), known ? to : solicited_node(to),
                   std::move(message));
}

Result<Fd> open_frame_socket() {
  // Protocol 0: it receives nothing.
  Fd fd{::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)};
  if (!fd) return Error::from_errno("open a packet socket");
  return fd;
}

Result<void> send_frame(const Fd& socket, int ifindex, const Frame& frame) {
  sockaddr_ll to{};
  to.sll_family = AF_PACKET;
  to.sll_ifindex = ifindex;
  const auto* address = reinterpret_cast<const sockaddr*>(&to);
  if (::sendto(socket.get(), frame.data(), frame.size(), MSG_DONTWAIT, address, sizeof to) < 0)
    return Error::from_errno("send a frame");
  return {};
}

Result<void> send_frame(int ifindex, const Frame& frame) {
  const auto socket = open_frame_socket();
  if (!socket) return socket.error();
  return send_frame(*socket, ifindex, frame);
}

}  // namespace xlvs
