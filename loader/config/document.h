// SPDX-License-Identifier: MIT
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "loader/config/problem.h"

namespace xlvs::config {

using Json = nlohmann::json;

// Longer files are refused: room for a million backends, and a bound for what a wrong
// path (a log, a device) can cost.
constexpr size_t max_text = size_t{64} << 20U;

struct Place {
  size_t line = 1;
  size_t column = 1;
};

// Where a value is, and its key if it is an object's member (else the same place).
struct Location {
  Place key;
  Place value;
  std::string path;  // "services[0].port"
};

// The text as values, with the location of each by its JSON pointer (RFC 6901).
struct Document {
  Json value;
  std::map<std::string, Location> locations;
  std::vector<Problem> errors;  // duplicate keys, or what ended the reading
  bool complete = false;        // the text was read to its end

  // The location of what is nearest above, where the pointer itself leads to nothing.
  [[nodiscard]] const Location& at(const std::string& pointer) const;
};

Document read_document(const std::string& text);

// RFC 6901: what `key` of the object at `pointer` is called.
std::string member(const std::string& pointer, const std::string& key);

// A key or a piece of text as a message quotes it: one line, not too long.
std::string in_quotes(const std::string& text);

}  // namespace xlvs::config
