// SPDX-License-Identifier: MIT
#pragma once

#include <memory>

#include "loader/plane/kernel_plane.h"
#include "loader/plane/sweeper.h"
#include "loader/state/effective.h"
#include "tests/vm/differential/cable.h"
#include "tests/vm/differential/side.h"

struct pass_bpf;

namespace xlvs::differential {

// The XDP program on an interface, and its tables kept as the agent keeps them: a configuration's
// text is loaded, and the difference to what is applied is applied, by the agent's own code in this
// process. The agent itself is left out: what it adds is when (a file's change, a check's outcome,
// a neighbour), and here a change must be in force when the next packet comes. Every server is up.
class XlvsSide final : public Side {
 public:
  // Makes a mount namespace of its own for its pins, and leaves this thread in its network.
  explicit XlvsSide(const Namespace& world);
  ~XlvsSide() override;

  void begin(const Setup& setup) override;
  void change(const Setup& before, const Step& change) override;
  Answer ask(const test::Bytes& frame) override;
  void expire(const Setup& setup, const std::vector<test::Bytes>& frames) override;
  std::vector<Count> counts(const Setup& setup) override;

 private:
  void configure(const Setup& setup);
  void apply(const Configuration& configuration, const Observe& observe);
  void set_timeouts(const Timeouts& timeouts);
  // No service and nothing that remembers one.
  void clear();

  struct Destroy {
    void operator()(pass_bpf* skeleton) const;
  };
  Namespace here_;
  Cable cable_;
  std::unique_ptr<pass_bpf, Destroy> pass_;
  std::unique_ptr<KernelPlane> plane_;
  std::optional<Sweeper> sweeper_;
};

}  // namespace xlvs::differential
