// SPDX-License-Identifier: MIT
#include "loader/state/state.h"

#include <algorithm>

namespace xlvs {

std::string ServiceKey::text() const {
  return (protocol == Protocol::tcp ? "tcp " : "udp ") + vip.text();
}

const BackendEntry* ServiceEntry::find(const BackendKey& wanted) const {
  const auto found = std::find_if(backends.begin(), backends.end(),
                                  [&](const BackendEntry& entry) { return entry.key == wanted; });
  return found == backends.end() ? nullptr : &*found;
}

std::vector<Member> members(const ServiceEntry& service) {
  const bool any = std::any_of(
      service.backends.begin(), service.backends.end(),
      [](const BackendEntry& entry) { return !entry.key.fallback && entry.can_serve(); });
  std::vector<Member> list;
  for (auto entry = service.backends.rbegin(); entry != service.backends.rend(); ++entry) {
    if (entry->state == BackendState::gone) continue;
    const bool serves = entry->can_serve() && entry->key.fallback != any;
    if (entry->key.fallback && !serves) continue;
    list.push_back({entry->key, serves ? entry->weight : 0});
  }
  return list;
}

}  // namespace xlvs
