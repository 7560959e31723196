// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <vector>

#include "loader/base/address.h"
#include "loader/base/asio.h"
#include "loader/base/result.h"

namespace xlvs {

using Frame = std::vector<uint8_t>;

// An ARP announcement (RFC 5227, 3) has the form of a request; some equipment listens only to the
// form of a reply (RFC 5944, 4.6), so both are sent.
enum class ArpForm : uint8_t { request, reply };
Frame arp_announcement(ArpForm form, const Mac& mac, const Address& vip);

// Unsolicited, overriding, to all nodes (RFC 4861, 7.2.6). `router`: whether this machine forwards
// IPv6, since the flag says so of the sender.
Frame neighbour_advertisement(const Mac& mac, const Address& vip, bool router);

Result<void> send_frame(int ifindex, const Frame& frame);

// Tells an interface's network where addresses are now: three times, 500 ms apart.
class Announcer {
 public:
  explicit Announcer(boost::asio::any_io_executor executor);
  Announcer(const Announcer&) = delete;
  Announcer& operator=(const Announcer&) = delete;
  Announcer(Announcer&&) = delete;
  Announcer& operator=(Announcer&&) = delete;
  ~Announcer();

  // Begins anew with these.
  void announce(int ifindex, std::set<Address> vips);
  // An address that is given away must not be claimed again.
  void forget(const Address& vip);
  void stop();

 private:
  struct Round;
  static boost::asio::awaitable<void> run(std::shared_ptr<Round> round);

  boost::asio::any_io_executor executor_;
  std::shared_ptr<Round> round_;
};

}  // namespace xlvs
