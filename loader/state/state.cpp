// SPDX-License-Identifier: MIT
#include "loader/state/state.h"

#include <algorithm>

#include "loader/state/words.h"

namespace xlvs {

std::string ServiceKey::address_text() const {
  return vip.text() + (last_port == 0 ? "" : "-" + std::to_string(last_port));
}

std::string ServiceKey::text() const { return std::string(word(protocol)) + " " + address_text(); }

Endpoint shown(const Endpoint& backend, uint16_t service_port) {
  return {backend.address, backend.port == 0 ? service_port : backend.port};
}

std::string shown_text(const Endpoint& backend, uint16_t service_port) {
  const Endpoint seen = shown(backend, service_port);
  return seen.port == 0 ? seen.address.text() : seen.text();
}

const BackendEntry* ServiceEntry::find(const BackendKey& wanted) const {
  const auto found = std::find_if(backends.begin(), backends.end(),
                                  [&](const BackendEntry& entry) { return entry.key == wanted; });
  return found == backends.end() ? nullptr : &*found;
}

void sort_by_position(std::vector<BackendEntry>& backends) {
  std::stable_sort(
      backends.begin(), backends.end(),
      [](const BackendEntry& a, const BackendEntry& b) { return a.position < b.position; });
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
    // Where the fallback serves, it is all of a ring.
    list.push_back(
        {entry->key, serves ? entry->weight : 0, any || entry->key.fallback ? entry->weight : 0});
  }
  return list;
}

ServiceEntry whole(ServiceEntry service) {
  uint32_t position = 0;
  for (auto& backend : service.backends) backend.position = position++;
  service.table = members(service);
  service.open.insert(service.key);
  return service;
}

const ServiceKey& service_of(const Change& change) {
  return std::visit(
      [](const auto& one) -> const ServiceKey& {
        if constexpr (requires { one.service; }) {
          return one.service;
        } else {
          return one.key;
        }
      },
      change);
}

}  // namespace xlvs
