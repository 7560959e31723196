// SPDX-License-Identifier: MIT
// Flows that come and go on two CPUs at once: what is counted, and that none is lost.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <functional>
#include <map>
#include <numeric>
#include <random>
#include <thread>

#include "tests/packet/scheduled.h"

namespace xlvs::test {
namespace {

constexpr uint32_t per_cpu = 10'000;
constexpr std::array<uint16_t, 2> cpus = {0, 1};
// One opening of so many is never answered, and stays in pending for as long as it has room.
constexpr uint32_t one_unanswered_of = 4;
constexpr uint32_t unanswered = per_cpu / one_unanswered_of * cpus.size();
// All of them have room, or so few that most are evicted.
constexpr uint32_t plenty = 65536;
constexpr uint32_t scarce = 256;
const std::vector<uint32_t> weights = {3, 2, 1};

bool stay_on(uint16_t cpu) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  return sched_setaffinity(0, sizeof(one), &one) == 0;
}

bool is_answered(uint32_t port) { return port % one_unanswered_of != 0; }

bool run(int program, const Packet& packet) {
  const Bytes frame = packet.build();
  LIBBPF_OPTS(bpf_test_run_opts, options);
  options.data_in = frame.data();
  options.data_size_in = static_cast<uint32_t>(frame.size());
  options.repeat = 1;
  return bpf_prog_test_run_opts(program, &options) == 0;
}

// Each CPU has clients of its own, who use all ports from 1 on.
bool send(int program, uint16_t client_number, uint32_t port, TCP header) {
  header.sport = static_cast<uint16_t>(port + 1);
  header.dport = scheduled_port;
  const Address from = *Address::parse("198.51.100." + std::to_string(client_number + 1));
  const Wire wire;
  return run(program, wire.link(client_mac, director_mac) / wire.ip(from, vip, 64) / header);
}

constexpr TCP syn{.syn = true};
constexpr TCP ack{.ack = true};
constexpr TCP fin{.fin = true, .ack = true};
constexpr TCP reset{.rst = true};

// Opens a CPU's connections one after the other; at random meanwhile some of the last 512 are
// opened again and, where they are answered, confirmed and closed either way, and so are some of
// the other CPU's.
void churn(int program, uint16_t cpu, std::atomic<uint32_t>& failures) {
  if (!stay_on(cpu)) ++failures;
  std::minstd_rand random(cpu + 1);
  const std::array<TCP, 6> then = {ack, ack, fin, reset, syn, ack};
  for (uint32_t port = 0; port < per_cpu; ++port) {
    if (!send(program, cpu, port, syn)) ++failures;
    for (int i = 0; i < 3; ++i) {
      const uint32_t back = static_cast<uint32_t>(random()) % 512;
      const auto whose = static_cast<uint16_t>(random() % 8 == 0 ? 1 - cpu : cpu);
      const uint32_t again = port - std::min(port, back);
      const TCP& next = then.at(random() % then.size());
      if (!send(program, whose, again, is_answered(again) ? next : syn)) ++failures;
    }
  }
}

// Opens, confirms what is answered, and nothing is closed.
void open_and_hold(int program, uint16_t cpu, std::atomic<uint32_t>& failures) {
  if (!stay_on(cpu)) ++failures;
  for (uint32_t port = 0; port < per_cpu; ++port) {
    if (!send(program, cpu, port, syn)) ++failures;
    if (is_answered(port) && !send(program, cpu, port, ack)) ++failures;
  }
}

class Churn : public testing::TestWithParam<uint32_t> {
 public:
  Churn() {
    schedule_by(director, director.add_service({vip, scheduled_port}, tcp, {}), {Scheduler::wlc},
                weights);
  }

