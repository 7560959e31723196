// SPDX-License-Identifier: MIT
#include "loader/config/problem.h"

namespace xlvs::config {

std::string Problem::text(const std::string& file) const {
  std::string text = file;
  if (line > 0) text += ":" + std::to_string(line) + ":" + std::to_string(column);
  if (!key.empty()) text += ": " + key;
  text += ": " + message;
  if (!suggestion.empty()) text += "; " + suggestion;
  return text;
}

}  // namespace xlvs::config
