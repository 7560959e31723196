// SPDX-License-Identifier: MIT
#include "tests/unit/config_rows.h"

namespace xlvs::config {
namespace {

class ConfigSyntax : public testing::TestWithParam<ProblemRow> {};

TEST_P(ConfigSyntax, FaultIsTheOnlyOneAtItsPlace) {
  const std::string text = unmarked(GetParam());
  const Loaded loaded = load_text(text, resolve_example);
  EXPECT_FALSE(loaded.configuration);
  expect_only(loaded.errors, GetParam(), text);
}

INSTANTIATE_TEST_SUITE_P(
    , ConfigSyntax,
    testing::Values(
        ProblemRow{"empty", "^", "", "the file is empty", "{ }"},
        ProblemRow{"only space", "^ \n\n ", "", "the file is empty", "{ }"},
        ProblemRow{"truncated object", "{\n  \"mode\": \"native\"^\n\n", "", "ends too early",
                   "close"},
        ProblemRow{"truncated after a colon", R"({"mode":^)", "", "ends too early", "close"},
        ProblemRow{"truncated string", R"({"mode": ^"nat)", "", "has no end", "\""},
        ProblemRow{"trailing comma in a list", "{\"interfaces\": [\"a\"^,\n]}", "interfaces",
                   "a comma with nothing after it", "remove it"},
        ProblemRow{"trailing comma in an object", R"({"mode": "native"^, })", "",
                   "a comma with nothing after it", "remove it"},
        ProblemRow{"two commas", R"({"interfaces": ["a",^,"b"]})", "interfaces",
                   "a comma with nothing before it", "remove it"},
        ProblemRow{"missing comma in a list", R"({"interfaces": ["a" ^"b"]})", "interfaces",
                   "expected ',' or ']'", ""},
        ProblemRow{"missing comma in an object", "{\"mode\": \"native\"\n^\"on_stop\": \"keep\"}",
                   "", "expected ',' or '}'", ""},
        ProblemRow{"missing colon", R"({"mode" ^"native"})", "", "expected ':' after the key", ""},
        ProblemRow{"two colons", R"({"mode":^: "native"})", "", "belongs to no key", "remove it"},
        ProblemRow{"key without quotes", "{\n ^mode: \"native\"}", "", "a key in double quotes",
                   ""},
        ProblemRow{"single quotes", "{^'mode': 1}", "", "expected double quotes", "write"},
        ProblemRow{"word without quotes", R"({"mode": ^native})", "", "expected a value", ""},
        ProblemRow{"line comment", "{ ^// the web\n}", "", "JSON has no comments", "remove it"},
        ProblemRow{"block comment", R"({"mode": ^/* */ "native"})", "", "JSON has no comments",
                   "remove it"},
        ProblemRow{"shell comment", "^# xlvs\n{}", "", "JSON has no comments", "remove it"},
        ProblemRow{"something after the end", "{}\n^x", "", "nothing more after the end", ""},
        ProblemRow{"a second document", "{}\n^{}", "", "nothing more after the end", ""},
        ProblemRow{"number too large", R"({"a": ^1e999})", "", "a number too large", ""},
        ProblemRow{"number with two points", R"({"a": -1.5e+2^.5})", "", "expected ',' or '}'", ""},
        ProblemRow{"word after a word", R"({"a": [true^false]})", "a", "expected ',' or ']'", ""},
        ProblemRow{"leading zero", R"({"a": 0^1})", "", "expected ',' or '}'", ""},
        ProblemRow{"line break in a string", "{\"a\": \"x^\n\"}", "", "control character", ""},
        ProblemRow{"bad escape", R"({"a": "\^x"})", "", "forbidden character after backslash", ""},
        ProblemRow{"lone closing", "^}", "", "expected a value", ""}),
    row_name);

// The document, where its only error must be.
struct HostileRow {
  std::string name;
  std::string text;
  size_t line;
  size_t column;
  std::string message;
};

TEST(ConfigSyntaxHostile, TextIsOneErrorAndNoCrash) {
  using std::string_literals::operator""s;
  const std::vector<HostileRow> rows{
      {"10,000 lists", std::string(10000, '['), 1, 17, "nested deeper than 16 levels"},
      {"objects in objects",
       [] {
         std::string text;
         for (int i = 0; i < 10000; ++i) text += "{\"a\":";
         return text;
       }(),
       1, 81, "nested deeper than 16 levels"},
      {"65 MiB of space", std::string(65U << 20U, ' '), 1, 1, "longer than 64 MiB"},
      {"10 MB of string", R"({"a": ")" + std::string(10U << 20U, 'x') + "\"}", 1, 7,
       "at most 4096"},
      {"long string", "{\"a\":\n \"" + std::string(100000, '(') + "\"}", 2, 2, "at most 4096"},
      {"long key", "{\"" + std::string(100000, 'k') + "\": 1}", 1, 2, "at most 4096"},
      {"zero byte inside", "{\n \0}"s, 2, 2, "a zero byte"},
      {"zero byte after", "{}\n\0{"s, 2, 1, "a zero byte"},
      {"only zero bytes", std::string(100, '\0'), 1, 1, "a zero byte"},
      {"invalid UTF-8 in a string", "{\"a\": \"\xc3(\"}", 1, 9, "invalid string"},
      {"invalid UTF-8 in a key", "{\"\xff\": 1}", 1, 3, "invalid string"},
      {"overlong UTF-8", "{\"a\": \"\xc0\xaf\"}", 1, 8, "invalid string"},
      {"invalid UTF-8 outside", "{\xff}", 1, 2, "expected a key"},
      {"lone surrogate", R"({"a": "\ud800"})", 1, 14, "invalid string"},
      {"column counts characters", "{\"\xc3\xa4\xe2\x82\xac\": x}", 1, 8, "expected a value"},
      {"byte order mark is not counted", "\xef\xbb\xbf{\"a\": x}", 1, 7, "expected a value"},
  };
  for (const HostileRow& row : rows) {
    SCOPED_TRACE(row.name);
    const Loaded loaded = load_text(row.text, resolve_example);
    EXPECT_FALSE(loaded.configuration);
    ASSERT_EQ(loaded.errors.size(), 1U);
    EXPECT_EQ(loaded.errors[0].line, row.line);
    EXPECT_EQ(loaded.errors[0].column, row.column);
    EXPECT_NE(loaded.errors[0].message.find(row.message), std::string::npos)
        << loaded.errors[0].message;
    EXPECT_LT(loaded.errors[0].text("f").size(), 300U);
  }
}

TEST(ConfigSyntaxHostile, UnknownKeysAreShownShortAndOnOneLine) {
  const Loaded loaded =
      load_text(with_services("", "\"a\\n" + std::string(1000, 'b') + "\": 1,"), resolve_example);
  ASSERT_EQ(loaded.errors.size(), 1U);
  EXPECT_EQ(loaded.errors[0].key.find('\n'), std::string::npos);
  EXPECT_LT(loaded.errors[0].key.size(), 60U);
}

TEST(ConfigSyntaxHostile, DuplicateObjectsAreOneProblem) {
  const Loaded loaded =
      load_text(with_services("", R"("check": {"type": "tcp"}, "check": {"type": "none"},)"),
                resolve_example);
  ASSERT_EQ(loaded.errors.size(), 1U);
  EXPECT_EQ(loaded.errors[0].key, "check");
}

TEST(ConfigSyntaxHostile, ByteOrderMarkIsAllowed) {
  EXPECT_TRUE(load_text("\xef\xbb\xbf" + with_services(""), resolve_example).configuration);
}

}  // namespace
}  // namespace xlvs::config
