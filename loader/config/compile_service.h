// SPDX-License-Identifier: MIT
#pragma once

#include <optional>

#include "loader/config/compile_endpoints.h"
#include "loader/config/node.h"
#include "loader/config/resolve.h"
#include "loader/state/configuration.h"

namespace xlvs::config {

// What a service has from the top of the file.
struct Defaults {
  Scheduler scheduler = Scheduler::wrr;
  Forwarding forwarding = Forwarding::dr;
  Tunnel tunnel;
  Mss mss;
  OnFailure on_failure = OnFailure::drain;
  Check check;
  Node fallback;
};

Defaults compile_defaults(const Node& root, Report& report);

// Nothing where the vip is wrong; whatever else is wrong is only reported.
std::optional<Service> compile_service(const Node& node, const Defaults& defaults, Claims& claims,
                                       Names& names, Report& report);

}  // namespace xlvs::config
