// SPDX-License-Identifier: MIT
#pragma once

#include "loader/config/document.h"
#include "loader/config/node.h"
#include "loader/config/resolve.h"
#include "loader/state/configuration.h"

namespace xlvs::config {

// A validated document with every default filled in. What the schema cannot say (addresses, what
// must be the same and what must not) goes to the report; with an error there the configuration
// returned is not whole.
Configuration compile(const Document& document, const Resolver& resolver, Report& report);

}  // namespace xlvs::config
