// SPDX-License-Identifier: MIT
#include "loader/cli/check.h"

#include <iostream>

#include "loader/config/config.h"
#include "loader/state/words.h"

namespace xlvs::cli {

namespace {

constexpr int exit_invalid = 2;

}  // namespace

int check(const std::string& path) {
  const config::Loaded loaded = config::load_file(path);
  if (!loaded.configuration) {
    for (const config::Problem& error : loaded.errors) std::cerr << error.text(path) << '\n';
    return exit_invalid;
  }
  size_t backends = 0;
  for (const Service& service : loaded.configuration->services) {
    backends += service.backends.size();
  }
  std::cout << path << ": fine: " << counted(loaded.configuration->services.size(), "service")
            << ", " << counted(backends, "backend") << '\n';
  for (config::Problem note : loaded.notes) {
    note.message = "note: " + note.message;
    std::cout << note.text(path) << '\n';
  }
  return 0;
}

}  // namespace xlvs::cli
