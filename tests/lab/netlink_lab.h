// SPDX-License-Identifier: MIT
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "loader/base/address.h"
#include "loader/base/asio.h"
#include "loader/base/fd.h"
#include "loader/plane/announce.h"
#include "loader/plane/frames.h"

namespace xlvs {

Address address(const char* text);
Mac mac(uint8_t last);  // 02:00:00:00:00:xx

// Two network namespaces of the test's own, joined by a veth pair; they end with the process.
//
//   director (the test runs here)          far
//   eth0 02:..:01                          far0 02:..:02
//   192.0.2.1/24  2001:db8::1/64           192.0.2.2/24  2001:db8::2/64
class NetlinkLab : public testing::Test {
 protected:
  void SetUp() override;

  // A shell command in the director's namespace; it must succeed.
  static void sh(const std::string& command);
  // What it prints.
  static std::string output(const std::string& command);
  // Calls in the far namespace.
  void far(const std::function<void()>& call) const;
  void far_sh(const std::string& command) const;
  // Everything that reaches far0, from now on.
  [[nodiscard]] Fd capture() const;
  // Appends what was captured since.
  static void read_frames(const Fd& capture, std::vector<Frame>& frames);

  // Runs the loop until it holds. The deadline only ends a test that fails.
  template <typename Predicate>
  bool eventually(Predicate holds) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(25);
    while (!holds()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      io_.restart();
      io_.run_one_for(std::chrono::milliseconds(20));
    }
    return true;
  }

  boost::asio::io_context io_;

 private:
  void wait_for_link(const std::string& name);

  Fd director_;
  Fd far_;
};

}  // namespace xlvs
