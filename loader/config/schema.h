// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

namespace xlvs::config {

// configs/xlvs.schema.json as it was when the program was built.
std::string_view schema_text();

}  // namespace xlvs::config
