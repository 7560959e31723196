// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <string>

#include "bpf/types.h"
#include "loader/base/result.h"

struct expire_bpf;

namespace xlvs {

// The expiry program over the pinned maps.
class Sweeper {
 public:
  static Result<Sweeper> load(const std::string& pins);

  // One sweep over all flows, on this thread; about 60 ms for a million of them.
  Result<sweep> run();

 private:
  struct Destroy {
    void operator()(expire_bpf* skeleton) const;
  };
  using Skeleton = std::unique_ptr<expire_bpf, Destroy>;

  explicit Sweeper(Skeleton skeleton) : skeleton_(std::move(skeleton)) {}
  Skeleton skeleton_;
};

}  // namespace xlvs
