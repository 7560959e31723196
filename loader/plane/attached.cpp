// SPDX-License-Identifier: MIT
#include "loader/plane/attached.h"

#include <bpf/bpf.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

namespace xlvs::data_plane {

namespace {

constexpr const char* program_name = "xlvs";

// Does the program use the map?
bool uses_map(int program, uint32_t map_id) {
  std::array<uint32_t, 64> ids{};
  bpf_prog_info info{};
  info.nr_map_ids = ids.size();
  info.map_ids = reinterpret_cast<uintptr_t>(ids.data());
  uint32_t length = sizeof info;
  if (bpf_obj_get_info_by_fd(program, &info, &length) != 0) return false;
  const std::span used(ids.data(), std::min<size_t>(info.nr_map_ids, ids.size()));
  return std::find(used.begin(), used.end(), map_id) != used.end();
}

}  // namespace

Found find_on(int ifindex, uint32_t services_map) {
  Found found;
  xdp_multiprog* programs = xdp_multiprog__get_from_ifindex(ifindex);
  if (libxdp_get_error(programs) != 0) return found;
  found.programs.reset(programs);
  const auto consider = [&](xdp_program* program) {
    if (program == nullptr) return;
    found.any = true;
    if (std::strcmp(xdp_program__name(program), program_name) == 0 &&
        uses_map(xdp_program__fd(program), services_map)) {
      found.ours = program;
    }
  };
  if (xdp_multiprog__is_legacy(programs)) {
    consider(xdp_multiprog__main_prog(programs));
  } else {
    for (xdp_program* program = xdp_multiprog__next_prog(nullptr, programs); program != nullptr;
         program = xdp_multiprog__next_prog(program, programs)) {
      consider(program);
    }
  }
  return found;
}

Attachment describe(const std::string& name, int ifindex, xdp_multiprog* programs, bool adopted) {
  return {name,
          ifindex,
          xdp_multiprog__attach_mode(programs) == XDP_MODE_SKB ? AttachMode::generic
                                                               : AttachMode::native,
          adopted,
          !xdp_multiprog__is_legacy(programs),
          xdp_program__id(xdp_multiprog__main_prog(programs))};
}

}  // namespace xlvs::data_plane
