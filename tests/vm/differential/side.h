// SPDX-License-Identifier: MIT
#pragma once

#include <vector>

#include "tests/vm/differential/answer.h"
#include "tests/vm/differential/case.h"

namespace xlvs::differential {

// A director with one service. What it refuses to do ends the program.
class Side {
 public:
  Side() = default;
  Side(const Side&) = delete;
  Side& operator=(const Side&) = delete;
  Side(Side&&) = delete;
  Side& operator=(Side&&) = delete;
  virtual ~Side() = default;

  // In place of the service that was there before.
  virtual void begin(const Setup& setup) = 0;
  virtual void change(const Setup& before, const Step& change) = 0;
  virtual Answer ask(const test::Bytes& frame) = 0;
  // Makes the timeout after a FIN short, sends these frames, and waits until no connection of these
  // servers is inactive.
  virtual void expire(const Setup& setup, const std::vector<test::Bytes>& frames) = 0;
  // Of the servers in the order in which the scheduler looks at them.
  virtual std::vector<Count> counts(const Setup& setup) = 0;
};

}  // namespace xlvs::differential
