// SPDX-License-Identifier: MIT
#include "loader/config/syntax.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace xlvs::config {

namespace {

constexpr std::string_view spaces = " \t\r\n";
constexpr std::string_view separators = " \t\r\n,:";

// What nlohmann's parser was doing when it met the wrong token, and what to say about it.
struct Wording {
  std::string_view theirs;
  std::string_view ours;
};
constexpr std::array<Wording, 7> wordings{{
    {"parsing object key", "expected a key in double quotes"},
    {"parsing object separator", "expected ':' after the key"},
    {"parsing object -", "expected ',' or '}'"},
    {"parsing array -", "expected ',' or ']'"},
    {"expected end of input", "expected nothing more after the end of the configuration"},
    {"parsing value - unexpected", "expected a value"},
    {"invalid literal", "expected a value: \"...\", a number, true, false, null, [ ] or { }"},
}};

// What the parser says, without its position and what it repeats of the text.
std::string plain(const std::string& explained) {
  const size_t dash = explained.find(" - ");
  const std::string rest = dash == std::string::npos ? explained : explained.substr(dash + 3);
  return rest.substr(0, rest.find("; "));
}

std::string reason(const std::string& explained) {
  if (explained.find("number overflow") != std::string::npos) return "a number too large";
  for (const Wording& wording : wordings) {
    if (explained.find(wording.theirs) != std::string::npos) return std::string(wording.ours);
  }
  return plain(explained);
}

}  // namespace

SyntaxFault explain_syntax(const std::string& text, size_t end, size_t read,
                           const std::string& explained) {
  const size_t token = std::min(text.find_first_not_of(separators, end), text.size());
  if (token == text.size()) {
    const size_t last = text.find_last_not_of(spaces);
    if (last == std::string::npos) return {0, "the file is empty", "it needs at least { }"};
    return {last + 1, "the file ends too early", "close what was opened: } ] or \""};
  }
  const char c = text[token];
  const size_t last_read = std::clamp(read, size_t{1}, text.size()) - 1;
  if (c == '/' || c == '#') {
    return {token, "JSON has no comments", "remove it"};
  }
  if (c == '\'') return {token, "expected double quotes", "write \"...\" instead of '...'"};
  if (explained.find("invalid string") != std::string::npos) {
    if (explained.find("missing closing quote") != std::string::npos) {
      return {token, "the text that begins here has no end", "close it with \""};
    }
    return {last_read, plain(explained), ""};  // inside of the string
  }
  // A separator that should not be there is itself what is wrong.
  const size_t comma = text.find(',', end);
  if (explained.find("unexpected ','") != std::string::npos) {
    return {last_read, "a comma with nothing before it", "remove it"};
  }
  if (explained.find("unexpected ':'") != std::string::npos) {
    return {last_read, "a ':' that belongs to no key", "remove it"};
  }
  if ((c == '}' || c == ']') && comma < token) {
    return {comma, "a comma with nothing after it", "remove it"};
  }
  return {token, reason(explained), ""};
}

}  // namespace xlvs::config
