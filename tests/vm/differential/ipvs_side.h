// SPDX-License-Identifier: MIT
#pragma once

#include <set>
#include <string>

#include "tests/vm/differential/cable.h"
#include "tests/vm/differential/ipvsadm.h"
#include "tests/vm/differential/side.h"

namespace xlvs::differential {

// The kernel's own, told what to do by ipvsadm.
class IpvsSide final : public Side {
 public:
  explicit IpvsSide(const Namespace& world);

  // Loads its modules; answers which schedulers there are, none without IPVS.
  static std::set<Scheduler> load();

  void begin(const Setup& setup) override;
  void change(const Setup& before, const Step& change) override;
  Answer ask(const test::Bytes& frame) override;
  void expire(const Setup& setup, const std::vector<test::Bytes>& frames) override;
  std::vector<Count> counts(const Setup& setup) override;
  // What leaves when these frames come, with ipvsadm's `lines` in place of all services before.
  std::vector<test::Bytes> forward(const std::string& lines,
                                   const std::vector<std::vector<test::Bytes>>& datagrams);

 private:
  void set(const std::string& name, bool value) const;

  Namespace here_;
  Cable cable_;
  Ipvsadm ipvsadm_;
};

}  // namespace xlvs::differential
