// SPDX-License-Identifier: MIT
// lblc and lblcr: who serves a destination goes on doing so.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <ostream>

#include "loader/state/configuration.h"
#include "loader/state/words.h"
#include "tests/packet/row_name.h"
#include "tests/packet/scheduled.h"

namespace xlvs::test {
namespace {

// Of a second; a day of them is less than the clock's half.
constexpr uint32_t tick = 1000;
constexpr uint32_t a_day = 24 * 3600 * tick;

Address vip_at(Family family, uint32_t number) {
  const std::string prefix = family == Family::v4 ? "192.0.2." : "2001:db8::";
  return *Address::parse(prefix + std::to_string(number));
}

// One service at several vips, and servers of it.
class Destinations {
 public:
  Destinations(Scheduler scheduler, std::vector<uint32_t> weights, Family family = Family::v4)
      : director(director_with(static_cast<uint8_t>(weights.size()), family)),
        family_(family),
        scheduler_(scheduler),
        weights_(std::move(weights)) {
    director.live().second = tick;
    service = director.add_service({vip_at(family, 1), scheduled_port}, tcp, {});
    for (uint32_t number = 2; number <= vip_count; ++number) {
      director.add_endpoint(service, {vip_at(family, number), scheduled_port}, tcp);
    }
    schedule_by(director, service, {.scheduler = scheduler}, weights_);
  }

  // Opens a flow to a vip and holds it: the server's digit, or `!`.
  char connect(uint32_t number) {
    return test::connect(director, vip_at(family_, number), ++port_, Then::hold);
  }
  // The same of each vip in turn.
  std::string connect_all(const std::string& vips) {
    std::string chosen;
    for (const char number : vips) chosen += connect(static_cast<uint32_t>(number - '0'));
    return chosen;
  }

  void set_weight(uint32_t server, uint32_t weight) {
    weights_.at(server - 1) = weight;
    schedule_by(director, service, {.scheduler = scheduler_}, weights_);
  }
  // As the agent does with one that is down or gone.
  void set_state(uint32_t server, backend_state state) {
    director.set_state(server, state);
    auto list = listed(weights_);
    if (state != BACKEND_UP) {
      std::erase_if(list, [&](const auto& candidate) { return candidate.id == server; });
    }
    schedule_among(director, service, {.scheduler = scheduler_}, list);
  }

  // The servers of a vip, those who came last first.
  [[nodiscard]] std::string set_of(uint32_t number) const {
    const auto held = director.held(service, vip_at(family_, number));
    if (!held) return "none";
    std::vector<assigned> set(std::begin(held->backends), std::end(held->backends));
    std::erase_if(set, [](const assigned& one) { return one.backend == 0; });
    std::sort(set.begin(), set.end(),
              [](const assigned& a, const assigned& b) { return a.number > b.number; });
    std::string servers;
    for (const assigned& one : set) servers += static_cast<char>('0' + one.backend);
    return servers;
  }
  // Makes the vip's entry look as if all had happened so many jiffies earlier.
  void age(uint32_t number, uint32_t jiffies) {
    auto held = director.held(service, vip_at(family_, number));
    ASSERT_TRUE(held);
    held->seen -= jiffies;
    held->changed -= jiffies;
    director.put_held(service, vip_at(family_, number), *held);
  }

  static constexpr uint32_t vip_count = 5;
  Director director;
  uint32_t service = 0;

