// SPDX-License-Identifier: MIT
#include <arpa/inet.h>
#include <gmock/gmock.h>

#include <random>
#include <vector>

#include "loader/plane/index.h"
#include "loader/plane/regions.h"

namespace xlvs {
namespace {

TEST(Regions, never_hands_out_entry_zero) {
  Regions regions(3);
  EXPECT_EQ(regions.take(1), 1);
  EXPECT_EQ(regions.take(1), 2);
  EXPECT_EQ(regions.take(1), std::nullopt);
}

TEST(Regions, hands_out_what_was_released_only_after_a_grace_period) {
  Regions regions(5);
  const auto first = regions.take(4);
  ASSERT_TRUE(first);
  regions.release(*first, 4);
  EXPECT_EQ(regions.take(1), std::nullopt);
  EXPECT_TRUE(regions.has_released());
  regions.settle();
  EXPECT_EQ(regions.take(4), first);
}

TEST(Regions, joins_neighbouring_gaps) {
  Regions regions(10);
  for (int i = 0; i < 9; ++i) ASSERT_TRUE(regions.take(1));
  for (const uint32_t offset : {5U, 3U, 4U, 9U, 1U}) regions.release(offset, 1);
  regions.settle();
  EXPECT_EQ(regions.take(4), std::nullopt);
  EXPECT_EQ(regions.take(3), 3);
}

TEST(Regions, takes_what_an_earlier_agent_holds) {
  Regions regions(100);
  EXPECT_TRUE(regions.take_at(10, 5));
  EXPECT_FALSE(regions.take_at(14, 1));
  EXPECT_FALSE(regions.take_at(98, 5));
  EXPECT_EQ(regions.take(20), 15);
}

TEST(Regions, loses_nothing_in_a_long_life) {
  Regions regions(1000);
  std::mt19937 random(7);
  std::vector<std::pair<uint32_t, uint32_t>> held;
  for (int i = 0; i < 20000; ++i) {
    const auto count = static_cast<uint32_t>(1 + random() % 30);
    if (const auto offset = regions.take(count)) held.emplace_back(*offset, count);
    if (held.size() > 20) {
      std::swap(held.back(), held[random() % held.size()]);
      regions.release(held.back().first, held.back().second);
      held.pop_back();
    }
    regions.settle();
  }
  for (const auto& [offset, count] : held) regions.release(offset, count);
  regions.settle();
  EXPECT_EQ(regions.take(999), 1);
}

endpoint_key key(uint32_t number) {
  return {.address = {.words = {0, 0, htonl(0xffff), htonl(0x0a000000 + number)}},
          .port = 80,
          .protocol = 6,
          .kind = ENDPOINT_SERVICE};
}

TEST(Index, finds_all_at_the_load_it_is_made_for) {
  std::vector<index_bucket> buckets(1024);
  Index index(buckets);
  for (uint32_t i = 1; i <= 1024; ++i) ASSERT_TRUE(index.put(key(i), i)) << i;
  for (uint32_t i = 1; i <= 1024; ++i) EXPECT_EQ(index.find(key(i)), i);
  EXPECT_EQ(index.find(key(5000)), 0);
}

TEST(Index, writes_an_erased_entry_again_only_after_a_grace_period) {
  std::vector<index_bucket> buckets(1);
  Index index(buckets);
  for (uint32_t i = 1; i <= INDEX_WAYS; ++i) ASSERT_TRUE(index.put(key(i), i));
  EXPECT_FALSE(index.put(key(9), 9));
  index.erase(key(2));
  EXPECT_EQ(index.find(key(2)), 0);
  EXPECT_FALSE(index.put(key(9), 9));
  index.settle();
  EXPECT_TRUE(index.put(key(9), 9));
  EXPECT_EQ(index.find(key(9)), 9);
}

TEST(Index, puts_another_word_in_place_of_the_old) {
  std::vector<index_bucket> buckets(1);
  Index index(buckets);
  for (uint32_t i = 1; i <= INDEX_WAYS; ++i) ASSERT_TRUE(index.put(key(i), i));
  ASSERT_TRUE(index.put(key(2), 20));
  EXPECT_EQ(index.find(key(2)), 20);
  EXPECT_EQ(buckets[0].entries[1].word, 20) << "and not in an entry of its own";
}

}  // namespace
}  // namespace xlvs
