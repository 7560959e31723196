// SPDX-License-Identifier: MIT
#include "loader/plane/map.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/mman.h>

#include <utility>

#include "loader/plane/pins.h"

namespace xlvs {

Result<Map> open_pinned_map(const std::string& path, uint32_t value_size) {
  Fd fd{bpf_obj_get(path.c_str())};
  if (!fd) return Error::from_errno("open pinned map " + path);
  bpf_map_info info{};
  uint32_t length = sizeof info;
  if (bpf_obj_get_info_by_fd(fd.get(), &info, &length) != 0) {
    return Error::from_errno("look at pinned map " + path);
  }
  if (value_size != 0 && info.value_size != value_size) {
    return Error{"pinned map " + path + " has values of " + std::to_string(info.value_size) +
                     " bytes, not of " + std::to_string(value_size) +
                     ": another version of xlvs made it ('xlvs detach' removes it)",
                 EINVAL};
  }
  return Map{std::move(fd), info.id, info.max_entries, info.value_size};
}

Result<void> share_pinned_maps(bpf_object* object, const std::string& folder) {
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object) {
    const std::string name = pins::name_of(bpf_map__name(map));
    // Another section of the object's variables; bpffs has no names with dots.
    if (name.find('.') != std::string::npos) continue;
    const auto pinned = open_pinned_map(pins::path(folder, name.c_str()), bpf_map__value_size(map));
    if (!pinned && pinned.error().code == ENOENT) continue;
    if (!pinned) return pinned.error();
    if (const int error = bpf_map__reuse_fd(map, pinned->fd.get())) {
      return Error::from_code("share map " + name, error);
    }
  }
  return {};
}

Result<Mapping> Mapping::of(const Map& map) {
  const size_t length = size_t{map.size} * ((size_t{map.value_size} + 7) / 8 * 8);
  void* start = mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED, map.fd.get(), 0);
  if (start == MAP_FAILED) return Error::from_errno("map into memory");
  return Mapping({static_cast<std::byte*>(start), length});
}

Mapping::Mapping(Mapping&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  return *this;
}

Mapping::~Mapping() {
  if (!bytes_.empty()) munmap(bytes_.data(), bytes_.size());
}

}  // namespace xlvs
