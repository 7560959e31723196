// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <set>

#include "loader/config/config.h"
#include "tests/harness/malformed.h"

namespace xlvs::config {
namespace {

Result<std::vector<Address>> no_lookup(const std::string& name) {
  ADD_FAILURE() << name << " was looked up";
  return Error{"cannot resolve \"" + name + "\""};
}

// The length of each line, in characters.
std::vector<size_t> lines_of(const std::string& text) {
  std::vector<size_t> lines{0};
  for (const char c : text) {
    if (c == '\n') {
      lines.push_back(0);
    } else if ((static_cast<unsigned char>(c) & 0xc0U) != 0x80U) {
      ++lines.back();
    }
  }
  return lines;
}

// One: a second would only be a consequence.
TEST(ConfigMalformed, EachHasItsOneErrorWithAPlaceInsideTheDocument) {
  const std::vector<Malformed> all = malformed_configurations();
  EXPECT_GE(all.size(), 200U);
  for (const Malformed& malformed : all) {
    const Loaded loaded = load_text(malformed.text, no_lookup);
    EXPECT_FALSE(loaded.configuration) << malformed.name;
    std::string errors;
    for (const Problem& error : loaded.errors) errors += "\n" + error.text(malformed.name);
    ASSERT_EQ(loaded.errors.size(), 1U) << malformed.name << errors;
    const Problem& error = loaded.errors.front();
    EXPECT_FALSE(error.message.empty()) << errors;
    const std::vector<size_t> lines = lines_of(malformed.text);
    ASSERT_TRUE(error.line >= 1 && error.line <= lines.size()) << errors;
    EXPECT_TRUE(error.column >= 1 && error.column <= lines[error.line - 1] + 1) << errors;
  }
}

TEST(ConfigMalformed, NamesAreTheirOwnAndFitForFiles) {
  std::set<std::string> names;
  for (const Malformed& malformed : malformed_configurations()) {
    EXPECT_TRUE(names.insert(malformed.name).second) << malformed.name;
    EXPECT_EQ(malformed.name.find('/'), std::string::npos) << malformed.name;
    EXPECT_LT(malformed.name.size(), 200U) << malformed.name;
  }
}

}  // namespace
}  // namespace xlvs::config