 private:
  Family family_;
  Scheduler scheduler_;
  std::vector<uint32_t> weights_;
  uint16_t port_ = 0;
};

// ---- IPVS's own choices ----

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

// ---- each rule ----

constexpr std::array schedulers = {Scheduler::lblc, Scheduler::lblcr};

class EachScheduler : public testing::TestWithParam<std::tuple<Scheduler, Family>> {
 public:
  [[nodiscard]] static Destinations with(const std::vector<uint32_t>& weights) {
    return {std::get<0>(GetParam()), weights, std::get<1>(GetParam())};
  }
};

INSTANTIATE_TEST_SUITE_P(Destinations, EachScheduler,
                         testing::Combine(testing::ValuesIn(schedulers),
                                          testing::ValuesIn(families)),
                         [](const auto& row) {
                           const std::string scheduler(word(std::get<0>(row.param)));
                           return scheduler + Wire{std::get<1>(row.param)}.text();
                         });

TEST_P(EachScheduler, KeepsADestination) {
  auto destinations = with({100, 100, 100});
  EXPECT_EQ(destinations.connect_all("1111111111"), "3333333333");
  EXPECT_EQ(destinations.set_of(1), "3");
}

TEST_P(EachScheduler, ChoosesForEachDestination) {
  auto destinations = with({100, 100, 100});
  EXPECT_EQ(destinations.connect_all("123412341234"), "321332133213");
}

TEST_P(EachScheduler, ChoosesForEachService) {
  auto destinations = with({100, 100, 100});
  EXPECT_EQ(destinations.connect_all("11"), "33");
  const auto& held = destinations.director;
  EXPECT_TRUE(held.held(destinations.service, vip_at(std::get<1>(GetParam()), 1)));
  EXPECT_FALSE(held.held(destinations.service + 1, vip_at(std::get<1>(GetParam()), 1)));
}

TEST_P(EachScheduler, LeavesWhoIsOverloadedWhileAnotherHasSpare) {
  auto destinations = with({4, 2});
  EXPECT_EQ(destinations.connect_all("1111"), "2221");  // 3 > 2, and 0 * 2 < 4
  EXPECT_EQ(destinations.set_of(1), std::get<0>(GetParam()) == Scheduler::lblc ? "1" : "12");
}

TEST_P(EachScheduler, StaysWhereNobodyHasSpare) {
  auto destinations = with({4, 2});
  EXPECT_EQ(destinations.connect_all("22"), "22");  // 2 is not more than 2
  EXPECT_EQ(destinations.connect_all("3"), "1");
  EXPECT_EQ(destinations.connect_all("3"), "1");
  // 2 * 2 is not less than 4.
  EXPECT_EQ(destinations.connect_all("222"), "222");
  EXPECT_EQ(destinations.set_of(2), "2");
}

TEST_P(EachScheduler, LeavesWhoHasWeightZero) {
  auto destinations = with({100, 100, 100});
  EXPECT_EQ(destinations.connect(1), '3');
  destinations.set_weight(3, 0);
  EXPECT_EQ(destinations.connect_all("11"), "22");
}

TEST_P(EachScheduler, LeavesWhoIsDown) {
  auto destinations = with({100, 100, 100});
  EXPECT_EQ(destinations.connect(1), '3');
  destinations.set_state(3, BACKEND_DOWN);
  EXPECT_EQ(destinations.connect_all("11"), "22");
}

TEST_P(EachScheduler, LeavesWhoIsGone) {
  auto destinations = with({100, 100, 100});
  EXPECT_EQ(destinations.connect(1), '3');
  destinations.set_state(3, BACKEND_GONE);
  EXPECT_EQ(destinations.connect_all("11"), "22");
}

// The entry of one that is gone may be another service's.
TEST_P(EachScheduler, LeavesWhoServesAnotherService) {
  auto destinations = with({100, 100, 100});
  EXPECT_EQ(destinations.connect(1), '3');
  destinations.set_state(3, BACKEND_GONE);
  destinations.director.set_state(3, BACKEND_UP);
  destinations.director.set_service(3, destinations.service + 1);
  EXPECT_EQ(destinations.connect_all("11"), "22");
}

TEST_P(EachScheduler, LeavesWhoIsFull) {
  auto destinations = with({100, 100, 100});
  destinations.director.set_limits(3, 2, 0);
  EXPECT_EQ(destinations.connect_all("1111"), "3322");
  destinations.director.set_limits(3, 0, 0);
  EXPECT_EQ(destinations.connect_all("22"), "11");
}

TEST_P(EachScheduler, IsRefusedWhereNobodyServes) {
  auto destinations = with({100});
  EXPECT_EQ(destinations.connect(1), '1');
  destinations.set_weight(1, 0);
  EXPECT_EQ(destinations.connect(1), '!');
  destinations.set_weight(1, 100);
  EXPECT_EQ(destinations.connect(1), '1');
}

// A fallback is there for as long as nobody else is.
TEST_P(EachScheduler, HoldsNoDestinationForAFallback) {
  auto destinations = with({100, 100});
  const uint32_t fallback =
      destinations.director.add_backend({.endpoint = {backend_of(Family::v4, 9), scheduled_port},
                                         .mac = backend_mac(9),
                                         .fallback = true});
  schedule_among(destinations.director, destinations.service,
                 {.scheduler = std::get<0>(GetParam())},
                 {{.id = fallback, .weight = 1, .share = 1}});
  EXPECT_EQ(destinations.connect(1), '9');
  EXPECT_EQ(destinations.set_of(1), "none");
}

TEST_P(EachScheduler, ChoosesWithoutMemoryWhereThereIsNoRoom) {
  const auto [scheduler, family] = GetParam();
  Director director = director_with(3, family, {.destinations = 1});
  const uint32_t service = director.add_service({vip_at(family, 1), scheduled_port}, tcp, {});
  director.add_endpoint(service, {vip_at(family, 2), scheduled_port}, tcp);
  schedule_by(director, service, {.scheduler = scheduler}, {100, 100, 100});
  uint16_t port = 0;
  const auto connect_to = [&, at = family](uint32_t number) {
    return connect(director, vip_at(at, number), ++port, Then::hold);
  };
  EXPECT_EQ(connect_to(1), '3');
  std::string others;
  for (int i = 0; i < 4; ++i) others += connect_to(2);
  EXPECT_EQ(others, "2132");
  EXPECT_EQ(connect_to(1), '3');
}

// ---- what the sweep takes away ----

TEST_P(EachScheduler, IsForgottenADayAfterItsLastFlow) {
  auto destinations = with({100, 100, 100});
  EXPECT_EQ(destinations.connect_all("12"), "32");
  destinations.age(1, a_day + tick);
  destinations.age(2, a_day - tick);
  destinations.director.expire();
  EXPECT_EQ(destinations.set_of(1), "none");
  EXPECT_EQ(destinations.set_of(2), "2");
}

TEST_P(EachScheduler, IsRememberedADayFromEachFlowOn) {
  auto destinations = with({100, 100, 100});
  EXPECT_EQ(destinations.connect(1), '3');
  destinations.age(1, a_day + tick);
  EXPECT_EQ(destinations.connect(1), '3');
  destinations.director.expire();
  EXPECT_EQ(destinations.set_of(1), "3");
}

TEST_P(EachScheduler, IsForgottenWithItsBackends) {
  auto destinations = with({100, 100, 100});
  EXPECT_EQ(destinations.connect_all("12"), "32");
  destinations.director.set_state(3, BACKEND_GONE);
  destinations.director.expire();
  EXPECT_EQ(destinations.set_of(1), "none");
  EXPECT_EQ(destinations.set_of(2), "2");
  destinations.director.set_service(2, 0);
  destinations.director.expire();
  EXPECT_EQ(destinations.set_of(2), "none");
}

// It has no backend yet, and whoever makes it goes on to give it one.
TEST_P(EachScheduler, IsNotForgottenWhileItIsMade) {
  auto destinations = with({100, 100, 100});
  destinations.director.put_held(destinations.service, vip_at(std::get<1>(GetParam()), 1), {});
  destinations.director.expire();
  EXPECT_EQ(destinations.set_of(1), "");
}

// ---- lblcr's sets ----

TEST(Sets, ServeByTheLeastLoadedOfThem) {
  Destinations destinations(Scheduler::lblcr, {2, 2, 2});
  EXPECT_EQ(destinations.connect_all("111111111"), "333222111");
  EXPECT_EQ(destinations.set_of(1), "123");
  // Nobody has spare now: who came last is the first of equals.
  EXPECT_EQ(destinations.connect_all("111111"), "123123");
}

TEST(Sets, LoseTheMostLoadedOnceADay) {
  Destinations destinations(Scheduler::lblcr, {9, 2, 2});
  EXPECT_EQ(destinations.connect_all("1111111"), "3332221");
  EXPECT_EQ(destinations.set_of(1), "123");
  destinations.age(1, a_day - tick);
  destinations.connect(1);
  EXPECT_EQ(destinations.set_of(1), "123");
  destinations.age(1, 2 * tick);
  destinations.connect(1);
  EXPECT_EQ(destinations.set_of(1), "13");  // of equals the one that came last
  destinations.connect(1);
  EXPECT_EQ(destinations.set_of(1), "13");
  destinations.age(1, a_day + tick);
  destinations.connect(1);
  EXPECT_EQ(destinations.set_of(1), "1");
  destinations.age(1, a_day + tick);
  destinations.connect(1);
  EXPECT_EQ(destinations.set_of(1), "1");
}

TEST(Sets, LoseTheMostLoadedAlsoWhereItIsDown) {
  Destinations destinations(Scheduler::lblcr, {9, 2, 2});
  EXPECT_EQ(destinations.connect_all("1111111"), "3332221");
  destinations.set_state(2, BACKEND_DOWN);
  destinations.age(1, a_day + tick);
  EXPECT_EQ(destinations.connect(1), '1');
  EXPECT_EQ(destinations.set_of(1), "13");
}

TEST(Sets, KeepWhoHasWeightZero) {
  Destinations destinations(Scheduler::lblcr, {9, 2, 2});
  EXPECT_EQ(destinations.connect_all("1111111"), "3332221");
  destinations.set_weight(2, 0);
  destinations.set_weight(3, 0);
  destinations.age(1, a_day + tick);
  EXPECT_EQ(destinations.connect(1), '1');
  EXPECT_EQ(destinations.set_of(1), "23");
  EXPECT_EQ(destinations.connect(1), '1');
  EXPECT_EQ(destinations.set_of(1), "123");
}

// A place that was left is taken again, and order is still by who came.
TEST(Sets, FillThePlacesOfThoseWhoLeft) {
  Destinations destinations(Scheduler::lblcr, {2, 2, 2});
  EXPECT_EQ(destinations.connect_all("111111111"), "333222111");
  destinations.director.set_state(3, BACKEND_GONE);
  destinations.director.expire();
  EXPECT_EQ(destinations.set_of(1), "12");
  destinations.director.set_state(3, BACKEND_UP);
  for (const auto& [key, record] : destinations.director.records("flows")) {
    if (record.backend == 3) destinations.director.age(key, established_timeout);
  }
  destinations.director.expire();
  EXPECT_EQ(destinations.connect(1), '3');
  EXPECT_EQ(destinations.set_of(1), "312");
}

// The next one serves its flow and is not remembered.
TEST(Sets, HaveAtMost64) {
  constexpr uint8_t servers = 70;
  const std::vector<uint32_t> weights(servers, 1);
  Director director =
      director_with(servers, Family::v4, {.flows = 4096, .pending = 4096, .backends = 128});
  const uint32_t service = director.add_service({vip, scheduled_port}, tcp, {});
  schedule_by(director, service, {.scheduler = Scheduler::lblcr}, weights);
  // Each takes two flows and is overloaded then; the last six are asked anew for each flow.
  for (uint16_t port = 1; port <= 2 * DESTINATION_BACKENDS + 6; ++port) {
    connect(director, vip, port, Then::hold);
  }
  const auto held = director.held(service, vip);
  ASSERT_TRUE(held);
  for (uint32_t id = 1; id <= servers; ++id) {
    const bool is_held = std::any_of(std::begin(held->backends), std::end(held->backends),
                                     [=](const assigned& one) { return one.backend == id; });
    EXPECT_EQ(is_held, id > 6) << id;
    EXPECT_EQ(director.open(id).active, id > 6 ? 2 : 1) << id;
  }
}

}  // namespace
}  // namespace xlvs::test
