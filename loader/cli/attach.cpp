// SPDX-License-Identifier: MIT
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cstdio>

#include "loader/base/asio.h"
#include "loader/base/log.h"
#include "loader/cli/commands.h"
#include "loader/plane/data_plane.h"
#include "loader/plane/lock.h"
#include "loader/plane/neighbours.h"
#include "loader/plane/tags.h"
#include "loader/plane/vips.h"
#include "loader/state/words.h"

namespace xlvs::cli {

int attach(const std::string& pins, const std::vector<std::string>& interfaces, AttachMode mode) {
  const auto tags = mode == AttachMode::native ? check_tags(interfaces) : Result<void>{};
  if (!tags) {
    fmt::print(stderr, "xlvs: {}\n", tags.error().message);
    return 1;
  }
  std::vector<std::string> notes;
  const auto attached = data_plane::attach(pins, interfaces, mode, Tables{}, notes);
  for (const auto& note : notes) fmt::print(stderr, "xlvs: {}\n", note);
  if (!attached) {
    fmt::print(stderr, "xlvs: {}\n", attached.error().message);
    return 1;
  }
  bool as_asked = true;
  for (const auto& one : *attached) {
    as_asked = as_asked && one.mode == mode;
    fmt::print("{}: {} in {} mode{}\n", one.interface,
               one.adopted ? "already attached" : "attached", word(one.mode),
               one.dispatched ? ", under libxdp's dispatcher" : "");
  }
  return as_asked ? 0 : 1;
}

namespace {

// What an agent that was killed has left beside the data plane.
void remove_remains() {
  boost::asio::io_context loop;
  Vips vips(loop.get_executor());
  if (const auto removed = vips.remove_all(); !removed) {
    fmt::print(stderr, "xlvs: {}\n", removed.error().message);
  }
  Neighbours neighbours(loop.get_executor(), [] {});
  if (const auto started = neighbours.start(); started) neighbours.watch({});
}

}  // namespace

int detach(const std::string& pins, const std::vector<std::string>& interfaces) {
  // An agent that lost its data plane would tear down its successor's.
  log::start();
  const auto lock = Lock::take(pins);
  if (!lock && lock.error().code == EBUSY) {
    fmt::print(stderr, "xlvs: {}; stop it first\n", lock.error().message);
    return 1;
  }
  const auto detached = data_plane::detach(pins, interfaces);
  if (!detached) {
    fmt::print(stderr, "xlvs: {}\n", detached.error().message);
    return 1;
  }
  if (interfaces.empty()) remove_remains();
  for (const auto& interface : *detached) fmt::print("{}: detached\n", interface);
  if (detached->empty() && interfaces.empty()) fmt::print("xlvs is not attached\n");
  bool all = true;
  for (const auto& interface : interfaces) {
    if (std::find(detached->begin(), detached->end(), interface) != detached->end()) continue;
    fmt::print(stderr, "xlvs: it is not attached to {}\n", interface);
    all = false;
  }
  return all ? 0 : 1;
}

}  // namespace xlvs::cli
