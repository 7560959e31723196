// SPDX-License-Identifier: MIT
#pragma once

#include <functional>
#include <memory>
#include <span>

#include "loader/base/asio.h"
#include "loader/base/result.h"
#include "loader/plane/netlink.h"

namespace xlvs::netlink {

// What the kernel tells the members of rtnetlink groups, handed over on the executor's thread.
class Events {
 public:
  struct Handler {
    std::function<void(const View&)> message;
    // After the messages that were there. `lost`: the kernel dropped some (ENOBUFS), so that
    // everything known must be read anew.
    std::function<void(bool lost)> batch;
  };

  Events(boost::asio::any_io_executor executor, Handler handler);
  Events(const Events&) = delete;
  Events& operator=(const Events&) = delete;
  Events(Events&&) = delete;
  Events& operator=(Events&&) = delete;
  ~Events();

  // From here on nothing is missed; the handlers are called when the executor runs. Groups that
  // the kernel does not have (RTNLGRP_NEXTHOP before 5.3) are left out.
  Result<void> start(std::span<const rtnetlink_groups> groups);

 private:
  struct State;
  static boost::asio::awaitable<void> read(std::shared_ptr<State> state);

  std::shared_ptr<State> state_;
};

}  // namespace xlvs::netlink
