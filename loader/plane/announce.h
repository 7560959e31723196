// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <set>

#include "loader/base/address.h"
#include "loader/base/asio.h"

namespace xlvs {

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
