// SPDX-License-Identifier: MIT
#pragma once

#include "health/outcome.h"
#include "loader/base/asio.h"

namespace xlvs::health {

// One check of one backend, made once and executed again and again.
class Prober {
 public:
  Prober() = default;
  Prober(const Prober&) = delete;
  Prober& operator=(const Prober&) = delete;
  Prober(Prober&&) = delete;
  Prober& operator=(Prober&&) = delete;
  virtual ~Prober() = default;

  // One execution. It ends by itself at the latest `Check::timeout` after its start, and at once
  // when it is cancelled (terminal): its outcome then means nothing. The prober outlives it, and
  // one execution ends before the next begins.
  virtual boost::asio::awaitable<Outcome> probe() = 0;
};

}  // namespace xlvs::health
