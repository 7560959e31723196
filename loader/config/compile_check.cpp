// SPDX-License-Identifier: MIT
#include "loader/config/compile_check.h"

#include <charconv>
#include <regex>

#include "loader/state/expression.h"

namespace xlvs::config {

namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr DurationRange interval_range{milliseconds(10), hours(24)};
constexpr DurationRange timeout_range{milliseconds(1), hours(1)};

// The schema has held the text to at most ten digits and a unit, which 64 bits always hold.
milliseconds parsed(const std::string& text) {
  int64_t count = 0;
  const size_t digits = text.find_first_not_of("0123456789");
  std::from_chars(text.data(), text.data() + digits, count);
  const std::string unit = text.substr(digits);
  if (unit == "ms") return milliseconds(count);
  if (unit == "s") return seconds(count);
  if (unit == "m") return minutes(count);
  return hours(count);
}

// In the largest unit that holds it whole.
std::string written(milliseconds duration) {
  const auto count = duration.count();
  if (count % 3600000 == 0) return std::to_string(count / 3600000) + "h";
  if (count % 1000 == 0) return std::to_string(count / 1000) + "s";
  return std::to_string(count) + "ms";
}

void check_expression(const Node& node, Report& report) {
  if (!node.present()) return;
  const auto& text = node.json().get_ref<const std::string&>();
  try {
    const std::regex compiled(text, expression_flags);
  } catch (const std::regex_error& error) {
    report.error(node, "is not a regular expression: " + std::string(error.what()),
                 "where it is meant as plain text, use \"expect\"");
  }
}

std::vector<uint16_t> compile_status(const Node& node, const std::vector<uint16_t>& otherwise) {
  if (!node.present()) return otherwise;
  if (node.json().is_number()) return {node.json().get<uint16_t>()};
  std::vector<uint16_t> status;
  for (const Node& each : node.elements()) status.push_back(each.json().get<uint16_t>());
  return status;
}

}  // namespace

milliseconds compile_duration(const Node& node, const DurationRange& range, milliseconds otherwise,
                              Report& report) {
  if (!node.present()) return otherwise;
  const auto& text = node.json().get_ref<const std::string&>();
  const milliseconds duration = parsed(text);
  if (duration < range.least || duration > range.most) {
    report.error(node, "expected a duration from " + written(range.least) + " to " +
                           written(range.most) + ", found " + in_quotes(text));
    return otherwise;
  }
  if (duration % range.step != milliseconds(0)) {
    report.error(node, "expected whole seconds, found " + in_quotes(text),
                 "write \"" + written(std::chrono::ceil<seconds>(duration)) + "\"");
    return otherwise;
  }
  return duration;
}

Check compile_check(const Node& node, const Check& above, Report& report) {
  Check check = above;
  check.type = word_or(node["type"], words::check_types, above.type);
  check.interval = compile_duration(node["interval"], interval_range, above.interval, report);
  check.timeout = compile_duration(node["timeout"], timeout_range, above.timeout, report);
  check.rise = node["rise"].get_or(above.rise);
  check.fall = node["fall"].get_or(above.fall);
  check.jitter = node["jitter"].get_or(above.jitter);
  check.port = node["port"].get_or(above.port);
  check.path = node["path"].get_or(above.path);
  check.host = node["host"].get_or(above.host);
  check.status = compile_status(node["status"], above.status);
  check.expect = node["expect"].get_or(above.expect);
  check.expect_regex = node["expect_regex"].get_or(above.expect_regex);
  check_expression(node["expect_regex"], report);
  return check;
}

}  // namespace xlvs::config
