// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>

namespace xlvs::config {

// Why a text is not JSON.
struct SyntaxFault {
  size_t offset;  // of the first byte that is wrong; at most the text's size
  std::string message;
  std::string suggestion;
};

// `end` is where the last good token ends, `read` how many bytes the parser had read, `explained`
// the message of nlohmann's exception.
SyntaxFault explain_syntax(const std::string& text, size_t end, size_t read,
                           const std::string& explained);

}  // namespace xlvs::config
