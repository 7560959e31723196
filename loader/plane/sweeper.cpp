// SPDX-License-Identifier: MIT
#include "loader/plane/sweeper.h"

#include <bpf/bpf.h>

#include "expire.skel.h"
#include "loader/plane/map.h"

namespace xlvs {

void Sweeper::Destroy::operator()(expire_bpf* skeleton) const { expire_bpf__destroy(skeleton); }

Result<Sweeper> Sweeper::load(const std::string& pins) {
  Skeleton skeleton(expire_bpf__open());
  if (!skeleton) return Error::from_errno("open the embedded expiry program");
  auto& maps = skeleton->maps;
  if (const auto shared = share_pinned_maps(skeleton->obj, pins); !shared) return shared.error();
  const uint32_t backends = bpf_map__max_entries(maps.connections);
  skeleton->rodata->index_mask = bpf_map__max_entries(maps.endpoints) - 1;
  bpf_map__set_max_entries(maps.recount, backends);
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
