// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "loader/base/address.h"
#include "loader/base/asio.h"
#include "loader/base/result.h"
#include "loader/plane/netlink.h"
#include "loader/plane/netlink_events.h"

namespace xlvs {

// A network interface of the director.
struct Link {
  int ifindex = 0;
  std::string name;
  Mac mac;
  bool up = false;        // set up, and with carrier
  bool ethernet = false;  // has a MAC of six bytes and speaks ARP/ND
  unsigned mtu = 0;
  int vlan_on = 0;  // a VLAN interface: the ifindex of what it lies on; else 0

  bool operator==(const Link&) const = default;
};

// The interfaces by ifindex, fed with RTM_NEWLINK and RTM_DELLINK.
class LinkTable {
 public:
  // Reads them all; the table is what the kernel holds now.
  Result<void> load(netlink::Socket& socket);
  // Says if something known here changed. Other messages are ignored.
  bool apply(const netlink::View& message);

  // Null if there is none. Valid until the next load() or apply().
  [[nodiscard]] const Link* find(std::string_view name) const;
  [[nodiscard]] const Link* find(int ifindex) const;
  [[nodiscard]] const std::map<int, Link>& all() const { return links_; }

 private:
  std::map<int, Link> links_;
};

// The interfaces as they are; `on_change` is called once per turn of the loop in which one came,
// went, was renamed or changed its MAC, MTU or state. An interface that is removed and made again
// has another ifindex.
class Links {
 public:
  Links(boost::asio::any_io_executor executor, std::function<void()> on_change);

  // Reads what is there, so that find() answers at once, and watches from then on.
  Result<void> start();

  // Null if there is none. Valid until the loop goes on.
  [[nodiscard]] const Link* find(std::string_view name) const { return table_.find(name); }
  [[nodiscard]] const Link* find(int ifindex) const { return table_.find(ifindex); }

 private:
  void finish_batch(bool lost);

  std::function<void()> on_change_;
  LinkTable table_;
  bool changed_ = false;
  netlink::Events events_;
};

// net.ipv4.ip_forward (AF_INET) or net.ipv6.conf.all.forwarding (AF_INET6).
Result<bool> forwarding_enabled(int family);

}  // namespace xlvs
