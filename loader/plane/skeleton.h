// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <string>

#include "loader/base/result.h"
#include "loader/state/configuration.h"
#include "xlvs.skel.h"

namespace xlvs::data_plane {

struct DestroySkeleton {
  void operator()(xlvs_bpf* skeleton) const { xlvs_bpf__destroy(skeleton); }
};
using Skeleton = std::unique_ptr<xlvs_bpf, DestroySkeleton>;

// The program and its maps, not loaded yet: those that are pinned already, and the others in these
// sizes.
Result<Skeleton> open_skeleton(const std::string& pins, const Tables& tables);

}  // namespace xlvs::data_plane
