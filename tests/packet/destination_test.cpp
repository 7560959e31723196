// SPDX-License-Identifier: MIT
// lblc and lblcr choose as IPVS does.
#include <map>
#include <ostream>

#include "tests/packet/destinations.h"
#include "tests/packet/row_name.h"

namespace xlvs::test {
namespace {

// What IPVS itself chose (Linux 6.1 and 6.12) for held connections to the destinations of a fwmark
// service, over servers 1, 2, 3, added in that order.
struct DestinationRow {
  const char* name;
  Scheduler scheduler;
  std::vector<uint32_t> weights;  // of servers 1, 2, ...
  const char* vips;               // of the connections in turn; again from the start when used up
  const char* chosen;
};

std::ostream& operator<<(std::ostream& out, const DestinationRow& row) { return out << row.name; }

const std::vector<DestinationRow> destination_rows = {
    {"lblc 1 1 1", Scheduler::lblc, {1, 1, 1}, "1", "332211111111111111111111111111"},
    {"lblc 3 2 1", Scheduler::lblc, {3, 2, 1}, "1", "332221111111111111111111111111"},
    {"lblc 5 1 3", Scheduler::lblc, {5, 1, 3}, "1", "333322111111111111111111111111"},
    {"lblc 1 1 1 of three", Scheduler::lblc, {1, 1, 1}, "123", "321321321321321321321321321321"},
    {"lblc 3 2 1 of three", Scheduler::lblc, {3, 2, 1}, "123", "321321321321321321321321321321"},
    {"lblc 5 1 3 of three", Scheduler::lblc, {5, 1, 3}, "123", "321321311311311311311311311311"},
    {"lblc 8 8 8 uneven", Scheduler::lblc, {8, 8, 8}, "111123", "333321333321322221222121111121"},
    {"lblc 6 4 2 uneven", Scheduler::lblc, {6, 4, 2}, "1121231", "332321111212111121211112121111"},
    {"lblcr 1 1 1", Scheduler::lblcr, {1, 1, 1}, "1", "332211123123123123123123123123"},
    {"lblcr 3 2 1", Scheduler::lblcr, {3, 2, 1}, "1", "332221111121123121123121123121"},
    {"lblcr 5 1 3", Scheduler::lblcr, {5, 1, 3}, "1", "333322111111131131123131131123"},
    {"lblcr 1 1 1 of three", Scheduler::lblcr, {1, 1, 1}, "123", "321321321321321321321321321321"},
    {"lblcr 3 2 1 of three", Scheduler::lblcr, {3, 2, 1}, "123", "321321321321321321321321321321"},
    {"lblcr 5 1 3 of three", Scheduler::lblcr, {5, 1, 3}, "123", "321321311311311311311321311311"},
    {"lblcr 8 8 8 uneven", Scheduler::lblcr, {8, 8, 8}, "111123", "333321333321322221222121111121"},
    {"lblcr 6 4 2 uneven",
     Scheduler::lblcr,
     {6, 4, 2},
     "1121231",
     "332321111212111121213112321113"},
};

class DestinationSequences : public testing::TestWithParam<DestinationRow> {};

INSTANTIATE_TEST_SUITE_P(Ipvs, DestinationSequences, testing::ValuesIn(destination_rows),
                         row_name<DestinationRow>);

TEST_P(DestinationSequences, AreThoseOfIpvs) {
  const DestinationRow& row = GetParam();
  for (const Family family : families) {
    Destinations destinations(row.scheduler, row.weights, family);
    std::string vips;
    while (vips.size() < 30) vips += row.vips;
    EXPECT_EQ(destinations.connect_all(vips.substr(0, 30)), row.chosen);
  }
}

// What happens before a connection, the first being 0.
enum class Event : uint8_t { weight_0, removed, back, day };

// Server 3 changes, or a day (there: the seconds of lblcr_expiration) passes without a change.
struct StoryRow {
  const char* name;
  Scheduler scheduler;
  std::vector<uint32_t> weights;
  const char* vips;
  std::map<uint32_t, Event> events;
  const char* chosen;
};

std::ostream& operator<<(std::ostream& out, const StoryRow& row) { return out << row.name; }

using enum Event;
const std::vector<StoryRow> story_rows = {
    {"lblc weight 0",
     Scheduler::lblc,
     {20, 20, 20},
     "12",
     {{10, weight_0}},
     "323232323212121212121212121212"},
    {"lblc weight 0 and back",
     Scheduler::lblc,
     {20, 20, 20},
     "12",
     {{10, weight_0}, {20, back}},
     "323232323212121212121212121212"},
    {"lblc removed and back",
     Scheduler::lblc,
     {20, 20, 20},
     "12",
     {{10, removed}, {20, back}},
     "323232323212121212121212121212"},
    {"lblcr weight 0",
     Scheduler::lblcr,
     {20, 20, 20},
     "12",
     {{10, weight_0}},
     "323232323212121212121212121212"},
    {"lblcr weight 0 and back",
     Scheduler::lblcr,
     {20, 20, 20},
     "12",
     {{10, weight_0}, {20, back}},
     "323232323212121212121232123212"},
    {"lblcr removed and back",
     Scheduler::lblcr,
     {20, 20, 20},
     "12",
     {{10, removed}, {20, back}},
     "323232323212121212121232123212"},
    {"lblcr 2 2 2 days",
     Scheduler::lblcr,
     {2, 2, 2},
     "1",
     {{15, day}, {20, day}, {25, day}},
     "333222111123123123232333333333"},
    {"lblcr 6 4 2 days",
     Scheduler::lblcr,
     {6, 4, 2},
     "12",
     {{12, day}, {20, day}, {25, day}},
     "323232121212121212121212121212"},
    {"lblcr 3 2 1 days",
     Scheduler::lblcr,
     {3, 2, 1},
     "1",
     {{10, day}, {11, day}, {12, day}, {13, day}},
     "332221111121111111111111111111"},
};

class DestinationStories : public testing::TestWithParam<StoryRow> {};

INSTANTIATE_TEST_SUITE_P(Ipvs, DestinationStories, testing::ValuesIn(story_rows),
                         row_name<StoryRow>);

void happen(Destinations& destinations, const StoryRow& row, Event event) {
  switch (event) {
    case weight_0:
      return destinations.set_weight(3, 0);
    case removed:
      return destinations.set_state(3, BACKEND_DRAINING);
    case back:
      destinations.set_state(3, BACKEND_UP);
      return destinations.set_weight(3, row.weights[2]);
    case day:
      for (const char number : std::string(row.vips)) {
        destinations.age(static_cast<uint32_t>(number - '0'), a_day + tick);
      }
  }
}

TEST_P(DestinationStories, AreThoseOfIpvs) {
  const StoryRow& row = GetParam();
  Destinations destinations(row.scheduler, row.weights);
  const std::string vips = row.vips;
  std::string chosen;
  for (uint32_t i = 0; i < 30; ++i) {
    if (const auto event = row.events.find(i); event != row.events.end()) {
      happen(destinations, row, event->second);
    }
    chosen += destinations.connect(static_cast<uint32_t>(vips[i % vips.size()] - '0'));
  }
  EXPECT_EQ(chosen, row.chosen);
}

}  // namespace
}  // namespace xlvs::test
