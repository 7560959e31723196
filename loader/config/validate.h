// SPDX-License-Identifier: MIT
#pragma once

#include <vector>

#include "loader/config/document.h"

namespace xlvs::config {

// What the schema has against the document. Each value that is wrong is taken out of the document,
// and so is each service, backend or fallback that is wrong in itself (null takes the place), so
// that what is left can be compiled, and no further error is only a consequence of these.
std::vector<Problem> validate(Document& document);

}  // namespace xlvs::config
