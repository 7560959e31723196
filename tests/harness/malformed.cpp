// SPDX-License-Identifier: MIT
#include "tests/harness/malformed.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

namespace xlvs {

namespace {

// Keeps the order of keys, so that the texts look like what people write.
using Json = nlohmann::ordered_json;
using Pointer = Json::json_pointer;

constexpr size_t truncations = 64;
// Becomes the key's second appearance once the document is text: a value cannot hold one key twice.
const std::string twice = "(twice)";

Json followed(const Json& root, const Json& node) {
  if (!node.contains("$ref")) return node;
  return followed(root, root.at(Pointer(node["$ref"].get<std::string>().substr(1))));
}

std::vector<std::string> types_of(const Json& schema) {
  if (schema.contains("enum")) return {"string"};
  if (schema["type"].is_array()) return schema["type"].get<std::vector<std::string>>();
  return {schema["type"].get<std::string>()};
}

bool allows(const Json& schema, const std::string& type) {
  const std::vector<std::string> types = types_of(schema);
  const auto has = [&](const char* wanted) {
    return std::find(types.begin(), types.end(), wanted) != types.end();
  };
  return has(type.c_str()) || (type == "integer" && has("number"));
}

class Generator {
 public:
  Generator(Json schema, Json document)
      : schema_(std::move(schema)), document_(std::move(document)) {}

  std::vector<Malformed> generate() {
    walk(schema_, Pointer());
    truncate();
    return std::move(all_);
  }

 private:
  void add(const Pointer& at, const std::string& what, const Json& changed) {
    std::string name = at.to_string().empty() ? "top" : at.to_string().substr(1);
    std::replace(name.begin(), name.end(), '/', '.');
    std::string text = changed.dump(2) + "\n";
    if (const size_t marker = text.find(twice); marker != std::string::npos) {
      text.erase(marker, twice.size());
    }
    all_.push_back({name + "." + what, text});
  }

  void replace(const Pointer& at, const std::string& what, const Json& value) {
    Json changed = document_;
    changed[at] = value;
    add(at, what, changed);
  }

  void walk(const Json& schema, const Pointer& at);
  void other_types(const Json& schema, const Pointer& at);
  void numbers(const Json& schema, const Pointer& at);
  void strings(const Json& schema, const Pointer& at);
  void keys(const Json& schema, const Pointer& at);
  void truncate();

