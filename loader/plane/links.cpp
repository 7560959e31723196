// SPDX-License-Identifier: MIT
#include "loader/plane/links.h"

#include <linux/if.h>
#include <linux/if_arp.h>

#include <array>
#include <fstream>
#include <optional>
#include <utility>

#include "loader/base/log.h"

namespace xlvs {
namespace {

constexpr size_t fixed = sizeof(ifinfomsg);

// Nothing for messages that are not about the interface itself: a bridge's report on its port
// (AF_BRIDGE, whose RTM_DELLINK means that the port left the bridge), wireless events.
const ifinfomsg* about_link(const netlink::View& message) {
  if (message.type() != RTM_NEWLINK && message.type() != RTM_DELLINK) return nullptr;
  const auto* info = message.header<ifinfomsg>();
  if (info == nullptr || info->ifi_family != AF_UNSPEC) return nullptr;
  if (!message.has(fixed, IFLA_IFNAME) || !message.has(fixed, IFLA_MTU)) return nullptr;
  return info;
}

// The ifindex of what a VLAN interface lies on; 0 for others. One in another network namespace has
// no such name here, and its tags are no concern of this one.
int parse_vlan_on(const netlink::View& message) {
  if (message.nested_text(fixed, IFLA_LINKINFO, IFLA_INFO_KIND) != "vlan") return 0;
  if (message.has(fixed, IFLA_LINK_NETNSID)) return 0;
  return static_cast<int>(message.u32(fixed, IFLA_LINK).value_or(0));
}

Link parse(const netlink::View& message, const ifinfomsg& info) {
  constexpr unsigned up_with_carrier =
      static_cast<unsigned>(IFF_UP) | static_cast<unsigned>(IFF_LOWER_UP);  // carrier
  const auto mac = message.mac(fixed, IFLA_ADDRESS);
  return {
      .ifindex = info.ifi_index,
      .name = message.text(fixed, IFLA_IFNAME).value_or(""),
      .mac = mac.value_or(Mac{}),
      .up = (info.ifi_flags & up_with_carrier) == up_with_carrier,
      .ethernet = info.ifi_type == ARPHRD_ETHER && mac.has_value(),
      .mtu = message.u32(fixed, IFLA_MTU).value_or(0),
      .vlan_on = parse_vlan_on(message),
  };
}

}  // namespace

Result<void> LinkTable::load(netlink::Socket& socket) {
  netlink::Message dump(RTM_GETLINK, NLM_F_DUMP);
  dump.header(ifinfomsg{.ifi_family = AF_UNSPEC});
  links_.clear();
  return socket.request(dump, "read the interfaces",
                        [this](const netlink::View& message) { apply(message); });
}

bool LinkTable::apply(const netlink::View& message) {
  const ifinfomsg* info = about_link(message);
  if (info == nullptr) return false;
  if (message.type() == RTM_DELLINK) return links_.erase(info->ifi_index) > 0;
  Link link = parse(message, *info);
  auto [place, added] = links_.try_emplace(link.ifindex);
  if (!added && place->second == link) return false;
  place->second = std::move(link);
  return true;
}

const Link* LinkTable::find(std::string_view name) const {
  for (const auto& [ifindex, link] : links_) {
    if (link.name == name) return &link;
  }
  return nullptr;
}

const Link* LinkTable::find(int ifindex) const {
  const auto found = links_.find(ifindex);
  return found == links_.end() ? nullptr : &found->second;
}

Links::Links(boost::asio::any_io_executor executor, std::function<void()> on_change)
    : on_change_(std::move(on_change)),
      events_(std::move(executor), {.message =
                                        [this](const netlink::View& message) {
                                          changed_ = table_.apply(message) || changed_;
                                        },
                                    .batch = [this](bool lost) { finish_batch(lost); }}) {}

Result<void> Links::start() {
  constexpr std::array groups{RTNLGRP_LINK};
  if (auto started = events_.start(groups); !started) return started;
  auto socket = netlink::Socket::open();
  if (!socket) return socket.error();
  return table_.load(*socket);
}

void Links::finish_batch(bool lost) {
  if (lost) {
    changed_ = true;
    auto socket = netlink::Socket::open();
    auto loaded = socket ? table_.load(*socket) : socket.error();
    if (!loaded) spdlog::error("interfaces: {}", loaded.error().message);
  }
  if (std::exchange(changed_, false)) on_change_();
}

Result<bool> forwarding_enabled(int family) {
  const std::string path = family == AF_INET ? "/proc/sys/net/ipv4/ip_forward"
                                             : "/proc/sys/net/ipv6/conf/all/forwarding";
  std::ifstream file(path);
  int value = 0;
  if (!(file >> value)) return Error::from_errno("read " + path);
  return value != 0;
}

}  // namespace xlvs
