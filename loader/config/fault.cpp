// SPDX-License-Identifier: MIT
#include "loader/config/fault.h"

#include <algorithm>
#include <regex>

#include "loader/config/words.h"

namespace xlvs::config {

namespace {

std::string type_of(const Json& value) {
  if (value.is_number_integer()) return "integer";
  return value.type_name();  // "number", "string", "array", "object", "boolean", "null"
}

std::string described(const Json& value) {
  switch (value.type()) {
    case Json::value_t::string:
      return "the string " + in_quotes(value.get<std::string>());
    case Json::value_t::number_integer:
    case Json::value_t::number_unsigned:
    case Json::value_t::number_float:
      return "the number " + value.dump();
    case Json::value_t::object:
      return "an object { }";
    case Json::value_t::array:
      return "a list [ ]";
    case Json::value_t::null:
    case Json::value_t::boolean:
    case Json::value_t::binary:
    case Json::value_t::discarded:
      return value.dump();
  }
  return value.dump();
}

std::vector<std::string> types_of(const Json& schema) {
  if (!schema.contains("type")) return {};
  if (schema["type"].is_array()) return schema["type"].get<std::vector<std::string>>();
  return {schema["type"].get<std::string>()};
}

std::string range_of(const Json& schema) {
  if (!schema.contains("minimum")) return "";
  return " from " + schema["minimum"].dump() + " to " + schema["maximum"].dump();
}

std::string expected_type(const Json& schema, const std::string& type) {
  if (type == "integer") return "an integer" + range_of(schema);
  if (type == "number") return "a number" + range_of(schema);
  if (type == "array") return "a list [ ]";
  if (type == "object") return "an object { }";
  if (type == "boolean") return "true or false";
  if (type == "string") return "a string";
  return type;
}

std::vector<std::string> words_of(const Json& schema) {
  std::vector<std::string> words;
  for (const Json& word : schema["enum"]) words.push_back(word.dump());
  return words;
}

std::string expected(const Json& schema) {
  if (schema.contains("enum")) return alternatives(words_of(schema));
  if (schema.contains("x-expected")) return schema["x-expected"].get<std::string>();
  std::vector<std::string> kinds;
  for (const std::string& type : types_of(schema)) kinds.push_back(expected_type(schema, type));
  return alternatives(kinds);
}

bool has_right_type(const Json& schema, const Json& value) {
  const std::vector<std::string> types = types_of(schema);
  const auto fits = [&](const std::string& type) {
    return type == type_of(value) || (type == "number" && value.is_number_integer());
  };
  return types.empty() || std::any_of(types.begin(), types.end(), fits);
}

bool in_range(const Json& schema, const Json& value) {
  if (!value.is_number() || !schema.contains("minimum")) return true;
  const auto number = value.get<double>();
  return number >= schema["minimum"].get<double>() && number <= schema["maximum"].get<double>();
}

bool is_duration(const Json& schema) {
  return schema.value("x-expected", "").rfind("a duration", 0) == 0;
}

// The same thing written in another type: 80 for "80", "3s" for 3, [x] for x.
std::string rewritten(const Json& schema, const Json& value) {
  const std::vector<std::string> types = types_of(schema);
  const auto wants = [&](const std::string& type) {
    return std::find(types.begin(), types.end(), type) != types.end();
  };
  if (value.is_string()) {
    const Json inner = Json::parse(value.get<std::string>(), nullptr, false);
    if (inner.is_primitive() && !inner.is_string() && !inner.is_discarded() &&
        !schema.contains("enum") && has_right_type(schema, inner) && in_range(schema, inner)) {
      return "write " + inner.dump() + " without quotes";
    }
  }
  if (value.is_number_unsigned() && wants("string")) {
    return "write \"" + value.dump() + (is_duration(schema) ? "s\"" : "\"");
  }
  if (wants("array") && !value.is_array() && !value.is_null() && schema.contains("items")) {
    return "put it in [ ]";
  }
  return "";
}

// The duration that a string which is none was meant to be, as far as that is clear.
std::string repaired_duration(const std::string& text) {
  std::string compact = lower(text);
  compact.erase(std::remove(compact.begin(), compact.end(), ' '), compact.end());
  const size_t unit = compact.find_first_not_of("0123456789");
  if (unit == 0 || compact.empty() || compact.size() > 10) return "";
  if (unit == std::string::npos) return "write \"" + compact + "s\"";
  const std::string letters = compact.substr(unit);
  const std::vector<std::string> units{"ms", "s", "m", "h"};
  const bool known = std::find(units.begin(), units.end(), letters) != units.end();
  if (known) return "write \"" + compact + "\"";
  if (letters.rfind("ms", 0) == 0 || letters.rfind("mil", 0) == 0) {
    return "write \"" + compact.substr(0, unit) + "ms\"";
  }
  const bool near = std::string("smh").find(letters.front()) != std::string::npos;
  return near ? "write \"" + compact.substr(0, unit) + letters.front() + "\"" : "";
}

std::string wrong_word(const Json& schema, const Json& value) {
  if (!value.is_string()) return "";
  const auto words = schema["enum"].get<std::vector<std::string>>();
  const auto near = nearest(value.get<std::string>(), words);
  return near ? "did you mean " + in_quotes(*near) + "?" : "";
}

size_t length(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U;  // the first byte of a character
  }));
}

