// SPDX-License-Identifier: MIT
// malformed FOLDER: writes every malformed configuration as a file there, and says how many.
#include <filesystem>
#include <fstream>
#include <iostream>

#include "tests/harness/malformed.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: malformed FOLDER\n";
    return 2;
  }
  const std::filesystem::path folder = argv[1];
  std::filesystem::create_directories(folder);
  const auto all = xlvs::malformed_configurations();
  for (const xlvs::Malformed& each : all) {
    std::ofstream file(folder / (each.name + ".json"), std::ios::binary);
    file << each.text;
    if (!file.flush()) {
      std::cerr << "cannot write " << each.name << " into " << folder << '\n';
      return 1;
    }
  }
  std::cout << all.size() << '\n';
  return 0;
}
