// SPDX-License-Identifier: MIT
#pragma once

#include <spdlog/spdlog.h>

namespace xlvs::log {

// One complete line per event on stderr; with a time stamp only where nobody else adds one (a
// terminal, a file, but not systemd's journal, which sets JOURNAL_STREAM).
void start();

}  // namespace xlvs::log
