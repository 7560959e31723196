// SPDX-License-Identifier: MIT
#include "loader/plane/regions.h"

#include <iterator>

namespace xlvs {

Regions::Regions(uint32_t size) {
  if (size > 1) gaps_.emplace(1, size - 1);
}

std::optional<uint32_t> Regions::take(uint32_t count) {
  for (const auto& [offset, room] : gaps_) {
    if (room < count) continue;
    const uint32_t taken = offset;
    take_at(taken, count);
    return taken;
  }
  return std::nullopt;
}

bool Regions::take_at(uint32_t offset, uint32_t count) {
  auto gap = gaps_.upper_bound(offset);
  if (gap == gaps_.begin()) return false;
  --gap;
  const auto [start, room] = *gap;
  if (offset + count > start + room) return false;
  gaps_.erase(gap);
  if (start < offset) gaps_.emplace(start, offset - start);
  if (offset + count < start + room) gaps_.emplace(offset + count, start + room - offset - count);
  return true;
}

void Regions::release(uint32_t offset, uint32_t count) { released_.push_back({offset, count}); }

void Regions::settle() {
  for (const auto& region : released_) add_gap(region.offset, region.count);
  released_.clear();
}

void Regions::add_gap(uint32_t offset, uint32_t count) {
  auto next = gaps_.lower_bound(offset);
  if (next != gaps_.end() && next->first == offset + count) {
    count += next->second;
    next = gaps_.erase(next);
  }
  if (next != gaps_.begin()) {
    const auto before = std::prev(next);
    if (before->first + before->second == offset) {
      before->second += count;
      return;
    }
  }
  gaps_.emplace(offset, count);
}

}  // namespace xlvs
