// SPDX-License-Identifier: MIT
#include "loader/config/validate.h"

#include <memory>
#include <set>
#include <utility>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>

#include "loader/config/fault.h"
#include "loader/config/schema.h"

namespace xlvs::config {

namespace {

using Pointer = Json::json_pointer;
using Steps = std::vector<std::string>;

const Json& schema_root() {
  static const Json root = Json::parse(schema_text());
  return root;
}

const valijson::Schema& compiled_schema() {
  static const auto compiled = [] {
    auto schema = std::make_unique<valijson::Schema>();  // it can be neither copied nor moved
    valijson::SchemaParser().populateSchema(valijson::adapters::NlohmannJsonAdapter(schema_root()),
                                            *schema);
    return schema;
  }();
  return *compiled;
}

// A node of the schema with its reference followed; what stands beside the reference comes first.
Json followed(const Json& node) {
  if (!node.contains("$ref")) return node;
  Json target = followed(schema_root().at(Pointer(node["$ref"].get<std::string>().substr(1))));
  for (const auto& [key, value] : node.items()) {
    if (key != "$ref") target[key] = value;
  }
  return target;
}

// What the schema says about one member or element of a value; null where it says nothing.
Json below(const Json& schema, const Json& value, const std::string& step) {
  if (value.is_array()) return schema.contains("items") ? followed(schema["items"]) : Json();
  const Json properties = schema.value("properties", Json::object());
  return properties.contains(step) ? followed(properties[step]) : Json();
}

// Whose fault makes the whole thing worth nothing: which backend is meant, by which forwarding, or
// which endpoint?
bool stands_or_falls_whole(const Steps& steps) {
  if (steps.empty()) return false;
  if (steps.back() == "fallback") return true;
  const bool element = steps.size() >= 2;
  return element && (steps[steps.size() - 2] == "services" ||
                     steps[steps.size() - 2] == "backends" || steps[steps.size() - 2] == "also");
}

std::string pointer_of(const Steps& steps) {
  std::string pointer;
  for (const std::string& step : steps) pointer = member(pointer, step);
  return pointer;
}

// valijson's "<root>", "[services]", "[0]" as steps; each way to a fault is a place to look at too,
// since valijson stops at the first unknown key.
std::set<Steps> places_of(const valijson::ValidationResults& results) {
  std::set<Steps> places;
  for (const auto& error : results) {
    Steps steps;
    places.insert(steps);
    for (size_t i = 1; i < error.context.size(); ++i) {
      const std::string& bracketed = error.context[i];
      steps.push_back(bracketed.substr(1, bracketed.size() - 2));
      places.insert(steps);
    }
  }
  return places;
}

std::vector<Fault> faults_at(const Json& root, const Steps& steps) {
  Json schema = followed(schema_root());
  const Json* value = &root;
  for (const std::string& step : steps) {
    schema = below(schema, *value, step);
    if (schema.is_null()) return {};
    if (value->is_array()) {
      value = &value->at(std::stoul(step));
    } else {
      if (!value->contains(step)) return {};
      value = &value->at(step);
    }
  }
  return faults_of(schema, *value);
}

Problem problem_of(const Document& document, const Steps& steps, const Fault& fault) {
  const std::string pointer = pointer_of(steps);
  if (fault.kind == Fault::Kind::unknown_key) {
    const Location& location = document.at(member(pointer, fault.key));
    return {location.key.line, location.key.column, location.path, fault.message, fault.suggestion};
  }
  const Location& location = document.at(pointer);
  return {location.value.line, location.value.column, location.path, fault.message,
          fault.suggestion};
}

void replace_by_null(Json& root, const Steps& steps) {
  const Pointer pointer(pointer_of(steps));
  if (root.contains(pointer)) root[pointer] = nullptr;
}

void take_out(Json& root, const Steps& steps, const Fault& fault) {
  // Every backend depends on the global forwarding, so without it nothing can be said of them.
  const bool forwarding = fault.kind == Fault::Kind::unknown_key
                              ? steps.empty() && fault.meant == "forwarding"
                              : steps == Steps{"forwarding"};
  if (forwarding) root.erase("services");
  if (fault.kind != Fault::Kind::value) {
    const bool harmless = fault.kind == Fault::Kind::unknown_key && fault.meant.empty();
    if (!harmless && stands_or_falls_whole(steps)) replace_by_null(root, steps);
    return;
  }
  if (steps.empty()) {
    root = Json::object();
    return;
  }
  const Steps parent(steps.begin(), steps.end() - 1);
  if (stands_or_falls_whole(parent)) {
    replace_by_null(root, parent);
  } else if (stands_or_falls_whole(steps)) {
    replace_by_null(root, steps);
  } else if (const Pointer pointer(pointer_of(parent)); root.contains(pointer)) {
    Json& container = root[pointer];
    if (container.is_object()) container.erase(steps.back());
    if (container.is_array()) container[std::stoul(steps.back())] = nullptr;
  }
}

}  // namespace

std::vector<Problem> validate(Document& document) {
  valijson::Validator validator(valijson::Validator::kStrongTypes);
  valijson::ValidationResults results;
  const valijson::adapters::NlohmannJsonAdapter target(document.value);
  if (validator.validate(compiled_schema(), target, &results)) return {};

  std::vector<std::pair<Steps, Fault>> faults;
  for (const Steps& steps : places_of(results)) {
    for (const Fault& fault : faults_at(document.value, steps)) faults.emplace_back(steps, fault);
  }
  std::vector<Problem> problems;
  problems.reserve(faults.size());
  for (const auto& [steps, fault] : faults) {
    problems.push_back(problem_of(document, steps, fault));
  }
  if (problems.empty()) {  // a rule of the schema that fault.cpp has no words for
    for (const auto& error : results) {
      const Location& location = document.at("");
      problems.push_back({location.value.line, location.value.column, "", error.description, ""});
    }
  }
  for (const auto& [steps, fault] : faults) take_out(document.value, steps, fault);
  return problems;
}

}  // namespace xlvs::config
