// SPDX-License-Identifier: MIT
#include "loader/plane/index.h"

#include <array>
#include <atomic>
#include <cstring>

namespace xlvs {

namespace {

uint64_t load(const index_entry& entry) {
  return std::atomic_ref(const_cast<__u64&>(entry.word)).load(std::memory_order_acquire);
}

void publish(index_entry& entry, uint64_t word) {
  std::atomic_ref(entry.word).store(word, std::memory_order_release);
}

bool same(const endpoint_key& a, const endpoint_key& b) {
  return std::memcmp(&a, &b, sizeof a) == 0;
}

}  // namespace

std::span<index_entry> Index::bucket(uint64_t number) const {
  return buckets_[number & (buckets_.size() - 1)].entries;
}

index_entry* Index::entry_of(const endpoint_key& key) const {
  const uint64_t hash = endpoint_hash(&key);
  for (const uint64_t number : {hash, hash >> 32}) {
    for (auto& entry : bucket(number)) {
      if (load(entry) != 0 && same(entry.key, key)) return &entry;
    }
  }
  return nullptr;
}

index_entry* Index::free_entry(const endpoint_key& key) const {
  const uint64_t hash = endpoint_hash(&key);
  // The first bucket before the second: packets look there first.
  for (const uint64_t number : {hash, hash >> 32}) {
    for (auto& entry : bucket(number)) {
      if (load(entry) == 0 && !erased_.contains(&entry)) return &entry;
    }
  }
  return nullptr;
}

Result<void> Index::put(const endpoint_key& key, uint64_t word) {
  index_entry* entry = entry_of(key);
  if (entry == nullptr) {
    entry = free_entry(key);
    if (entry == nullptr) return Error{"the index has no room for one more service or NAT backend"};
    entry->key = key;
  }
  publish(*entry, word);
  return {};
}

void Index::erase(const endpoint_key& key) {
  index_entry* entry = entry_of(key);
  if (entry == nullptr) return;
  publish(*entry, 0);
  erased_.insert(entry);
}

void Index::for_each(const std::function<void(const endpoint_key&, uint64_t word)>& visit) const {
  for (const auto& one : buckets_) {
    for (const auto& entry : one.entries) {
      if (const uint64_t word = load(entry); word != 0) visit(entry.key, word);
    }
  }
}

void Index::erase_unless(const std::function<bool(const endpoint_key&)>& wanted) {
  for_each([&](const endpoint_key& key, uint64_t) {
    if (!wanted(key)) erase(endpoint_key(key));
  });
}

uint64_t Index::find(const endpoint_key& key) const {
  const index_entry* entry = entry_of(key);
  return entry == nullptr ? 0 : load(*entry);
}

}  // namespace xlvs
