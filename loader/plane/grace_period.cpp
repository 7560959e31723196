// SPDX-License-Identifier: MIT
#include "loader/plane/grace_period.h"

#include <bpf/bpf.h>

#include <cstdint>

namespace xlvs {

Result<GracePeriod> GracePeriod::make() {
  constexpr uint32_t word = sizeof(uint32_t);
  Fd inner{bpf_map_create(BPF_MAP_TYPE_ARRAY, "xlvs_inner", word, word, 1, nullptr)};
  if (!inner) return Error::from_errno("make a map to wait with");
  bpf_map_create_opts options{};
  options.sz = sizeof options;
  options.inner_map_fd = static_cast<uint32_t>(inner.get());
  Fd outer{bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "xlvs_grace", word, word, 1, &options)};
  if (!outer) return Error::from_errno("make a map of maps to wait with");
  return GracePeriod(std::move(inner), std::move(outer));
}

Result<void> GracePeriod::wait() {
  const uint32_t key = 0;
  const int value = inner_.get();
  if (bpf_map_update_elem(outer_.get(), &key, &value, BPF_ANY) != 0) {
    return Error::from_errno("wait for a grace period");
  }
  return {};
}

}  // namespace xlvs
