// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "loader/config/config.h"
#include "loader/config/schema.h"
#include "loader/state/words.h"
#include "tests/harness/malformed.h"

namespace xlvs::config {
namespace {

using Json = nlohmann::json;
using Pointer = Json::json_pointer;

Loaded loaded(const std::string& text) {
  return load_text(text, [](const std::string& name) -> Result<std::vector<Address>> {
    return Error{"cannot resolve \"" + name + "\""};
  });
}

const Json& schema() {
  static const Json parsed = Json::parse(schema_text());
  return parsed;
}

std::string reference_text() { return configuration_text("reference.json"); }

std::string dotted(const std::string& name, const std::string& key) { return name + "." + key; }

// Calls visit(definition's name, schema, value) for each object of the document.
template <typename Visit>
void for_each_object(const Json& node, const std::string& name, Json& value, const Visit& visit) {
  if (node.contains("$ref")) {
    const auto target = node["$ref"].get<std::string>().substr(1);
    for_each_object(schema().at(Pointer(target)), target, value, visit);
  } else if (value.is_object()) {
    for (const auto& [key, inner] : value.items()) {
      for_each_object(node["properties"][key], dotted(name, key), inner, visit);
    }
    visit(name, node, value);
  } else if (value.is_array()) {
    for (Json& element : value) for_each_object(node["items"], name + "[]", element, visit);
  }
}

TEST(ConfigReference, HoldsEveryKeyOfTheSchema) {
  std::set<std::string> shown;
  Json document = Json::parse(reference_text());
  for_each_object(schema(), "top", document,
                  [&](const std::string& name, const Json&, Json& object) {
                    for (const auto& [key, value] : object.items()) shown.insert(dotted(name, key));
                  });
  const auto expect_shown = [&](const std::string& name, const Json& properties) {
    for (const auto& [key, value] : properties.items()) {
      EXPECT_TRUE(shown.count(dotted(name, key)) == 1) << name << "." << key << " is not shown";
    }
  };
  expect_shown("top", schema()["properties"]);
  for (const auto& [name, definition] : schema()["definitions"].items()) {
    expect_shown("/definitions/" + name, definition.value("properties", Json::object()));
  }
}

TEST(ConfigReference, SchemaNamesEveryScheduler) {
  Json words = Json::array();
  for (const auto& [word, scheduler] : words::schedulers) words.push_back(word);
  EXPECT_EQ(schema()["definitions"]["scheduler"]["enum"], words);
}

TEST(ConfigReference, CompilesToWhatItsRequiredKeysAloneCompileTo) {
  Json document = Json::parse(reference_text());
  for_each_object(
      schema(), "top", document, [](const std::string& name, const Json& node, Json& object) {
        // Without any key it would be the service's first endpoint once more.
        if (name == "/definitions/endpoint") return;
        const Json required = node.value("required", Json::array());
        const Json before = object;
        for (const auto& [key, value] : before.items()) {
          // There is persistence also where nothing is said of it.
          const bool needed = key == "persistence" ||
                              std::find(required.begin(), required.end(), key) != required.end();
          if (!needed && (!value.is_structured() || value.empty())) object.erase(key);
        }
      });
  const Json& service = document["services"][0];
  EXPECT_EQ(service["backends"][0], (Json{{"address", "192.0.2.11"}}));
  EXPECT_EQ(service["fallback"], (Json{{"address", "127.0.0.1"}}));
  const Loaded full = loaded(reference_text());
  const Loaded stripped = loaded(document.dump());
  ASSERT_TRUE(full.configuration);
  ASSERT_TRUE(stripped.configuration);
  EXPECT_EQ(*full.configuration, *stripped.configuration);
}

TEST(ConfigReference, EmptyObjectsCompileToTheProgramsDefaults) {
  const Loaded full = loaded(reference_text());
  ASSERT_TRUE(full.configuration);
  Configuration expected;
  expected.interfaces = full.configuration->interfaces;
  expected.services = full.configuration->services;
  EXPECT_EQ(*full.configuration, expected);
  EXPECT_EQ(full.configuration->services[0].backends[0].check, Check{.port = 80});
}

TEST(ConfigReference, SchemaStatesTheSameDefaults) {
  Json document = Json::parse(reference_text());
  size_t compared = 0;
  for_each_object(
      schema(), "top", document, [&](const std::string& name, const Json& node, Json& object) {
        for (const auto& [key, value] : object.items()) {
          Json property = node["properties"][key];
          if (!property.contains("default") && property.contains("$ref")) {
            property = schema().at(Pointer(property["$ref"].get<std::string>().substr(1)));
          }
          if (!property.contains("default") || value.is_object()) continue;
          // Inside of the example of a local fallback, forwarding follows from the address.
          if (name == "/definitions/fallback") continue;
          EXPECT_EQ(value, property["default"]) << name << "." << key;
          ++compared;
        }
      });
  EXPECT_GE(compared, 30U);
}

TEST(ConfigReference, IsFine) {
  const Loaded reference = loaded(reference_text());
  EXPECT_TRUE(reference.errors.empty());
  ASSERT_EQ(reference.notes.size(), 1U);
  EXPECT_NE(reference.notes[0].message.find("must listen on 192.0.2.1:80 or 0.0.0.0:80"),
            std::string::npos);
}

TEST(ConfigMinimal, DirectRoutingIsFine) {
  const Loaded minimal = loaded(configuration_text("minimal-dr.json"));
  ASSERT_TRUE(minimal.configuration);
  EXPECT_TRUE(minimal.notes.empty());
  Configuration expected;
  expected.interfaces = {"eth0"};
  Service service;
  service.name = "web";
  service.key.vip = {*Address::parse("192.0.2.1"), 80};
  service.backends = {{{*Address::parse("192.0.2.11")}, 1, Forwarding::dr, {.port = 80}},
                      {{*Address::parse("192.0.2.12")}, 1, Forwarding::dr, {.port = 80}}};
  expected.services = {service};
  EXPECT_EQ(*minimal.configuration, expected);
}

TEST(ConfigMinimal, NatIsFine) {
  const Loaded minimal = loaded(configuration_text("minimal-nat.json"));
  ASSERT_TRUE(minimal.configuration);
  EXPECT_TRUE(minimal.notes.empty());
  Configuration expected;
  expected.interfaces = {"eth0", "eth1"};
  Service service;
  service.name = "web";
  service.key.vip = {*Address::parse("192.0.2.1"), 80};
  service.backends = {{{*Address::parse("198.51.100.11"), 8080}, 1, Forwarding::nat, {}},
                      {{*Address::parse("198.51.100.12"), 8080}, 1, Forwarding::nat, {}}};
  expected.services = {service};
  EXPECT_EQ(*minimal.configuration, expected);
}

}  // namespace
}  // namespace xlvs::config