  // On both CPUs at once, and sweeps beside them.
  template <typename Story>
  void run_on_both(const Story& story) {
    const int program = director.programs().fd();
    std::atomic<uint32_t> failures = 0;
    std::atomic<bool> over = false;
    std::vector<std::thread> threads;
    threads.reserve(cpus.size());
    for (const uint16_t cpu : cpus) {
      threads.emplace_back([&, cpu] { story(program, cpu, failures); });
    }
    std::thread sweeper([&] {
      while (!over) director.expire();
    });
    for (std::thread& thread : threads) thread.join();
    over = true;
    sweeper.join();
    EXPECT_EQ(failures, 0U);
  }

  // How many of the openings that are never answered are no longer recorded: they do not time out.
  [[nodiscard]] uint32_t evicted() {
    uint32_t left = 0;
    for (const auto& [key, flow] : director.records("pending")) {
      if (!is_answered(key.client_port - 1U)) ++left;
    }
    return unanswered - left;
  }
  void expect_evictions_where_room_is_scarce() {
    if (GetParam() == plenty) {
      EXPECT_EQ(evicted(), 0U);
    } else {
      EXPECT_GT(evicted(), unanswered / 2);
    }
  }

  // After a sweep beside which nothing opens.
  void expect_counts_of_what_is_recorded() {
    director.expire();
    std::map<uint32_t, connections> recorded;
    for (const auto& [key, flow] : director.records("flows")) {
      connections& open = recorded[flow.backend];
      const auto state = flow.state;
      ++(state == FLOW_SYN || state == FLOW_ESTABLISHED ? open.active : open.inactive);
    }
    for (const auto& [key, flow] : director.records("pending")) {
      ++recorded[flow.backend].pending_active;
    }
    for (uint32_t id = 1; id <= weights.size(); ++id) {
      const connections open = director.open(id);
      EXPECT_EQ(open.active, recorded[id].active) << id;
      EXPECT_EQ(open.inactive, recorded[id].inactive) << id;
      EXPECT_EQ(open.pending_active, recorded[id].pending_active) << id;
      EXPECT_EQ(open.pending_inactive, 0U) << id;
    }
  }

  void expect_shares_of_the_weights() {
    const double flows = per_cpu * cpus.size();
    const double sum = std::accumulate(weights.begin(), weights.end(), 0U);
    for (uint32_t id = 1; id <= weights.size(); ++id) {
      const double share = flows * weights[id - 1] / sum;
      EXPECT_NEAR(static_cast<double>(flows_of(id)), share, share * 0.02) << id;
    }
  }

  // All are idle, and one sweep later nothing is counted.
  void expect_none_after_a_sweep() {
    for (const auto state : {FLOW_SYN, FLOW_ESTABLISHED, FLOW_FIN, FLOW_CLOSED}) {
      director.live().timeouts[state] = 0;
    }
    director.expire();
    EXPECT_TRUE(director.records("flows").empty());
    EXPECT_TRUE(director.records("pending").empty());
    for (uint32_t id = 1; id <= weights.size(); ++id) {
      const connections open = director.open(id);
      EXPECT_EQ(open.active, 0U) << id;
      EXPECT_EQ(open.inactive, 0U) << id;
      EXPECT_EQ(open.pending_active, 0U) << id;
      EXPECT_EQ(open.pending_inactive, 0U) << id;
    }
  }

  [[nodiscard]] uint64_t flows_of(uint32_t id) { return director.programs().counters(id).flows; }

