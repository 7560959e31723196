// SPDX-License-Identifier: MIT
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "loader/base/address.h"
#include "loader/base/result.h"

namespace xlvs::config {

// A host name's addresses, best first, at least one.
using Resolver = std::function<Result<std::vector<Address>>(const std::string& name)>;

// By getaddrinfo; blocks for as long as the system's resolver does.
Result<std::vector<Address>> resolve_by_system(const std::string& name);

// Addresses as the file writes them. Only what can be a host name is looked up, and once.
class Names {
 public:
  explicit Names(const Resolver& resolver) : resolver_(&resolver) {}

  // `family` chooses among a name's addresses where it has one of that family.
  Result<Address> find(const std::string& text, std::optional<int> family);

 private:
  const Resolver* resolver_;
  std::map<std::string, Result<std::vector<Address>>> known_;
};

}  // namespace xlvs::config
