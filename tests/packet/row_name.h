// SPDX-License-Identifier: MIT
#pragma once

#include <gtest/gtest.h>

#include <cctype>
#include <string>

#include "tests/packet/cluster.h"

namespace xlvs::test {

// A test's name out of its row's: GoogleTest takes letters, digits and underscores only.
template <typename Row>
std::string row_name(const testing::TestParamInfo<Row>& info) {
  std::string name = info.param.name;
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return name;
}

inline std::string family_name(const testing::TestParamInfo<Family>& info) {
  return info.param == Family::v4 ? "v4" : "v6";
}

}  // namespace xlvs::test
