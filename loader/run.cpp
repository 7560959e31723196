// SPDX-License-Identifier: MIT
#include "loader/run.h"

#include "loader/agent.h"
#include "loader/base/log.h"
#include "loader/config/config.h"

namespace xlvs {

int run(const std::string& file, const std::string& pins, bool verbose) {
  log::start();
  if (verbose) spdlog::set_level(spdlog::level::debug);
  auto loaded = config::load_file(file);
  for (const auto& error : loaded.errors) spdlog::error("{}", error.text(file));
  if (!loaded.configuration) return 2;

  boost::asio::io_context loop;
  Agent agent(loop, file, pins);
  if (const auto started = agent.start(std::move(loaded)); !started) {
    spdlog::error("{}", started.error().message);
    return 1;
  }
  loop.run();
  if (const auto stopped = agent.stop(); !stopped) {
    spdlog::error("{}", stopped.error().message);
    return 1;
  }
  return 0;
}

}  // namespace xlvs
