// SPDX-License-Identifier: MIT
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "loader/config/node.h"
#include "loader/config/resolve.h"
#include "loader/state/configuration.h"

namespace xlvs::config {

// Which service has which endpoint: each has one, and ranges of ports do not overlap.
class Claims {
 public:
  // `node`: where the file says so; `line`: of the service.
  void claim(const Node& node, const ServiceKey& endpoint, const std::string& service, size_t line,
             Report& report);

 private:
  struct Claimant {
    std::string service;
    size_t line;

    [[nodiscard]] std::string text() const;
  };
  const ServiceKey* overlapping(const ServiceKey& range);

  std::map<ServiceKey, Claimant> claimed_;
  // Of each vip and protocol, by their first ports.
  std::map<std::pair<Address, Protocol>, std::map<uint16_t, ServiceKey>> ranges_;
};

// What clients address a service by.
struct Addressed {
  std::vector<ServiceKey> endpoints;  // the first is the service's key; none: its vip is wrong
  uint16_t port = 0;                  // that all of them have; 0: they have several
};

// A service's vip, port and protocol, and the variations of them in "also".
Addressed compile_endpoints(const Node& service, Claims& claims, Names& names, Report& report);

}  // namespace xlvs::config
