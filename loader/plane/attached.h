// SPDX-License-Identifier: MIT
#pragma once

#include <xdp/libxdp.h>

#include <cstdint>
#include <memory>
#include <string>

#include "loader/plane/data_plane.h"

// Which XDP programs an interface has, as libxdp sees them.
namespace xlvs::data_plane {

struct CloseMultiprog {
  void operator()(xdp_multiprog* programs) const { xdp_multiprog__close(programs); }
};
using Multiprog = std::unique_ptr<xdp_multiprog, CloseMultiprog>;

struct Found {
  Multiprog programs;
  xdp_program* ours = nullptr;  // one of `programs`
  bool any = false;
};

// Our program on an interface: the one named xlvs that uses the pinned map.
Found find_on(int ifindex, uint32_t services_map);

Attachment describe(const std::string& name, int ifindex, xdp_multiprog* programs, bool adopted);

}  // namespace xlvs::data_plane
