// SPDX-License-Identifier: MIT
#pragma once

#include "tests/vm/differential/side.h"

namespace xlvs::differential {

// Sends the same packets to both by direct routing and all tunnels, and compares what leaves, byte
// for byte but for what each may choose; prints what differs. True where nothing does.
bool compare_frames(Side& ipvs, Side& xlvs);

}  // namespace xlvs::differential
