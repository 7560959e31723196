// SPDX-License-Identifier: MIT
#include "loader/plane/announce.h"

#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/if_ether.h>
#include <netinet/ip6.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <utility>

#include "loader/base/fd.h"
#include "loader/base/log.h"
#include "loader/plane/links.h"

namespace xlvs {

namespace asio = boost::asio;

namespace {

constexpr int rounds = 3;
constexpr auto pause = std::chrono::milliseconds(500);
constexpr Mac broadcast{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
constexpr Mac all_nodes{{0x33, 0x33, 0, 0, 0, 1}};

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

Result<Link> read_link(int ifindex) {
  auto socket = netlink::Socket::open();
  if (!socket) return socket.error();
  netlink::Message get(RTM_GETLINK, 0);
  get.header(ifinfomsg{.ifi_family = AF_UNSPEC, .ifi_index = ifindex});
  LinkTable table;
  auto got = socket->request(get, "read interface " + std::to_string(ifindex),
                             [&table](const netlink::View& message) { table.apply(message); });
  if (!got) return got.error();
  const Link* link = table.find(ifindex);
  if (link == nullptr) return Error::from_code("read interface " + std::to_string(ifindex), ENODEV);
  return *link;
}

std::vector<Frame> frames_of(const Link& link, const Address& vip, bool router) {
  if (!vip.is_v4()) return {neighbour_advertisement(link.mac, vip, router)};
  return {arp_announcement(ArpForm::request, link.mac, vip),
          arp_announcement(ArpForm::reply, link.mac, vip)};
}

// The MAC is read each time: it may have changed between two rounds.
Result<void> send_all(int ifindex, const std::set<Address>& vips) {
  const auto link = read_link(ifindex);
  if (!link) return link.error();
  if (!link->ethernet) return {};
  const auto forwarding = forwarding_enabled(AF_INET6);
  const bool router = forwarding && *forwarding;
  for (const Address& vip : vips) {
    for (const Frame& frame : frames_of(*link, vip, router)) {
      if (auto sent = send_frame(ifindex, frame); !sent)
        return sent.error().in("announce " + vip.text() + " on " + link->name);
    }
  }
  return {};
}

}  // namespace

Frame arp_announcement(ArpForm form, const Mac& mac, const Address& vip) {
  Frame frame = ethernet(broadcast, mac, ETHERTYPE_ARP);
  const bool request = form == ArpForm::request;
  ether_arp arp{};
  arp.ea_hdr = {.ar_hrd = htons(ARPHRD_ETHER),
                .ar_pro = htons(ETHERTYPE_IP),
                .ar_hln = sizeof arp.arp_sha,
                .ar_pln = sizeof arp.arp_spa,
                .ar_op = htons(request ? ARPOP_REQUEST : ARPOP_REPLY)};
  std::memcpy(arp.arp_sha, mac.bytes.data(), sizeof arp.arp_sha);
  std::memcpy(arp.arp_spa, vip.wire().data(), sizeof arp.arp_spa);
  // The one asked for is not known in a request (zero, RFC 5227, 2.3), in a reply it is the sender.
  if (!request) std::memcpy(arp.arp_tha, mac.bytes.data(), sizeof arp.arp_tha);
  std::memcpy(arp.arp_tpa, vip.wire().data(), sizeof arp.arp_tpa);
  append(frame, arp);
  return frame;
}

Frame neighbour_advertisement(const Mac& mac, const Address& vip, bool router) {
  nd_neighbor_advert advert{};
  advert.nd_na_type = ND_NEIGHBOR_ADVERT;
  advert.nd_na_flags_reserved = ND_NA_FLAG_OVERRIDE;
  if (router) advert.nd_na_flags_reserved |= ND_NA_FLAG_ROUTER;
  std::memcpy(&advert.nd_na_target, vip.bytes().data(), sizeof advert.nd_na_target);
  Frame message;
  append(message, advert);
  append(message, nd_opt_hdr{.nd_opt_type = ND_OPT_TARGET_LINKADDR, .nd_opt_len = 1});
  append(message, mac.bytes);

  ip6_hdr ip{};
  ip.ip6_flow = htonl(6U << 28);
  ip.ip6_plen = htons(static_cast<uint16_t>(message.size()));
  ip.ip6_nxt = IPPROTO_ICMPV6;
  ip.ip6_hlim = 255;  // RFC 4861, 7.1.2: anything else is dropped
  std::memcpy(&ip.ip6_src, vip.bytes().data(), sizeof ip.ip6_src);
  ip.ip6_dst = in6_addr{{{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x01}}};

  const uint16_t checksum = icmpv6_checksum(ip, message);
  std::memcpy(&message[offsetof(icmp6_hdr, icmp6_cksum)], &checksum, sizeof checksum);
  Frame frame = ethernet(all_nodes, mac, ETHERTYPE_IPV6);
  append(frame, ip);
  frame.insert(frame.end(), message.begin(), message.end());
  return frame;
}

Result<void> send_frame(int ifindex, const Frame& frame) {
  // Protocol 0: this socket receives nothing.
  const Fd fd{::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)};
  if (!fd) return Error::from_errno("open a packet socket");
  sockaddr_ll to{};
  to.sll_family = AF_PACKET;
  to.sll_ifindex = ifindex;
  const auto* address = reinterpret_cast<const sockaddr*>(&to);
  if (::sendto(fd.get(), frame.data(), frame.size(), MSG_DONTWAIT, address, sizeof to) < 0)
    return Error::from_errno("send a frame");
  return {};
}

struct Announcer::Round {
  Round(const asio::any_io_executor& executor, int own_ifindex, std::set<Address> own_vips)
      : ifindex(own_ifindex), vips(std::move(own_vips)), timer(executor) {}

  int ifindex;
  std::set<Address> vips;
  asio::steady_timer timer;
  bool stopped = false;
};

Announcer::Announcer(asio::any_io_executor executor) : executor_(std::move(executor)) {}

Announcer::~Announcer() { stop(); }

void Announcer::announce(int ifindex, std::set<Address> vips) {
  stop();
  if (vips.empty()) return;
  round_ = std::make_shared<Round>(executor_, ifindex, std::move(vips));
  asio::co_spawn(executor_, run(round_), asio::detached);
}

void Announcer::forget(const Address& vip) {
  if (round_) round_->vips.erase(vip);
}

void Announcer::stop() {
  if (!round_) return;
  round_->stopped = true;
  round_->timer.cancel();
  round_.reset();
}

asio::awaitable<void> Announcer::run(std::shared_ptr<Round> round) {
  for (int left = rounds; left > 0 && !round->stopped; --left) {
    if (auto sent = send_all(round->ifindex, round->vips); !sent) {
      // A link that is down is announced on when it is back.
      if (sent.error().code != ENETDOWN) spdlog::warn("{}", sent.error().message);
      co_return;
    }
    if (left == 1) break;
    round->timer.expires_after(pause);
    co_await round->timer.async_wait(asio::as_tuple(asio::use_awaitable));
  }
}

}  // namespace xlvs
