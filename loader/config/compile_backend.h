// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "loader/config/node.h"
#include "loader/config/resolve.h"
#include "loader/state/configuration.h"

namespace xlvs::config {

// What a backend has from its service.
struct Surroundings {
  std::string service;  // its name
  // None: they were wrong, and what depends on them is not asked.
  std::vector<ServiceKey> endpoints;
  uint16_t port;  // 0: they have several
  Forwarding forwarding;
  Tunnel tunnel;
  Check check;
};

// The tunnel at `node`, which takes nothing from the one above it.
Tunnel compile_tunnel(const Node& node, const Tunnel& above, Report& report);

// The address at `node`, of the family wanted where a name has several. It is one that packets can
// be sent to: neither unspecified nor multicast nor broadcast.
std::optional<Address> compile_address(const Node& node, std::optional<int> family, Names& names,
                                       Report& report);

// Nothing where the address is wrong; whatever else is wrong is only reported.
std::optional<Backend> compile_backend(const Node& node, const Surroundings& service, Names& names,
                                       Report& report);

// The same of a fallback, which may be the global one: then messages name the service.
std::optional<Backend> compile_fallback(const Node& node, bool global, const Surroundings& service,
                                        Names& names, Report& report);

}  // namespace xlvs::config
