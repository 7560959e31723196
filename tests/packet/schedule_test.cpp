// SPDX-License-Identifier: MIT
// Who serves new flows, in which order.
#include <bpf/bpf.h>
#include <gtest/gtest.h>
#include <sched.h>

#include <array>
#include <map>
#include <ostream>
#include <thread>

#include "loader/state/configuration.h"
#include "loader/state/tables.h"
#include "loader/state/words.h"
#include "tests/packet/cluster.h"
#include "tests/packet/row_name.h"
#include "tests/packet/scheduled.h"

namespace xlvs::test {
namespace {

constexpr uint16_t port = scheduled_port;
constexpr Wire wire{};

// What IPVS itself chose (Linux 6.1 and 6.12) for 30 connections in turn over servers 1, 2, 3,
// added in that order; `!` is refused.
struct SequenceRow {
  const char* name;
  Scheduler scheduler;
  std::vector<uint32_t> weights;  // of servers 1, 2, ...
  Then then;
  const char* chosen;
};

std::ostream& operator<<(std::ostream& out, const SequenceRow& row) { return out << row.name; }

using enum Then;
const std::vector<SequenceRow> sequence_rows = {
    {"rr 1 1", Scheduler::rr, {1, 1}, close, "212121212121212121212121212121"},
    {"rr 1 1 1", Scheduler::rr, {1, 1, 1}, close, "321321321321321321321321321321"},
    {"rr 1 0 1", Scheduler::rr, {1, 0, 1}, close, "313131313131313131313131313131"},
    {"wrr 2 1", Scheduler::wrr, {2, 1}, close, "211211211211211211211211211211"},
    {"wrr 3 2 1", Scheduler::wrr, {3, 2, 1}, close, "321121321121321121321121321121"},
    {"lc 1 1 1 hold", Scheduler::lc, {1, 1, 1}, hold, "321321321321321321321321321321"},
    {"lc 1 1 1 close", Scheduler::lc, {1, 1, 1}, close, "321321321321321321321321321321"},
    {"wlc 2 1", Scheduler::wlc, {2, 1}, hold, "211211211211211211211211211211"},
    {"sed 3 2 1", Scheduler::sed, {3, 2, 1}, hold, "121321121321121321121321121321"},
    {"nq 3 2 1", Scheduler::nq, {3, 2, 1}, hold, "321121121321121321121321121321"},
    {"fo 1 3 2", Scheduler::fo, {1, 3, 2}, close, "222222222222222222222222222222"},
    {"ovf 5 10 7",
     Scheduler::ovf,
     {5, 10, 7},
     hold,
     "222222222223333333311111"
     "1!!!!!"},
};

class Sequences : public testing::TestWithParam<SequenceRow> {};

INSTANTIATE_TEST_SUITE_P(Ipvs, Sequences, testing::ValuesIn(sequence_rows), row_name<SequenceRow>);

// A director with backends 1, 2, 3 whose ids and MACs have these numbers.
Director three_backends() { return director_with(3, Family::v4, {.slots = 65536}); }

char chosen_for(Director& director, uint16_t from) {
  return server_of(director.run(wire.to_vip() / TCP{.sport = from, .dport = port, .syn = true}));
}

char connect(Director& director, uint16_t from, Then then) {
  return connect(director, vip, from, then);
}

TEST_P(Sequences, AreThoseOfIpvs) {
  const SequenceRow& row = GetParam();
  Director director = three_backends();
  schedule_by(director, director.add_service({vip, port}, tcp, {}), {row.scheduler}, row.weights);

  std::string chosen;
  for (uint16_t from = 1; from <= 30; ++from) chosen += connect(director, from, row.then);
  EXPECT_EQ(chosen, row.chosen);
}

// Sources 10.2.0.1 to .30, as IPVS was asked.
TEST(Rings, OfSourcesAreThoseOfIpvs) {
  Director director = three_backends();
  schedule_by(director, director.add_service({vip, port}, tcp, {}), {Scheduler::sh}, {1, 1, 1});

  std::string chosen;
  for (int i = 1; i <= 30; ++i) {
    const Address source = *Address::parse("10.2.0." + std::to_string(i));
    chosen +=
        server_of(director.run(wire.link(client_mac, director_mac) / wire.ip(source, vip, 64) /
                               TCP{.sport = 40000, .dport = port, .syn = true}));
  }
  EXPECT_EQ(chosen, "232121213132323112123312132313");
}

// Vips 10.0.0.101 to .130.
TEST(Rings, OfDestinationsAreThoseOfIpvs) {
  Director director = three_backends();
  std::string chosen;
  for (int i = 101; i <= 130; ++i) {
    const Address there = *Address::parse("10.0.0." + std::to_string(i));
    schedule_by(director, director.add_service({there, port}, tcp, {}), {Scheduler::dh}, {1, 1, 1});
    chosen +=
        server_of(director.run(wire.link(client_mac, director_mac) / wire.ip(client, there, 64) /
                               TCP{.sport = 40000, .dport = port, .syn = true}));
  }
  EXPECT_EQ(chosen, "321232131223131123212121313132");
}

TEST(Schedule, KnownFlowsTakeNoTurn) {
  Director director = three_backends();
  director.add_service({vip, port}, tcp, {3, 2, 1});

  std::string chosen;
  for (const uint16_t from : {uint16_t(1), uint16_t(1), uint16_t(1), uint16_t(2), uint16_t(2)}) {
    chosen += chosen_for(director, from);
  }
  EXPECT_EQ(chosen, "33322");
}

TEST(Schedule, ServicesTakeTurnsOfTheirOwn) {
  Director director = three_backends();
  director.add_service({vip, port}, tcp, {3, 2, 1});
  director.add_service({vip, port + 1}, tcp, {3, 2, 1});

  EXPECT_EQ(chosen_for(director, 1), '3');
  director.run(wire.to_vip() / TCP{.dport = port + 1, .syn = true});
  EXPECT_EQ(chosen_for(director, 2), '2');
}

TEST(Schedule, AnotherTableHoldsFromTheNextFlow) {
  Director director = three_backends();
  const uint32_t service = director.add_service({vip, port}, tcp, {3, 2, 1});
  EXPECT_EQ(chosen_for(director, 1), '3');

  director.set_table(service, {1, 1, 2});
  std::string chosen;
  for (uint16_t from = 2; from <= 7; ++from) chosen += chosen_for(director, from);
  EXPECT_EQ(chosen, "112112");
  EXPECT_EQ(chosen_for(director, 1), '3');  // known

  director.set_table(service, {});
  EXPECT_EQ(chosen_for(director, 8), '!');
  EXPECT_EQ(chosen_for(director, 1), '3');
}

// Full at two, free again below one and a half (three quarters) or below `min`.
TEST(Limits, PassABackendOverWhileItIsFull) {
  for (const Scheduler scheduler : {Scheduler::rr, Scheduler::wrr, Scheduler::wlc, Scheduler::sed,
                                    Scheduler::sh, Scheduler::mh}) {
    Director director = three_backends();
    const uint32_t service = director.add_service({vip, port}, tcp, {});
    schedule_by(director, service, {.scheduler = scheduler}, {1, 1, 1});
    for (const uint32_t id : {1U, 2U, 3U}) director.set_limits(id, 2, 0);
    std::map<char, int> chosen;
    for (uint16_t from = 1; from <= 6; ++from) ++chosen[connect(director, from, hold)];
    EXPECT_EQ(chosen, (std::map<char, int>{{'1', 2}, {'2', 2}, {'3', 2}})) << word(scheduler);
    EXPECT_EQ(chosen_for(director, 7), '!') << word(scheduler);
  }
}

TEST(Limits, LastUntilFewerAreOpen) {
  Director director = three_backends();
  schedule_by(director, director.add_service({vip, port}, tcp, {}), {Scheduler::rr}, {1});
  director.set_limits(1, 4, 2);
  for (uint16_t from = 1; from <= 4; ++from) EXPECT_EQ(connect(director, from, hold), '1');
  EXPECT_EQ(chosen_for(director, 5), '!');
  // What is over leaves the counts with the sweep.
  const auto end = [&](uint16_t from) {
    director.age(key_of({client, from}, {vip, port}), established_timeout);
    director.expire();
  };
  end(1);
  end(2);
  EXPECT_EQ(chosen_for(director, 5), '!');
  end(3);
  EXPECT_EQ(chosen_for(director, 5), '1');
}

TEST(Limits, AreThreeQuartersWithoutAMinimum) {
  Director director = three_backends();
  schedule_by(director, director.add_service({vip, port}, tcp, {}), {Scheduler::rr}, {1});
  director.set_limits(1, 4, 0);
  for (uint16_t from = 1; from <= 4; ++from) EXPECT_EQ(connect(director, from, hold), '1');
  director.age(key_of({client, 1}, {vip, port}), established_timeout);
  director.expire();
  EXPECT_EQ(chosen_for(director, 5), '!');
  director.age(key_of({client, 2}, {vip, port}), established_timeout);
  director.expire();
  EXPECT_EQ(chosen_for(director, 5), '1');
}

TEST(Limits, AreNotLiftedByAFlowsChange) {
  Director director = three_backends();
  schedule_by(director, director.add_service({vip, port}, tcp, {}), {Scheduler::rr}, {1});
  director.set_limits(1, 4, 0);
  for (uint16_t from = 1; from <= 4; ++from) EXPECT_EQ(connect(director, from, hold), '1');
  director.age(key_of({client, 1}, {vip, port}), established_timeout);
  director.expire();
  EXPECT_EQ(chosen_for(director, 5), '!');
  director.run(wire.to_vip() / TCP{.sport = 2, .dport = port, .fin = true, .ack = true});
  EXPECT_EQ(chosen_for(director, 5), '!');
}

// One turn for each flow, and the full one's is passed over.
TEST(Limits, LeaveTheTurnsOfTheOthers) {
  Director director = three_backends();
  schedule_by(director, director.add_service({vip, port}, tcp, {}), {Scheduler::rr}, {1, 1, 1});
  director.set_limits(2, 1, 0);
  std::string chosen;
  for (uint16_t from = 1; from <= 9; ++from) chosen += connect(director, from, hold);
  EXPECT_EQ(chosen, "321313131");
}

// What is open counts, whatever the limit was when it was opened.
TEST(Limits, HoldFromTheirChangeOn) {
  Director director = three_backends();
  schedule_by(director, director.add_service({vip, port}, tcp, {}), {Scheduler::rr}, {1});
  for (uint16_t from = 1; from <= 4; ++from) EXPECT_EQ(connect(director, from, hold), '1');
  director.set_limits(1, 4, 0);
  EXPECT_EQ(chosen_for(director, 5), '!');
  director.set_limits(1, 5, 0);  // four are not fewer than three quarters
  EXPECT_EQ(chosen_for(director, 5), '!');
  director.set_limits(1, 5, 5);
  EXPECT_EQ(chosen_for(director, 5), '1');
}

// Who is refused takes no turn.
TEST(Limits, KeepTheTurnsWhileNobodyCanServe) {
  for (const Scheduler scheduler : {Scheduler::rr, Scheduler::wrr}) {
    Director director = three_backends();
    schedule_by(director, director.add_service({vip, port}, tcp, {}), {scheduler}, {1, 1, 1});
    for (const uint32_t id : {1U, 2U, 3U}) director.set_limits(id, 1, 0);
    std::string chosen;
    for (uint16_t from = 1; from <= 5; ++from) chosen += connect(director, from, hold);
    for (const uint32_t id : {1U, 2U, 3U}) director.set_limits(id, 0, 0);
    for (uint16_t from = 6; from <= 8; ++from) chosen += connect(director, from, hold);
    EXPECT_EQ(chosen, "321!!321") << word(scheduler);
  }
}

TEST(Limits, ThatAreLiftedHoldNoLonger) {
  Director director = three_backends();
  schedule_by(director, director.add_service({vip, port}, tcp, {}), {Scheduler::rr}, {1});
  director.set_limits(1, 1, 0);
  EXPECT_EQ(connect(director, 1, hold), '1');
  EXPECT_EQ(chosen_for(director, 2), '!');
  director.set_limits(1, 0, 0);
  EXPECT_EQ(chosen_for(director, 2), '1');
}

TEST(Limits, OfAStrictRingRefuseItsClientsWhereIpvsDoes) {
  Director director = three_backends();
  const uint32_t service = director.add_service({vip, port}, tcp, {});
  schedule_by(director, service, {Scheduler::sh, HashOf::source_port, true}, {1, 1, 1});
  director.set_limits(2, 1, 0);
  std::map<char, int> chosen;
  for (uint16_t from = 1; from <= 30; ++from) ++chosen[connect(director, from, hold)];
  EXPECT_EQ(chosen['2'], 1);
  EXPECT_GT(chosen['!'], 3);
  EXPECT_EQ(chosen['1'] + chosen['3'] + chosen['!'], 29);
}

// Weight 0 keeps its slots in IPVS's rings; others serve its clients, or nobody does.
TEST(Rings, GiveWhatADrainedBackendHadToOthers) {
  for (const bool strict : {false, true}) {
    for (const Scheduler scheduler : {Scheduler::sh, Scheduler::mh}) {
      Director director = three_backends();
      const uint32_t service = director.add_service({vip, port}, tcp, {});
      const Scheduling scheduling{scheduler, HashOf::source_port, strict};
      auto list = listed({1, 1, 1});
      list[1].weight = 0;  // server 2
      schedule_among(director, service, scheduling, list);
      std::map<char, int> chosen;
      for (uint16_t from = 1; from <= 60; ++from) ++chosen[chosen_for(director, from)];
      EXPECT_EQ(chosen['2'], 0);
      EXPECT_GT(chosen['1'], 9);
      EXPECT_GT(chosen['3'], 9);
      EXPECT_EQ(chosen['!'] > 0, strict) << word(scheduler);
    }
  }
}

// The one that is not full has one turn of 2001, and with Maglev few of the slots.
TEST(LongTables, FindTheOneThatIsNotFull) {
  for (const Scheduler scheduler : {Scheduler::wrr, Scheduler::mh}) {
    Director director(Sizes{.slots = 8192});
    for (uint8_t number = 1; number <= 3; ++number) {
      director.add_backend(
          {.endpoint = {backend_of(Family::v4, number), port}, .mac = backend_mac(number)});
    }
    const uint32_t service = director.add_service({vip, port}, tcp, {});
    schedule_by(director, service, {scheduler, HashOf::five_tuple}, {1000, 1000, 1});
    director.set_limits(1, 1, 0);
    director.set_limits(2, 1, 0);
    director.set_limits(3, 20, 0);
    std::map<char, int> chosen;
    for (uint16_t from = 1; from <= 30; ++from) ++chosen[connect(director, from, hold)];
    EXPECT_EQ(chosen, (std::map<char, int>{{'1', 1}, {'2', 1}, {'3', 20}, {'!', 8}}))
        << word(scheduler);
  }
}

TEST(LongTables, WhereNobodyServesRefuse) {
  Director director = three_backends();
  const uint32_t service = director.add_service({vip, port}, tcp, {});
  auto list = listed({1, 1});
  for (auto& candidate : list) candidate.weight = 0;
  schedule_among(director, service, {Scheduler::mh, HashOf::five_tuple, true}, list);
  schedule_among(director, service, {Scheduler::mh, HashOf::five_tuple}, list);
  director.add_service({vip, port + 1}, tcp, {3});  // its table is behind
  EXPECT_EQ(chosen_for(director, 1), '!');
}

TEST(LongTables, OfAStrictRingRefuse) {
  Director director = three_backends();
  const uint32_t service = director.add_service({vip, port}, tcp, {});
  schedule_by(director, service, {Scheduler::mh, HashOf::five_tuple, true}, {100, 100, 1});
  director.set_limits(1, 1, 0);
  director.set_limits(2, 1, 0);
  std::map<char, int> chosen;
  for (uint16_t from = 1; from <= 60; ++from) ++chosen[connect(director, from, hold)];
  EXPECT_GT(chosen['!'], 50);
}

TEST(Rings, OfMaglevFollowWhatTheyHash) {
  Director director = three_backends();
  const uint32_t service = director.add_service({vip, port}, tcp, {});
  const auto servers = [&](HashOf hash) {
    schedule_by(director, service, {Scheduler::mh, hash}, {1, 1, 1});
    std::map<char, int> chosen;
    for (uint16_t from = 1; from <= 60; ++from) ++chosen[chosen_for(director, from)];
    director.reset();
    return chosen.size();
  };
  EXPECT_EQ(servers(HashOf::source), 1);
  EXPECT_EQ(servers(HashOf::source_port), 3);
  EXPECT_EQ(servers(HashOf::five_tuple), 3);
}

// Two draws by weight and the less loaded of them: with all flows held, shares follow the weights.
TEST(Twos, SharesFollowWeights) {
  Director director = three_backends();
  schedule_by(director, director.add_service({vip, port}, tcp, {}), {Scheduler::twos}, {3, 2, 1});
  std::map<char, int> chosen;
  for (uint16_t from = 1; from <= 600; ++from) ++chosen[connect(director, from, hold)];
  EXPECT_NEAR(chosen['1'], 300, 30);
  EXPECT_NEAR(chosen['2'], 200, 30);
  EXPECT_NEAR(chosen['3'], 100, 30);
}

// Whoever compares looks at all of 1024: all but one have two flows.
class Many : public testing::TestWithParam<Scheduler> {};

INSTANTIATE_TEST_SUITE_P(Schedulers, Many,
                         testing::Values(Scheduler::lc, Scheduler::wlc, Scheduler::sed,
                                         Scheduler::nq, Scheduler::fo, Scheduler::ovf,
                                         Scheduler::lblc, Scheduler::lblcr),
                         [](const auto& row) { return std::string(word(row.param)); });

TEST_P(Many, TheLeastLoadedOf1024IsFound) {
  constexpr uint32_t members = tables::max_compared;
  Director director(Sizes{.backends = members + 1, .slots = 8192});
  for (uint32_t i = 0; i < members; ++i) {
    const auto at = static_cast<uint16_t>(port + i);
    director.add_backend({.endpoint = {backend_of(Family::v4, 1), at}, .mac = backend_mac(1)});
  }
  const uint32_t service = director.add_service({vip, port}, tcp, {});
  uint16_t from = 0;
  for (const uint32_t least : {members, members / 2, 1U}) {
    std::vector<uint32_t> weights(members, 10);
    weights[least - 1] = 11;  // for fo and ovf
    schedule_by(director, service, {GetParam()}, weights);
    for (uint32_t id = 1; id <= members; ++id) {
      director.set_open(id, {.active = id == least ? 0U : 2U});
    }
    const Endpoint here{client, ++from};
    director.forget_held(service, vip);
    chosen_for(director, from);
    const auto record = director.pending(key_of(here, {vip, port}));
    ASSERT_TRUE(record);
    EXPECT_EQ(record->backend, least);
  }
}

// New flows on all CPUs at once, each from a port of its own.
void open_flows(int program, int cpu, uint16_t first, uint16_t count) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  if (sched_setaffinity(0, sizeof(one), &one) != 0) return;
  for (uint16_t i = 0; i < count; ++i) {
    const TCP syn{.sport = static_cast<uint16_t>(first + i), .dport = port, .syn = true};
    Bytes frame = (wire.to_vip() / syn).build();
    LIBBPF_OPTS(bpf_test_run_opts, options);
    options.data_in = frame.data();
    options.data_size_in = static_cast<uint32_t>(frame.size());
    options.repeat = 1;
    bpf_prog_test_run_opts(program, &options);
  }
}

TEST(Schedule, SharesAreExactAcrossCpus) {
  constexpr uint16_t each = 3000;
  Director director = three_backends();
  director.add_service({vip, port}, tcp, {2, 1, 1});
  const int program = director.programs().fd();
  std::vector<std::thread> threads;
  const auto cpus = static_cast<uint16_t>(std::min(4U, std::thread::hardware_concurrency()));
  for (uint16_t cpu = 0; cpu < cpus; ++cpu) {
    threads.emplace_back(open_flows, program, cpu, static_cast<uint16_t>(1 + cpu * each), each);
  }
  for (std::thread& thread : threads) thread.join();

  const uint64_t flows = uint64_t(cpus) * each;
  EXPECT_EQ(director.programs().counters(1).flows, flows * 2 / 3);
  EXPECT_EQ(director.programs().counters(2).flows, flows / 3);
}

}  // namespace
}  // namespace xlvs::test
