// SPDX-License-Identifier: MIT
#pragma once

#include "loader/base/fd.h"
#include "loader/base/result.h"

namespace xlvs {

// Waits until every run of a BPF program that began before has ended. The kernel does so itself
// after it has changed a map of maps (maybe_wait_bpf_programs() in kernel/bpf/syscall.c, since
// Linux 5.0), also where membarrier(2) refuses (nohz_full).
class GracePeriod {
 public:
  static Result<GracePeriod> make();

  // About 10 ms.
  Result<void> wait();

 private:
  GracePeriod(Fd inner, Fd outer) : inner_(std::move(inner)), outer_(std::move(outer)) {}

  Fd inner_;
  Fd outer_;
};

}  // namespace xlvs
