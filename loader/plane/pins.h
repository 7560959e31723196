// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "loader/base/result.h"

// The names that bpf/maps.h's maps are pinned under.
namespace xlvs::pins {

// Of a map's name in an object: a variable's section ".data.settings" is pinned as "settings".
inline std::string name_of(const std::string& map) {
  const std::string section = ".data.";
  return map.starts_with(section) ? map.substr(section.size()) : map;
}

inline std::string path(const std::string& folder, const char* map) { return folder + "/" + map; }

constexpr const char* endpoints = "endpoints";
constexpr const char* services = "services";
constexpr const char* tables = "tables";
constexpr const char* backends = "backends";
constexpr const char* settings = "settings";
constexpr const char* flows = "flows";
constexpr const char* pending = "pending";
constexpr const char* fragments = "fragments";
constexpr const char* destinations = "destinations";
constexpr const char* connections = "connections";
constexpr const char* backend_counters = "backend_counters";
constexpr const char* verdicts = "verdicts";
constexpr const char* events = "events";

// Makes the folder; fails, saying what to do, if it is not in a BPF file system.
Result<void> make_folder(const std::string& folder);
void remove_folder(const std::string& folder);

}  // namespace xlvs::pins
