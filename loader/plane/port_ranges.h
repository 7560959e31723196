// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <vector>

#include "bpf/types.h"
#include "loader/state/configuration.h"

namespace xlvs {

// An endpoint of several ports, a range or all of them, that leads to a service.
struct OpenPorts {
  ServiceKey endpoint;
  uint32_t service = 0;
};

// What packets read of all that is opened for a vip, in the order it was opened: the later over the
// earlier, so that what is served already goes on being served while ranges are cut and moved. The
// first slot has all other ports (0: nobody's); ranges follow, in order and apart, at most two for
// each that is opened.
std::vector<slot> paint(const std::vector<OpenPorts>& opened);

}  // namespace xlvs
