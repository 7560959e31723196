// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "health/outcome.h"
#include "loader/base/result.h"
#include "loader/state/configuration.h"

namespace xlvs::health {

// More of a body is neither read nor judged.
inline constexpr size_t body_limit = size_t{1} << 20U;
// An expression sees no more of the body than this.
inline constexpr size_t regex_limit = size_t{1} << 16U;

// A regular expression to be found in text that a hostile server chose.
//
// The usual executor of std::regex backtracks: exponential time, and a stack frame per byte.
// libstdc++'s other one (__polynomial) walks all alternatives at once, without either; but a search
// restarts it at every byte. So the search is written into the expression, which is then matched
// once from the start: time is bytes x size of the expression, about 20 ms for 64 KiB. The price:
// back-references are refused.
class BodyPattern {
 public:
  // `expression` is ECMAScript; an error says what is wrong with it.
  static Result<BodyPattern> make(const std::string& expression);

  // Looks at the first `regex_limit` bytes.
  [[nodiscard]] bool found_in(std::string_view body) const;

 private:
  struct Compiled;
  explicit BodyPattern(std::shared_ptr<const Compiled> compiled) : compiled_(std::move(compiled)) {}
  std::shared_ptr<const Compiled> compiled_;
};

// What `check` expects of a whole answer; `pattern` belongs to `check.expect_regex`.
Outcome judge(const Check& check, const std::optional<BodyPattern>& pattern, long status,
              std::string_view body);

// The path as the request line carries it: with a leading slash, and with every byte that could end
// the request's target (controls, spaces, non-ASCII) as %XX.
std::string request_target(std::string_view path);

}  // namespace xlvs::health
