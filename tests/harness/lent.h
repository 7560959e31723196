// SPDX-License-Identifier: MIT
#pragma once

#include <memory>

#include "tests/harness/prog_run.h"

namespace xlvs::test {

struct GiveBack {
  void operator()(Programs* programs) const;
};
using Lent = std::unique_ptr<Programs, GiveBack>;

// Programs with maps of these sizes, as if just loaded. A process loads them once and lends them to
// one test after the other: to verify them takes the kernel longer than most tests take, and under
// emulation seconds.
Result<Lent> lend(const Sizes& sizes);

}  // namespace xlvs::test
