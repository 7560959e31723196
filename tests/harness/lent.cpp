// SPDX-License-Identifier: MIT
#include "tests/harness/lent.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace xlvs::test {
namespace {

// Those that nobody uses.
std::vector<std::unique_ptr<Programs>>& shelf() {
  static std::vector<std::unique_ptr<Programs>> idle;
  return idle;
}

}  // namespace

void GiveBack::operator()(Programs* programs) const { shelf().emplace_back(programs); }

Result<Lent> lend(const Sizes& sizes) {
  const auto found = std::ranges::find_if(
      shelf(), [&](const auto& programs) { return programs->sizes() == sizes; });
  if (found == shelf().end()) {
    auto loaded = Programs::load(sizes);
    if (!loaded) return loaded.error();
    return Lent(std::make_unique<Programs>(*std::move(loaded)).release());
  }
  Lent lent(found->release());
  shelf().erase(found);
  if (auto wiped = lent->wipe(); !wiped) return wiped.error();
  return lent;
}

}  // namespace xlvs::test
