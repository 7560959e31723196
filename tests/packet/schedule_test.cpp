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
#include "tests/packet/cluster.h"
#include "tests/packet/row_name.h"

namespace xlvs::test {
namespace {

constexpr uint16_t port = 9000;
constexpr Wire wire{};

// What IPVS itself chose (Linux 6.1 and 6.12) for 30 connections in turn over servers 1, 2, 3,
// added in that order.
struct SequenceRow {
  const char* name;
  Scheduler scheduler;
  std::vector<uint32_t> weights;  // of servers 1, 2, ...
  const char* chosen;
};

std::ostream& operator<<(std::ostream& out, const SequenceRow& row) { return out << row.name; }

const std::vector<SequenceRow> sequence_rows = {
    {"rr 1 1", Scheduler::rr, {1, 1}, "212121212121212121212121212121"},
    {"rr 1 1 1", Scheduler::rr, {1, 1, 1}, "321321321321321321321321321321"},
    {"rr 1 0 1", Scheduler::rr, {1, 0, 1}, "313131313131313131313131313131"},
    {"wrr 2 1", Scheduler::wrr, {2, 1}, "211211211211211211211211211211"},
    {"wrr 3 2 1", Scheduler::wrr, {3, 2, 1}, "321121321121321121321121321121"},
};

class Sequences : public testing::TestWithParam<SequenceRow> {};

INSTANTIATE_TEST_SUITE_P(Ipvs, Sequences, testing::ValuesIn(sequence_rows), row_name<SequenceRow>);

// IPVS puts a new server at its list's head, so the list is the other way round.
std::vector<uint32_t> table_of(const SequenceRow& row) {
  std::vector<tables::Candidate> list;
  for (auto id = static_cast<uint32_t>(row.weights.size()); id > 0; --id) {
    list.push_back({.id = id, .weight = row.weights[id - 1]});
  }
  if (row.scheduler == Scheduler::rr) return tables::rr(list, 0, {});
  return tables::wrr(list, tables::wrr_first_level(list)).slots;
}

// A director with backends 1, 2, 3 whose ids and MACs have these numbers.
Director three_backends() {
  Director director;
  for (const uint8_t number : {uint8_t(1), uint8_t(2), uint8_t(3)}) {
    director.add_backend(
        {.endpoint = {backend_of(Family::v4, number), port}, .mac = backend_mac(number)});
  }
  return director;
}

char chosen_for(Director& director, uint16_t from) {
  const Outcome outcome =
      director.run(wire.to_vip() / TCP{.sport = from, .dport = port, .syn = true});
  return outcome.verdict == FORWARD_DR ? static_cast<char>('0' + outcome.frame.at(5) - 0x80) : '!';
}

TEST_P(Sequences, AreThoseOfIpvs) {
  Director director = three_backends();
  director.add_service({vip, port}, tcp, table_of(GetParam()));

  std::string chosen;
  for (uint16_t from = 1; from <= 30; ++from) chosen += chosen_for(director, from);
  EXPECT_EQ(chosen, GetParam().chosen);
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
