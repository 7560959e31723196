// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <bit>

#include "bpf/types.h"

namespace xlvs {

// What packets read while it may change is stored at once (bpf/types.h, Publishing).
template <typename T>
void publish(T& where, T value) {
  std::atomic_ref(where).store(value, std::memory_order_release);
}

// Where the service's table is now.
inline table_region region_of(const ::service& service) {
  return std::bit_cast<table_region>(std::atomic_ref(const_cast<__u64&>(service.table)).load());
}

}  // namespace xlvs
