// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

#include "loader/state/configuration.h"

// The commands; each answers the process's exit status: 0 well, 1 failed, 2 wrong use or
// configuration.
namespace xlvs::cli {

struct ListOptions {
  bool numeric = false;
  bool stats = false;
  bool rate = false;
  bool connections = false;
  bool drops = false;
  bool json = false;
};

int attach(const std::string& pins, const std::vector<std::string>& interfaces, AttachMode mode);
int detach(const std::string& pins, const std::vector<std::string>& interfaces);
int list(const std::string& pins, const ListOptions& options);

}  // namespace xlvs::cli
