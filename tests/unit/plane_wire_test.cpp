// SPDX-License-Identifier: MIT
// Tables as the data plane reads them.
#include <gmock/gmock.h>

#include "loader/plane/wire.h"

namespace xlvs {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr Scheduling mh{.scheduler = Scheduler::mh, .slots = 509};

std::vector<tables::Candidate> two(uint32_t weight) {
  return {{.id = 7, .weight = weight, .share = 1, .seed = 1},
          {.id = 8, .weight = weight, .share = 1, .seed = 2}};
}

std::vector<slot> slots_of(const Scheduling& scheduling, uint32_t weight) {
  return wire::to_wire(tables::make(scheduling, two(weight), {}));
}

TEST(WireTable, of_many_slots_has_its_members_behind) {
  const auto slots = slots_of(mh, 1);
  ASSERT_THAT(slots, SizeIs(1 + 509 + 1 + 2));
  EXPECT_EQ(slots[510].members, 2U);
  EXPECT_EQ(slots[511].backend, 7U);
  EXPECT_EQ(slots[512].backend, 8U);
}

// Else the data plane would take what is behind it for their number.
TEST(WireTable, of_many_slots_says_that_nobody_serves) {
  const auto slots = slots_of(mh, 0);
  ASSERT_THAT(slots, SizeIs(1 + 509 + 1));
  EXPECT_EQ(slots[510].members, 0U);
}

TEST(WireTable, of_few_slots_or_to_be_compared_ends_with_them) {
  EXPECT_THAT(slots_of({.scheduler = Scheduler::mh, .slots = 251}, 1), SizeIs(1 + 251));
  EXPECT_THAT(slots_of({.scheduler = Scheduler::sh}, 1), SizeIs(1 + 256));
  EXPECT_THAT(slots_of({.scheduler = Scheduler::wlc}, 1), SizeIs(1 + 2));
  EXPECT_THAT(slots_of({.scheduler = Scheduler::wlc}, 0), IsEmpty());
}

}  // namespace
}  // namespace xlvs
