// SPDX-License-Identifier: MIT
#include "loader/base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>

#include <cstdlib>

namespace xlvs::log {

void start() {
  spdlog::set_default_logger(spdlog::stderr_color_mt("xlvs"));
  const bool journal = std::getenv("JOURNAL_STREAM") != nullptr;  // NOLINT(concurrency-mt-unsafe)
  spdlog::set_pattern(journal ? "%^%l%$: %v" : "%Y-%m-%d %H:%M:%S.%e %^%l%$: %v");
  spdlog::flush_on(spdlog::level::info);
}

}  // namespace xlvs::log
