// SPDX-License-Identifier: MIT
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "loader/state/configuration.h"
#include "tests/packet/scheduled.h"

// Servers of a service at several vips, and which of them serves which: lblc and lblcr.
namespace xlvs::test {

// Of a second; a day of them is less than the clock's half.
constexpr uint32_t tick = 1000;
constexpr uint32_t a_day = 24 * 3600 * tick;

// The vip of that number.
Address vip_at(Family family, uint32_t number);

class Destinations {
 public:
  Destinations(Scheduler scheduler, std::vector<uint32_t> weights, Family family = Family::v4);

  // Opens a flow to a vip and holds it: the server's digit, or `!`.
  char connect(uint32_t number);
  // The same of each vip in turn.
  std::string connect_all(const std::string& vips);

  void set_weight(uint32_t server, uint32_t weight);
  // As the agent does with one that is down or gone.
  void set_state(uint32_t server, backend_state state);

  // The servers of a vip, those who came last first; "none": it is not remembered.
  [[nodiscard]] std::string set_of(uint32_t number) const;
  // Makes the vip's entry look as if all had happened so many jiffies earlier.
  void age(uint32_t number, uint32_t jiffies);

  static constexpr uint32_t vip_count = 5;
  Director director;
  uint32_t service = 0;

 private:
  Family family_;
  Scheduler scheduler_;
  std::vector<uint32_t> weights_;
  uint16_t port_ = 0;
};

}  // namespace xlvs::test
