// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "loader/base/fd.h"
#include "tests/harness/packet.h"

// Everything here ends the program where the kernel refuses: there is no test to go on with.
namespace xlvs::differential {

// Network namespaces of this process's own, which end with it.
class Namespace {
 public:
  // A new one, which this thread then is in.
  static Namespace make();

  void enter() const;
  // Runs a script there by /bin/sh -e.
  void sh(const std::string& script) const;
  [[nodiscard]] std::string path() const;

 private:
  explicit Namespace(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

// A veth pair from the world, where frames go out and come in as they are, to a director's eth0.
class Cable {
 public:
  // Leaves this thread in the director's namespace.
  Cable(const Namespace& world, const Namespace& director, const std::string& name);

  // Lets frames through that XDP sends from the director's end.
  void pass_xdp(int program) const;

  // What comes back of a frame; nothing where nothing does: the director then has answered what
  // was asked afterwards.
  std::optional<test::Bytes> ask(const test::Bytes& frame);
  // All that comes back of these frames together, in its order.
  std::vector<test::Bytes> ask_all(const std::vector<test::Bytes>& frames);

 private:
  enum class Got { nothing, answer, fence };
  Got receive(test::Bytes& frame, bool wait);
  void send(const test::Bytes& frame);
  std::optional<test::Bytes> wait_for_fence();

  const Namespace& world_;
  std::string name_;
  Fd socket_;
};

}  // namespace xlvs::differential
