// SPDX-License-Identifier: MIT
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "loader/config/config.h"

// Rows of configurations for the config_*_test programs.
namespace xlvs::config {

// "web.example.net" has one address of each family, "v6.example.net" only the second.
inline Result<std::vector<Address>> resolve_example(const std::string& name) {
  const Address v4 = *Address::parse("192.0.2.77");
  const Address v6 = *Address::parse("2001:db8::77");
  if (name == "web.example.net") return std::vector{v6, v4};
  if (name == "v6.example.net") return std::vector{v6};
  return Error{"cannot resolve \"" + name + "\": no such name"};
}

// One problem; '^' in the text marks where it is.
struct ProblemRow {
  std::string name;
  std::string text;
  std::string key;
  std::string message;     // a part of it
  std::string suggestion;  // a part of it; empty: there is none
};

inline void PrintTo(const ProblemRow& row, std::ostream* out) { *out << row.name; }

inline std::string row_name(const testing::TestParamInfo<ProblemRow>& info) {
  std::string name = info.param.name;
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return name;
}

// A configuration around one service, and a service around one backend.
inline std::string with_services(const std::string& services, const std::string& more = "") {
  return R"({"interfaces": ["eth0"],)" + more + "\n\"services\": [" + services + "]}";
}
inline std::string with_service(const std::string& members, const std::string& backends) {
  return with_services(R"({"name": "web", "vip": "192.0.2.1", "port": 80,)" + members +
                       R"("backends": [)" + backends + "]}");
}
inline std::string with_check(const std::string& check) {
  return with_service(R"("check": {)" + check + "},", R"({"address": "192.0.2.11"})");
}

inline const std::string backend = R"({"address": "192.0.2.11"})";

// What a file without an error compiles to.
inline Configuration compiled(const std::string& text) {
  const Loaded loaded = load_text(text, resolve_example);
  std::string errors;
  for (const Problem& error : loaded.errors) errors += error.text("file") + "\n";
  EXPECT_TRUE(loaded.configuration) << errors;
  return loaded.configuration.value_or(Configuration{});
}
inline Service first_service(const std::string& text) {
  const Configuration configuration = compiled(text);
  return configuration.services.empty() ? Service{} : configuration.services.front();
}

// The second at line 4.
inline std::string two_services(const std::string& second) {
  return with_services(
      "\n"
      R"({"name": "web", "vip": "192.0.2.1", "port": 80, "backends": []},)"
      "\n" +
      second);
}

inline void expect_only(const std::vector<Problem>& problems, const ProblemRow& row,
                        std::string_view text) {
  std::string all;
  for (const Problem& problem : problems) all += problem.text("file") + "\n";
  ASSERT_EQ(problems.size(), 1U) << all;
  const Problem& problem = problems.front();
  const std::string before(text.substr(0, row.text.find('^')));
  const auto lines = static_cast<size_t>(std::count(before.begin(), before.end(), '\n'));
  EXPECT_EQ(problem.line, 1 + lines) << all;
  EXPECT_EQ(problem.column, before.size() - (before.rfind('\n') + 1) + 1) << all;
  EXPECT_EQ(problem.key, row.key) << all;
  EXPECT_NE(problem.message.find(row.message), std::string::npos) << all;
  EXPECT_EQ(problem.suggestion.empty(), row.suggestion.empty()) << all;
  EXPECT_NE(problem.suggestion.find(row.suggestion), std::string::npos) << all;
}

inline std::string unmarked(const ProblemRow& row) {
  std::string text = row.text;
  text.erase(text.find('^'), 1);
  return text;
}

// It is an error, and nothing else is.
inline void expect_only_error(const ProblemRow& row) {
  const std::string text = unmarked(row);
  const Loaded loaded = load_text(text, resolve_example);
  EXPECT_FALSE(loaded.configuration);
  expect_only(loaded.errors, row, text);
}

}  // namespace xlvs::config