  Json schema_;
  Json document_;
  std::vector<Malformed> all_;
};

void Generator::walk(const Json& schema, const Pointer& at) {
  const Json value = document_[at];
  other_types(schema, at);
  if (allows(schema, "integer")) numbers(schema, at);
  if (allows(schema, "string")) strings(schema, at);
  if (value.is_object()) {
    keys(schema, at);
    for (const auto& [key, inner] : value.items()) {
      walk(followed(schema_, schema["properties"][key]), at / key);
    }
  }
  if (!allows(schema, "array")) return;
  const Json items = followed(schema_, schema["items"]);
  if (schema.contains("minItems")) replace(at, "empty", Json::array());
  if (schema.contains("maxItems")) {
    const Json element = value.empty() ? items["minimum"] : value[0];
    replace(at, "too_many", Json(schema["maxItems"].get<size_t>() + 1, element));
  }
  replace(at, "null_inside", Json::array({nullptr}));
  replace(at, "list_inside", Json::array({Json::array()}));
  for (size_t i = 0; i < value.size(); ++i) walk(items, at / i);
}

void Generator::other_types(const Json& schema, const Pointer& at) {
  const std::vector<std::pair<std::string, Json>> others{
      {"null", nullptr},         {"boolean", true},        {"integer", 7},
      {"number", 7.5},           {"string", "(a string)"}, {"array", Json::array()},
      {"object", Json::object()}};
  for (const auto& [type, value] : others) {
    if (!allows(schema, type)) replace(at, "as_" + type, value);
  }
}

void Generator::numbers(const Json& schema, const Pointer& at) {
  const auto least = schema["minimum"].get<double>();
  const auto most = schema["maximum"].get<double>();
  if (allows(schema, "number")) {
    replace(at, "too_small", least - 0.01);
    replace(at, "too_large", most + 0.01);
  } else {
    replace(at, "too_small", static_cast<int64_t>(least) - 1);
    replace(at, "too_large", static_cast<int64_t>(most) + 1);
    replace(at, "as_fraction", least + 0.5);
  }
  replace(at, "huge", 1e30);
  replace(at, "hugely_negative", -1e30);
  replace(at, "beyond_64_bits", UINT64_MAX);
}

void Generator::strings(const Json& schema, const Pointer& at) {
  if (schema.contains("enum")) {
    replace(at, "unknown_word", "bogus");
    replace(at, "empty_word", "");
    std::string word = schema["enum"][0].get<std::string>();
    replace(at, "longer_word", word + "x");
    word[0] = static_cast<char>(word[0] - 'a' + 'A');
    replace(at, "capital_word", word);
    return;
  }
  const std::string start = at.back() == "path" ? "/" : "";
  replace(at, "too_long", start + std::string(schema["maxLength"].get<size_t>() + 1, '1'));
  if (schema.contains("minLength")) replace(at, "empty", "");
  const std::string pattern = schema.value("pattern", "");
  if (!pattern.empty()) {
    replace(at, "line_break", start + "1s\n");
    replace(at, "zero_byte", start + std::string("1s\0", 3));
  }
  if (at.back() == "address" || at.back() == "vip") {
    for (const char* bad : {"300.0.0.1", "192.0.2", "192.0.2.1:80", "192.0.2.1/24", "[::1]", "::g",
                            "0.0.0.0", "::", "224.0.0.1", "255.255.255.255", " ", "a b"}) {
      replace(at, "address_" + std::to_string(all_.size()), bad);
    }
  }
  if (at.back() == "expect_regex") replace(at, "no_expression", "(");
  if (pattern.find("ms") == std::string::npos) return;
  for (const char* bad : {"", "1", "s", "-1s", "1 s", "1.5s", "1w", "1S", "0s", "999999h",
                          "9999999999h", "0x1s", "+1s"}) {
    replace(at, "duration_" + std::to_string(all_.size()), bad);
  }
}

void Generator::keys(const Json& schema, const Pointer& at) {
  const Json object = document_[at];
  for (const auto& [key, value] : object.items()) {
    Json misspelt = document_;
    misspelt[at].erase(key);
    misspelt[at][key.substr(0, key.size() - 1)] = value;
    add(at / key, "misspelt", misspelt);

    Json doubled = document_;
    doubled[at][twice + key] = value;
    add(at / key, "twice", doubled);
  }
  for (const Json& key : schema.value("required", Json::array())) {
    Json without = document_;
    without[at].erase(key.get<std::string>());
    add(at / key.get<std::string>(), "missing", without);
  }
  Json extended = document_;
  extended[at]["extra"] = 1;
  add(at / "extra", "unknown", extended);
  extended = document_;
  extended[at][""] = nullptr;
  add(at / "empty_key", "unknown", extended);
}

void Generator::truncate() {
  const std::string text = document_.dump(2);
  for (size_t i = 0; i < truncations; ++i) {
    const size_t end = text.size() * i / truncations;
    all_.push_back({"truncated_at_" + std::to_string(end), text.substr(0, end)});
  }
}

}  // namespace

std::string configuration_text(const std::string& file) {
  std::ifstream stream(std::string(XLVS_CONFIGS) + "/" + file);
  return {std::istreambuf_iterator<char>(stream), {}};
}

std::vector<Malformed> malformed_configurations() {
  return Generator(Json::parse(configuration_text("xlvs.schema.json")),
                   Json::parse(configuration_text("reference.json")))
      .generate();
}

}  // namespace xlvs
