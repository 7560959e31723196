// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

namespace xlvs {

// A configuration with one thing wrong.
struct Malformed {
  std::string name;  // what is wrong and where: "services.0.port.too_large"; fit for a file name
  std::string text;
};

// Walks the schema over configs/reference.json and makes each key wrong in turn: another type, out
// of range, misspelt, missing, twice, unknown ...; and cuts the text short at many places. None of
// them needs a name to be resolved.
std::vector<Malformed> malformed_configurations();

// A file of the folder configs/.
std::string configuration_text(const std::string& file);

}  // namespace xlvs