Fault value_fault(const std::string& message, const std::string& suggestion = "") {
  return {Fault::Kind::value, "", message, suggestion, ""};
}

std::optional<Fault> string_fault(const Json& schema, const std::string& text) {
  const size_t most = schema.value("maxLength", text.size());
  if (text.size() < schema.value("minLength", size_t{0})) {
    return value_fault("must not be empty",
                       schema.contains("x-expected") ? "expected " + expected(schema) : "");
  }
  if (length(text) > most) {
    return value_fault("expected at most " + std::to_string(most) + " characters, found " +
                       std::to_string(length(text)));
  }
  if (schema.contains("pattern") &&
      !std::regex_search(text, std::regex(schema["pattern"].get<std::string>()))) {
    return value_fault("expected " + expected(schema) + ", found the string " + in_quotes(text),
                       is_duration(schema) ? repaired_duration(text) : rewritten(schema, text));
  }
  return std::nullopt;
}

std::optional<Fault> list_fault(const Json& schema, const Json& list) {
  const size_t most = schema.value("maxItems", list.size());
  if (list.size() < schema.value("minItems", size_t{0})) {
    return value_fault("the list must not be empty");
  }
  if (list.size() > most) {
    return value_fault("expected at most " + std::to_string(most) + ", found " +
                       std::to_string(list.size()));
  }
  return std::nullopt;
}

std::optional<Fault> fault_of_value(const Json& schema, const Json& value) {
  const std::string message = "expected " + expected(schema) + ", found " + described(value);
  if (schema.contains("enum")) {
    const Json& words = schema["enum"];
    if (std::find(words.begin(), words.end(), value) != words.end()) return std::nullopt;
    return value_fault(message, wrong_word(schema, value));
  }
  if (!has_right_type(schema, value)) return value_fault(message, rewritten(schema, value));
  if (!in_range(schema, value)) return value_fault(message);
  if (value.is_string()) return string_fault(schema, value.get<std::string>());
  if (value.is_array()) return list_fault(schema, value);
  return std::nullopt;
}

std::vector<std::string> known_keys(const Json& schema) {
  std::vector<std::string> keys;
  for (const auto& [key, unused] : schema["properties"].items()) keys.push_back(key);
  return keys;
}

}  // namespace

std::vector<Fault> faults_of(const Json& schema, const Json& value) {
  std::vector<Fault> faults;
  if (auto fault = fault_of_value(schema, value)) faults.push_back(*std::move(fault));
  if (!value.is_object() || !schema.contains("properties")) return faults;
  const std::vector<std::string> known = known_keys(schema);
  for (const auto& [key, unused] : value.items()) {
    if (schema["properties"].contains(key)) continue;
    const auto near = nearest(key, known);
    faults.push_back(
        {Fault::Kind::unknown_key, key, "is not a key here",
         near ? "did you mean " + in_quotes(*near) + "?" : "known are " + alternatives(known),
         near.value_or("")});
  }
  for (const Json& key : schema.value("required", Json::array())) {
    const auto name = key.get<std::string>();
    const bool misspelt = std::any_of(faults.begin(), faults.end(),
                                      [&](const Fault& fault) { return fault.meant == name; });
    if (value.contains(name) || misspelt) continue;
    faults.push_back(
        {Fault::Kind::missing_key, name, "the key " + in_quotes(name) + " is missing", "", ""});
  }
  return faults;
}

}  // namespace xlvs::config