  Director director = director_with(3, Family::v4, {.flows = 65536, .pending = GetParam()});
};

INSTANTIATE_TEST_SUITE_P(Pending, Churn, testing::Values(plenty, scarce),
                         [](const auto& row) { return std::to_string(row.param); });

TEST_P(Churn, LeavesNothingCounted) {
  // What is closed is over at once, so that sweeps and packets meet.
  director.live().timeouts[FLOW_FIN] = 1;
  director.live().timeouts[FLOW_CLOSED] = 1;
  run_on_both(churn);
  EXPECT_GE(flows_of(1) + flows_of(2) + flows_of(3), uint64_t{per_cpu} * cpus.size());
  expect_evictions_where_room_is_scarce();
  expect_counts_of_what_is_recorded();
  expect_none_after_a_sweep();
}

TEST_P(Churn, CountsWhatIsHeld) {
  run_on_both(open_and_hold);
  EXPECT_EQ(flows_of(1) + flows_of(2) + flows_of(3), uint64_t{per_cpu} * cpus.size());
  expect_evictions_where_room_is_scarce();
  expect_counts_of_what_is_recorded();
  // What was evicted has counted until the next sweep, and wlc goes by the counts.
  if (GetParam() == plenty) expect_shares_of_the_weights();
  expect_none_after_a_sweep();
}

// ---- one flow on both CPUs ---------------------------------------------------------------------

// Where both CPUs wait for each other, so that they go on at the same moment.
class Meeting {
 public:
  void meet() {
    const uint32_t round = arrived_++ / cpus.size();
    while (arrived_ / cpus.size() == round) sched_yield();
  }

 private:
  std::atomic<uint32_t> arrived_ = 0;
};

// Opens flows by one packet; each CPU has another that follows it, and both come at once.
struct OneFlow {
  std::function<Packet(uint16_t port)> opening;
  std::array<std::function<Packet(uint16_t port)>, 2> then;
};

void run_at_once(int program, const OneFlow& flow) {
  constexpr uint16_t flows = 500;
  Meeting meeting;
  std::atomic<uint32_t> failures = 0;
  std::vector<std::thread> threads;
  threads.reserve(cpus.size());
  for (const uint16_t cpu : cpus) {
    threads.emplace_back([&, cpu] {
      if (!stay_on(cpu)) ++failures;
      for (uint16_t port = 1; port <= flows; ++port) {
        const Packet then = flow.then.at(cpu)(port);
        if (cpu == 0 && !run(program, flow.opening(port))) ++failures;
        meeting.meet();
        if (!run(program, then)) ++failures;
        meeting.meet();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures, 0U);
}

uint64_t times(Director& director, verdict verdict) {
  const auto key = static_cast<uint32_t>(verdict);
  std::vector<counter> by_cpu(static_cast<size_t>(libbpf_num_possible_cpus()));
  EXPECT_EQ(bpf_map_lookup_elem(director.programs().map("verdicts"), &key, by_cpu.data()), 0);
  return std::accumulate(by_cpu.begin(), by_cpu.end(), uint64_t{0},
                         [](uint64_t sum, const counter& one) { return sum + one.packets; });
}

std::function<Packet(uint16_t)> to(uint16_t service, TCP header) {
  return [=](uint16_t port) mutable {
    header.sport = port;
    header.dport = service;
    return Wire{}.to_vip() / header;
  };
}

// It moves from pending to flows between the two lookups of a packet that comes meanwhile.
TEST(AtOnce, APacketFindsAFlowThatAnotherConfirms) {
  Cluster cluster({.flows = 65536, .pending = 65536});
  run_at_once(cluster.director.programs().fd(),
              {.opening = to(dr_port, syn), .then = {to(dr_port, ack), to(dr_port, ack)}});
  EXPECT_EQ(times(cluster.director, REFUSE_NO_FLOW), 0U);
}

TEST(AtOnce, AnAnswerFindsTheWayBackThatAPacketConfirms) {
  Cluster cluster({.flows = 65536, .pending = 65536});
  const auto answer = [](uint16_t port) {
    return Wire{}.from_nat_backend() /
           TCP{.sport = nat_backend_port, .dport = port, .syn = true, .ack = true};
  };
  run_at_once(cluster.director.programs().fd(),
              {.opening = to(nat_port, syn), .then = {to(nat_port, ack), answer}});
  EXPECT_EQ(times(cluster.director, PASS_REPLY_NO_FLOW), 0U);
}

}  // namespace
}  // namespace xlvs::test
