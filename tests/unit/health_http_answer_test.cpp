// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <cerrno>
#include <ostream>
#include <string>

#include "health/http_answer.h"

namespace xlvs::health {
namespace {

struct Row {
  const char* name;
  Check check;
  long status;
  std::string body;
  std::string text;
};

void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

class Judge : public testing::TestWithParam<Row> {};

TEST_P(Judge, Row) {
  const Row& row = GetParam();
  std::optional<BodyPattern> pattern;
  if (!row.check.expect_regex.empty()) {
    auto made = BodyPattern::make(row.check.expect_regex);
    ASSERT_TRUE(made) << made.error().message;
    pattern = *std::move(made);
  }
  EXPECT_EQ(text(judge(row.check, pattern, row.status, row.body)), row.text);
}

const std::string half(regex_limit / 2, 'x');
const std::string ok = "answered with http status 200";

INSTANTIATE_TEST_SUITE_P(
    Rows, Judge,
    testing::Values(
        Row{"any_2xx", {}, 204, "", "answered with http status 204"},
        Row{"not_199", {}, 199, "", "http status 199, expected 2xx"},
        Row{"not_300", {}, 300, "", "http status 300, expected 2xx"},
        Row{"no_redirects", {}, 302, "", "http status 302, expected 2xx"},
        Row{"one_status", {.status = {200}}, 503, "", "http status 503, expected 200"},
        Row{"listed", {.status = {200, 401}}, 401, "", "answered with http status 401"},
        Row{"2xx_is_not_listed", {.status = {302}}, 200, "", "http status 200, expected 302"},
        Row{"two_listed", {.status = {200, 401}}, 500, "", "http status 500, expected 200 or 401"},
        Row{"text", {.expect = "Server"}, 200, "<b>Server 1</b>", ok},
        Row{"text_is_not_a_pattern",
            {.expect = "a.c"},
            200,
            "abc",
            "body without \"a.c\" in 3 bytes"},
        Row{"text_in_status_mismatch",
            {.expect = "Server"},
            500,
            "Server",
            "http status 500, expected 2xx"},
        Row{"binary_body", {.expect = "b"}, 200, std::string("a\0b", 3), ok},
        Row{"empty_body", {.expect = "x"}, 200, "", "body without \"x\" in 0 bytes"},
        Row{"evidence_is_one_line",
            {.expect = "a\nb\x1b"},
            200,
            "",
            "body without \"a\\x0ab\\x1b\" in 0 bytes"},
        Row{"regex", {.expect_regex = "Server [0-9]+"}, 200, "a Server 17", ok},
        Row{"regex_alternation", {.expect_regex = "no|yes"}, 200, "oh yes", ok},
        Row{"regex_after_lines", {.expect_regex = "x.z"}, 200, "1\r\n2\n\nxyz", ok},
        Row{"regex_dot_is_not_a_line_end",
            {.expect_regex = "x.z"},
            200,
            "x\nz",
            "body without a match of \"x.z\" in 3 bytes"},
        Row{"regex_start", {.expect_regex = "^ok$"}, 200, "ok", ok},
        Row{"regex_start_only",
            {.expect_regex = "^ok"},
            200,
            "not ok",
            "body without a match of \"^ok\" in 6 bytes"},
        Row{"regex_lookahead", {.expect_regex = "a(?=b)"}, 200, "ac ab", ok},
        Row{"regex_within_limit", {.expect_regex = "y"}, 200, half + "y" + half, ok},
        Row{"regex_beyond_limit",
            {.expect_regex = "y"},
            200,
            half + half + "y",
            "body without a match of \"y\" in the first 65536 bytes"},
        Row{"text_beyond_the_limit_of_expressions", {.expect = "y"}, 200, half + half + "y", ok},
        // Each would take the backtracking executor centuries, or its stack.
        Row{"hostile_nested",
            {.expect_regex = "(a+)+b"},
            200,
            std::string(regex_limit, 'a'),
            "body without a match of \"(a+)+b\" in the first 65536 bytes"},
        Row{"hostile_empty_loop",
            {.expect_regex = "(a*)*b"},
            200,
            std::string(regex_limit, 'a'),
            "body without a match of \"(a*)*b\" in the first 65536 bytes"},
        Row{"hostile_any",
            {.expect_regex = "a.*b.*c"},
            200,
            std::string(regex_limit, 'a'),
            "body without a match of \"a.*b.*c\" in the first 65536 bytes"}),
    [](const auto& row) { return std::string(row.param.name); });

TEST(BodyPattern, RefusesWhatIsWrong) {
  for (const char* expression : {"(", "a)(b", "[", "a{2", "*", "(a)\\1"}) {
    const auto pattern = BodyPattern::make(expression);
    ASSERT_FALSE(pattern) << expression;
    EXPECT_NE(pattern.error().message.find(in_quotes(expression)), std::string::npos);
  }
}

TEST(RequestTarget, Rows) {
  EXPECT_EQ(request_target(""), "/");
  EXPECT_EQ(request_target("index.html"), "/index.html");
  EXPECT_EQ(request_target("/a/../b?c=%20d#e"), "/a/../b?c=%20d#e");
  EXPECT_EQ(request_target("/a b\r\nX: y\x7f\xc3"), "/a%20b%0D%0AX:%20y%7F%C3");
}

TEST(InQuotes, CutsWhatIsLong) {
  EXPECT_EQ(in_quotes(std::string(60, 'x')), "\"" + std::string(60, 'x') + "\"");
  EXPECT_EQ(in_quotes(std::string(61, 'x')), "\"" + std::string(60, 'x') + "...\"");
}

TEST(OutcomeOfErrno, Reasons) {
  EXPECT_EQ(outcome_of_errno(ECONNREFUSED).reason, Reason::refused);
  EXPECT_EQ(outcome_of_errno(EHOSTUNREACH).reason, Reason::no_route);
  EXPECT_EQ(outcome_of_errno(ENETUNREACH).reason, Reason::no_route);
  EXPECT_EQ(outcome_of_errno(ETIMEDOUT).reason, Reason::connect_timeout);
  EXPECT_EQ(outcome_of_errno(ECONNRESET).reason, Reason::reset);
  EXPECT_EQ(outcome_of_errno(EACCES).reason, Reason::failed);
  for (const int code : {EMFILE, ENFILE, ENOMEM, ENOBUFS, EADDRNOTAVAIL}) {
    EXPECT_TRUE(is_directors_fault(outcome_of_errno(code))) << code;
    EXPECT_FALSE(succeeded(outcome_of_errno(code))) << code;
  }
}

}  // namespace
}  // namespace xlvs::health
