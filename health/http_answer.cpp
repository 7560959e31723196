// SPDX-License-Identifier: MIT
#include "health/http_answer.h"

#include <algorithm>
#include <regex>

#include "loader/state/expression.h"

namespace xlvs::health {

namespace {

bool is_expected(const Check& check, long status) {
  if (check.status.empty()) return status >= 200 && status <= 299;
  return std::find(check.status.begin(), check.status.end(), status) != check.status.end();
}

std::string expectation(const Check& check) {
  if (check.status.empty()) return "2xx";
  std::string list;
  for (const uint16_t status : check.status) {
    if (!list.empty()) list += " or ";
    list += std::to_string(status);
  }
  return list;
}

std::string in_bytes(std::string_view body, size_t limit) {
  return (body.size() >= limit ? " in the first " : " in ") +
         std::to_string(std::min(body.size(), limit)) + " bytes";
}

}  // namespace

// Not in the header: <regex> is slow to compile.
struct BodyPattern::Compiled {
  std::regex regex;
};

Result<BodyPattern> BodyPattern::make(const std::string& expression) {
  try {
    const std::regex alone(expression,
                           expression_flags);  // "a)(b" is wrong, though not between brackets
    const std::regex anywhere("[\\s\\S]*(?:" + expression + ")", expression_flags);
    return BodyPattern(std::make_shared<const Compiled>(Compiled{anywhere}));
  } catch (const std::regex_error& error) {
    return Error{"regular expression " + in_quotes(expression) + ": " + error.what()};
  }
}

bool BodyPattern::found_in(std::string_view body) const {
  const std::string_view seen = body.substr(0, regex_limit);
  return std::regex_search(
      seen.begin(), seen.end(), compiled_->regex,
      std::regex_constants::match_continuous | std::regex_constants::match_any);
}

Outcome judge(const Check& check, const std::optional<BodyPattern>& pattern, long status,
              std::string_view body) {
  if (!is_expected(check, status))
    return {Reason::http_status, std::to_string(status) + ", expected " + expectation(check)};
  if (body.find(check.expect) == std::string_view::npos)
    return {Reason::body_mismatch, in_quotes(check.expect) + in_bytes(body, body_limit)};
  if (pattern && !pattern->found_in(body))
    return {Reason::body_mismatch,
            "a match of " + in_quotes(check.expect_regex) + in_bytes(body, regex_limit)};
  return {Reason::answered, "with http status " + std::to_string(status)};
}

std::string request_target(std::string_view path) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string target;
  if (path.empty() || path.front() != '/') target = "/";
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte > 0x20 && byte < 0x7f) {
      target += c;
    } else {
      target += '%';
      target += digits[byte >> 4U];
      target += digits[byte & 0xfU];
    }
  }
  return target;
}

}  // namespace xlvs::health
