// SPDX-License-Identifier: MIT
#include "loader/plane/skeleton.h"

#include <bpf/libbpf.h>

#include <array>
#include <bit>

#include "loader/plane/map.h"
#include "loader/plane/pins.h"

namespace xlvs::data_plane {

namespace {

// Buckets so that all services and NAT backends fill at most a quarter of the entries.
uint32_t index_buckets(const Tables& tables) {
  return std::bit_ceil(tables.services + tables.backends);
}

// A destination is a vip of a service, so there are no more of them than endpoints; as many again
// for those that have left and are remembered for up to a day.
uint32_t destinations(const Tables& tables) { return 2 * tables.services; }

// Sets a map's size and pin, or keeps the size of one that is pinned already.
Result<uint32_t> prepare(bpf_map* map, const std::string& pins, const char* name, uint32_t size) {
  const std::string path = pins::path(pins, name);
  auto pinned = open_pinned_map(path, bpf_map__value_size(map));
  if (!pinned && pinned.error().code != ENOENT) return pinned.error();
  const uint32_t entries = pinned ? pinned->size : size;
  if (entries != 0) bpf_map__set_max_entries(map, entries);
  if (const int error = bpf_map__set_pin_path(map, path.c_str())) {
    return Error::from_code("pin " + path, error);
  }
  return bpf_map__max_entries(map);
}

}  // namespace

Result<Skeleton> open_skeleton(const std::string& pins, const Tables& tables) {
  Skeleton skeleton(xlvs_bpf__open());
  if (!skeleton) return Error::from_errno("open the embedded BPF object");
  auto& maps = skeleton->maps;
  struct Wanted {
    bpf_map* map;
    const char* name;
    uint32_t size;  // 0: as the object says
  };
  const uint32_t buckets = index_buckets(tables);
  const std::array<Wanted, 13> wanted{
      {{maps.services, pins::services, tables.services},
       {maps.tables, pins::tables, tables.slots},
       {maps.backends, pins::backends, tables.backends},
       {maps.data_settings, pins::settings, 0},
       {maps.flows, pins::flows, tables.flows},
       {maps.pending, pins::pending, tables.pending},
       {maps.fragments, pins::fragments, tables.fragments},
       {maps.destinations, pins::destinations, destinations(tables)},
       {maps.connections, pins::connections, tables.backends},
       {maps.backend_counters, pins::backend_counters, tables.backends},
       {maps.verdicts, pins::verdicts, 0},
       {maps.events, pins::events, 0},
       {maps.endpoints, pins::endpoints, buckets}}};
  for (const auto& [map, name, size] : wanted) {
    const auto entries = prepare(map, pins, name, size);
    if (!entries) return entries.error();
    if (map == maps.endpoints) skeleton->rodata->index_mask = *entries - 1;
  }
  return skeleton;
}

}  // namespace xlvs::data_plane
