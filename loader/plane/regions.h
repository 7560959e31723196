// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

namespace xlvs {

// Which entries of a kernel array are taken. What is released may still be in a packet's hands: it
// can be taken again only after settle(), which the owner calls when a grace period has passed
// since the release.
class Regions {
 public:
  // Entries 1 to size - 1; entry 0 stays unused, so that id 0 is nobody.
  explicit Regions(uint32_t size);

  // `count` entries in a row, or nothing if there is no such gap.
  std::optional<uint32_t> take(uint32_t count);
  // Takes these very entries, which must be free; false if they are not.
  bool take_at(uint32_t offset, uint32_t count);
  void release(uint32_t offset, uint32_t count);
  void settle();
  [[nodiscard]] bool has_released() const { return !released_.empty(); }

 private:
  struct Released {
    uint32_t offset;
    uint32_t count;
  };
  void add_gap(uint32_t offset, uint32_t count);

  std::map<uint32_t, uint32_t> gaps_;  // offset -> count, never adjacent
  std::vector<Released> released_;
};

}  // namespace xlvs
