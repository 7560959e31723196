// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <span>

#include "bpf/types.h"
#include "loader/base/result.h"

namespace xlvs {

// The writer's side of the index that bpf/service.h reads: two-choice hashing, INDEX_WAYS keys a
// bucket. An entry is published by one 64-bit store of its word; an erased one is written again
// only after settle().
class Index {
 public:
  // `buckets` is the kernel's array itself; its size is a power of two.
  explicit Index(std::span<index_bucket> buckets) : buckets_(buckets) {}

  // The word (not 0) under a key, in place of what was there. Fails if the key is new and both of
  // its buckets are full; at the load the loader sizes it for (a quarter) that does not happen by
  // chance.
  Result<void> put(const endpoint_key& key, uint64_t word);
  // Does nothing if the key is not in.
  void erase(const endpoint_key& key);
  // The word under the key, 0 if there is none.
  [[nodiscard]] uint64_t find(const endpoint_key& key) const;

  void for_each(const std::function<void(const endpoint_key&, uint64_t word)>& visit) const;
  // Erases every key that `wanted` refuses: what an agent that was killed left half-done.
  void erase_unless(const std::function<bool(const endpoint_key&)>& wanted);

  void settle() { erased_.clear(); }
  [[nodiscard]] bool has_erased() const { return !erased_.empty(); }

 private:
  [[nodiscard]] index_entry* entry_of(const endpoint_key& key) const;
  [[nodiscard]] index_entry* free_entry(const endpoint_key& key) const;
  [[nodiscard]] std::span<index_entry> bucket(uint64_t number) const;

  std::span<index_bucket> buckets_;
  std::set<const index_entry*> erased_;
};

}  // namespace xlvs
