// SPDX-License-Identifier: MIT
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "loader/base/address.h"
#include "loader/base/asio.h"
#include "loader/base/result.h"
#include "loader/plane/announce.h"
#include "loader/plane/netlink.h"

namespace xlvs {

// The VIPs on the director's interface: /32 or /128 (without duplicate address detection, and never
// chosen as source of the director's own IPv6 connections), announced when they are added.
//
// Those that xlvs added are marked (IFA_PROTO, since Linux 5.18, and for IPv4 the label
// "eth0:xlvs"), so that the next agent knows them after a kill -9. All others are left alone.
class Vips {
 public:
  explicit Vips(boost::asio::any_io_executor executor) : announcer_(std::move(executor)) {}

  // Level-triggered: adds what is missing, removes what xlvs added and is not wanted (there) any
  // more. An address that the machine has already, on any interface, is not touched. All are
  // tried; the error says which failed.
  Result<void> set(const std::set<Address>& wanted, int ifindex);
  // Removes all that xlvs added, this agent or one before it. Not done by the destructor: what
  // becomes of VIPs at the end is the operator's choice.
  Result<void> remove_all();
  // Announces those on the interface that xlvs added once more, e.g. because its link came back.
  void announce();

  // Wanted, but there before and not ours, as of the last set().
  [[nodiscard]] const std::set<Address>& already_there() const { return already_there_; }

 private:
  // Of one address of the machine.
  struct Assigned {
    Address address;
    int ifindex = 0;
    uint8_t prefix_length = 0;
    bool ours = false;
  };
  static Result<std::vector<Assigned>> assigned(netlink::Socket& socket);
  static Result<void> add(netlink::Socket& socket, const Address& vip, int ifindex);
  static Result<void> remove(netlink::Socket& socket, const Assigned& vip);

  Announcer announcer_;
  int ifindex_ = 0;
  std::set<Address> ours_;
  std::set<Address> already_there_;
};

}  // namespace xlvs
