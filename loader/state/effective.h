// SPDX-License-Identifier: MIT
#pragma once

#include <functional>
#include <optional>

#include "loader/state/configuration.h"
#include "loader/state/state.h"

namespace xlvs {

// What is known of one backend now.
struct Observation {
  enum class Checked : uint8_t { unknown, up, down };

  Checked checked = Checked::unknown;
  bool resolved = false;         // it can be reached as its forwarding wants; always for local
  std::optional<Egress> egress;  // where its frames go, if resolved and not local
  TunnelWay way;                 // tun, where there is a route
};

using Observe = std::function<Observation(const Service&, const Backend&, bool fallback)>;

// What the kernel should hold: the configuration under what is observed. `previous` tells the order
// that backends came in: who is new or was gone joins after those that were there, as with IPVS.
State effective(const Configuration& configuration, const Observe& observe, const State& previous);

}  // namespace xlvs
