// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <string>

#include "loader/base/fd.h"
#include "tests/vm/differential/cable.h"

namespace xlvs::differential {

// An `ipvsadm -R` that is given line after line: to start one for each change would take longer
// than all the packets do. What it refuses ends the program.
class Ipvsadm {
 public:
  // In that namespace, which must outlive it.
  explicit Ipvsadm(const Namespace& where);
  Ipvsadm(const Ipvsadm&) = delete;
  Ipvsadm& operator=(const Ipvsadm&) = delete;
  Ipvsadm(Ipvsadm&&) = delete;
  Ipvsadm& operator=(Ipvsadm&&) = delete;
  ~Ipvsadm();

  // Both return when the lines are in force; they may be all there is, or be added.
  void begin_anew(const std::string& lines) { run("-C\n", lines); }
  void add(const std::string& lines) { run("-D -f " + std::to_string(fence_) + "\n", lines); }
  // What the kernel lists, by /proc/net/ip_vs.
  [[nodiscard]] std::string table() const;

 private:
  void run(const std::string& first, const std::string& lines);
  [[nodiscard]] std::string said() const;

  const Namespace& where_;
  Fd lines_;
  Fd output_;
  pid_t pid_ = 0;
  unsigned fence_ = 0;
};

}  // namespace xlvs::differential
