// SPDX-License-Identifier: MIT
#include "loader/plane/vips.h"

#include <linux/if_addr.h>
#include <net/if.h>

#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include "loader/base/log.h"

namespace xlvs {
namespace {

constexpr size_t fixed = sizeof(ifaddrmsg);
constexpr std::string_view label_end = ":xlvs";

std::string interface_name(int ifindex) {
  std::array<char, IF_NAMESIZE> name{};
  if (if_indextoname(static_cast<unsigned>(ifindex), name.data()) == nullptr)
    return "interface " + std::to_string(ifindex);
  return name.data();
}

// The errors of several addresses, as one.
class Failures {
 public:
  void add(const Result<void>& result) {
    if (result) return;
    if (all_) {
      all_->message += "; " + result.error().message;
    } else {
      all_ = result.error();
    }
  }
  [[nodiscard]] Result<void> result() const { return all_ ? Result<void>(*all_) : Result<void>(); }

 private:
  std::optional<Error> all_;
};

}  // namespace

Result<void> Vips::set(const std::set<Address>& wanted, int ifindex) {
  auto socket = netlink::Socket::open();
  if (!socket) return socket.error();
  auto present = assigned(*socket);
  if (!present) return present.error();

  const std::set<Address> had = std::exchange(already_there_, {});
  const std::set<Address> before = std::exchange(ours_, {});
  ifindex_ = ifindex;
  Failures failures;
  for (const Assigned& entry : *present) {
    if (entry.ours && wanted.contains(entry.address) && entry.ifindex == ifindex) {
      ours_.insert(entry.address);
    } else if (entry.ours) {
      announcer_.forget(entry.address);
      failures.add(remove(*socket, entry));
    } else if (wanted.contains(entry.address)) {
      if (!had.contains(entry.address))
        spdlog::info("vip {} is already on {}: left as it is", entry.address.text(),
                     interface_name(entry.ifindex));
      already_there_.insert(entry.address);
    }
  }

  bool added = false;
  for (const Address& vip : wanted) {
    if (ours_.contains(vip) || already_there_.contains(vip)) continue;
    if (before.contains(vip)) spdlog::warn("vip {} has gone: adding it again", vip.text());
    auto result = add(*socket, vip, ifindex);
    failures.add(result);
    if (!result) continue;
    ours_.insert(vip);
    added = true;
  }
  if (added) announce();
  return failures.result();
}

Result<void> Vips::remove_all() {
  announcer_.stop();
  return set({}, ifindex_);
}

void Vips::announce() { announcer_.announce(ifindex_, ours_); }

Result<std::vector<Vips::Assigned>> Vips::assigned(netlink::Socket& socket) {
  std::vector<Assigned> all;
  netlink::Message dump(RTM_GETADDR, NLM_F_DUMP);
  dump.header(ifaddrmsg{.ifa_family = AF_UNSPEC});
  auto read = socket.request(dump, "read the addresses", [&](const netlink::View& message) {
    const auto* info = message.header<ifaddrmsg>();
    if (message.type() != RTM_NEWADDR || info == nullptr) return;
    // IFA_ADDRESS is the peer's on a point-to-point link; IPv6 gives no IFA_LOCAL elsewhere.
    auto address = message.address(fixed, IFA_LOCAL);
    if (!address) address = message.address(fixed, IFA_ADDRESS);
    if (!address) return;
    const bool marked = message.u8(fixed, IFA_PROTO) == netlink::our_protocol ||
                        message.text(fixed, IFA_LABEL).value_or("").ends_with(label_end);
    all.push_back({.address = *address,
                   .ifindex = static_cast<int>(info->ifa_index),
                   .prefix_length = info->ifa_prefixlen,
                   .ours = marked});
  });
  if (!read) return read.error();
  return all;
}

Result<void> Vips::add(netlink::Socket& socket, const Address& vip, int ifindex) {
  const std::string name = interface_name(ifindex);
  const auto bits = static_cast<uint8_t>(vip.wire().size() * 8);
  netlink::Message message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
  message.header(ifaddrmsg{.ifa_family = static_cast<uint8_t>(vip.family()),
                           .ifa_prefixlen = bits,
                           .ifa_scope = RT_SCOPE_UNIVERSE,
                           .ifa_index = static_cast<uint32_t>(ifindex)});
  message.put(IFA_LOCAL, vip).put(IFA_ADDRESS, vip);
  message.put_u8(IFA_PROTO, netlink::our_protocol);
  const std::string label = name + std::string(label_end);
  if (vip.is_v4()) {
    if (label.size() < IFNAMSIZ) message.put(IFA_LABEL, label);
  } else {
    message.put_u32(IFA_FLAGS, IFA_F_NODAD | IFA_F_NOPREFIXROUTE);
    // Deprecated: served, but not chosen as a source (RFC 6724, 5, rule 3).
    const ifa_cacheinfo lifetime{.ifa_prefered = 0, .ifa_valid = UINT32_MAX};
    message.put(IFA_CACHEINFO, &lifetime, sizeof lifetime);
  }
  auto added = socket.request(message, "add vip " + vip.text() + " to " + name);
  if (added) spdlog::info("vip {} added to {}", vip.text(), name);
  return added;
}

Result<void> Vips::remove(netlink::Socket& socket, const Assigned& vip) {
  const std::string name = interface_name(vip.ifindex);
  netlink::Message message(RTM_DELADDR, 0);
  message.header(ifaddrmsg{.ifa_family = static_cast<uint8_t>(vip.address.family()),
                           .ifa_prefixlen = vip.prefix_length,
                           .ifa_index = static_cast<uint32_t>(vip.ifindex)});
  message.put(IFA_LOCAL, vip.address).put(IFA_ADDRESS, vip.address);
  auto removed = socket.request(message, "remove vip " + vip.address.text() + " from " + name);
  const bool gone = !removed && removed.error().code == EADDRNOTAVAIL;
  if (gone) return {};
  if (removed) spdlog::info("vip {} removed from {}", vip.address.text(), name);
  return removed;
}

}  // namespace xlvs
