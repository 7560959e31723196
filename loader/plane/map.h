// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "loader/base/fd.h"
#include "loader/base/result.h"

struct bpf_map;
struct bpf_object;

namespace xlvs {

// An open BPF map.
struct Map {
  Fd fd;
  uint32_t id = 0;
  uint32_t size = 0;  // entries
  uint32_t value_size = 0;
};

// A pinned map; fails if it is not there, or if its values are not of `value_size` bytes (0: any),
// as when another version of xlvs made it.
Result<Map> open_pinned_map(const std::string& path, uint32_t value_size = 0);

// Makes each map of the unloaded object that is pinned in the folder the pinned one, also those of
// maps.h that the object does not use. The others stay its own.
Result<void> share_pinned_maps(bpf_object* object, const std::string& folder);

// The bytes of an ARRAY map made with BPF_F_MMAPABLE, shared with the kernel.
class Mapping {
 public:
  static Result<Mapping> of(const Map& map);
  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&& other) noexcept;
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping();

  [[nodiscard]] std::span<std::byte> bytes() const { return bytes_; }

 private:
  explicit Mapping(std::span<std::byte> bytes) : bytes_(bytes) {}
  std::span<std::byte> bytes_;
};

// A mapped ARRAY as values of T, whose size is a multiple of 8 as the kernel lays them out.
template <typename T>
class MappedArray {
 public:
  static Result<MappedArray> open(const std::string& path) {
    static_assert(sizeof(T) % 8 == 0);
    auto map = open_pinned_map(path, sizeof(T));
    if (!map) return map.error();
    auto mapping = Mapping::of(*map);
    if (!mapping) return mapping.error().in(path);
    return MappedArray(std::move(*map), std::move(*mapping));
  }

  [[nodiscard]] std::span<T> values() const {
    return {reinterpret_cast<T*>(mapping_.bytes().data()), map_.size};
  }
  T& operator[](uint32_t index) const { return values()[index]; }
  [[nodiscard]] uint32_t size() const { return map_.size; }
  [[nodiscard]] const Map& map() const { return map_; }

 private:
  MappedArray(Map map, Mapping mapping) : map_(std::move(map)), mapping_(std::move(mapping)) {}

  Map map_;
  Mapping mapping_;
};

}  // namespace xlvs
