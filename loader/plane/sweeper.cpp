// SPDX-License-Identifier: MIT
#include "loader/plane/sweeper.h"

#include <bpf/bpf.h>

#include <array>

#include "expire.skel.h"
#include "loader/plane/map.h"
#include "loader/plane/pins.h"

namespace xlvs {

void Sweeper::Destroy::operator()(expire_bpf* skeleton) const { expire_bpf__destroy(skeleton); }

Result<Sweeper> Sweeper::load(const std::string& pins) {
  Skeleton skeleton(expire_bpf__open());
  if (!skeleton) return Error::from_errno("open the embedded expiry program");
  auto& maps = skeleton->maps;
  uint32_t backends = 0;
  // All maps of maps.h are in the object, also those it does not use: each is the pinned one.
  const std::array<std::pair<bpf_map*, const char*>, 11> shared{
      {{maps.endpoints, pins::endpoints},
       {maps.services, pins::services},
       {maps.tables, pins::tables},
       {maps.backends, pins::backends},
       {maps.data_settings, pins::settings},
       {maps.flows, pins::flows},
       {maps.pending, pins::pending},
       {maps.connections, pins::connections},
       {maps.backend_counters, pins::backend_counters},
       {maps.verdicts, pins::verdicts},
       {maps.events, pins::events}}};
  for (const auto& [map, name] : shared) {
    const auto pinned = open_pinned_map(pins::path(pins, name), bpf_map__value_size(map));
    if (!pinned) return pinned.error();
    if (map == maps.connections) backends = pinned->size;
    if (const int error = bpf_map__reuse_fd(map, pinned->fd.get())) {
      return Error::from_code(std::string("share map ") + name, error);
    }
  }
  bpf_map__set_max_entries(maps.recount, backends);
  bpf_map__set_max_entries(maps.before, backends);
  if (const int error = expire_bpf__load(skeleton.get())) {
    return Error::from_code("load the expiry program", error);
  }
  return Sweeper(std::move(skeleton));
}

Result<sweep> Sweeper::run() {
  sweep result{};
  bpf_test_run_opts options{};
  options.sz = sizeof options;
  options.ctx_in = &result;
  options.ctx_size_in = sizeof result;
  // The kernel writes a syscall program's context back where it came from, and refuses ctx_out.
  const int error = bpf_prog_test_run_opts(bpf_program__fd(skeleton_->progs.expire), &options);
  if (error != 0) return Error::from_code("run the expiry program", error);
  return result;
}

}  // namespace xlvs
