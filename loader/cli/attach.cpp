// SPDX-License-Identifier: MIT
#include <cstdio>

#include "loader/cli/commands.h"
#include "loader/plane/data_plane.h"
#include "loader/plane/lock.h"

namespace xlvs::cli {

int attach(const std::string& pins, const std::vector<std::string>& interfaces, AttachMode mode) {
  std::vector<std::string> notes;
  const auto attached = data_plane::attach(pins, interfaces, mode, Tables{}, notes);
  for (const auto& note : notes) std::fprintf(stderr, "xlvs: %s\n", note.c_str());
  if (!attached) {
    std::fprintf(stderr, "xlvs: %s\n", attached.error().message.c_str());
    return 1;
  }
  for (const auto& one : *attached) {
    std::printf("%s: %s in %s mode%s\n", one.interface.c_str(),
                one.adopted ? "already attached" : "attached",
                one.mode == AttachMode::native ? "native" : "generic",
                one.dispatched ? ", under libxdp's dispatcher" : "");
  }
  return 0;
}

int detach(const std::string& pins, const std::vector<std::string>& interfaces) {
  // An agent that lost its data plane would tear down its successor's.
  const auto lock = Lock::take(pins);
  if (!lock && lock.error().code == EBUSY) {
    std::fprintf(stderr, "xlvs: %s; stop it first\n", lock.error().message.c_str());
    return 1;
  }
  const auto detached = data_plane::detach(pins, interfaces);
  if (!detached) {
    std::fprintf(stderr, "xlvs: %s\n", detached.error().message.c_str());
    return 1;
  }
  if (detached->empty()) std::puts("xlvs is not attached there");
  for (const auto& interface : *detached) std::printf("%s: detached\n", interface.c_str());
  return 0;
}

}  // namespace xlvs::cli
