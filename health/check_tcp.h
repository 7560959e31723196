// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>

#include "health/check.h"
#include "loader/base/address.h"

namespace xlvs::health {

// Succeeds when the backend accepts a TCP connection, which is then closed without a byte sent.
class TcpProber : public Prober {
 public:
  TcpProber(const Endpoint& backend, std::chrono::milliseconds timeout);
  boost::asio::awaitable<Outcome> probe() override;

 private:
  Endpoint backend_;
  std::chrono::milliseconds timeout_;
};

}  // namespace xlvs::health
