// SPDX-License-Identifier: MIT
// Nanoseconds per packet, by BPF_PROG_TEST_RUN, over the floors of the same run: a program that
// only drops, and one that swaps the MAC addresses and sends. Cases take turns in rounds, so that a
// noisy machine is noisy for all; the figures are medians. What is to cost the same as another case
// says how many times as much it costs, over the floor of XDP_DROP.
#include "tests/harness/packet.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "driver.skel.h"
#include "loader/state/tables.h"
#include "tests/harness/director.h"

namespace xlvs::test {
namespace {

constexpr int rounds = 15;
constexpr int warm_packets = 100'000;
constexpr int timed_packets = 500'000;

const Address vip = *Address::parse("192.0.2.80");
constexpr uint16_t port = 80;
const Address nat_vip = *Address::parse("192.0.2.81");
const Address elsewhere = *Address::parse("192.0.2.99");
const Address ranges_vip = *Address::parse("192.0.2.82");
// By scheduler and number of backends.
const Address wlc_2_vip = *Address::parse("192.0.2.83");
const Address wlc_1024_vip = *Address::parse("192.0.2.84");
const Address mh_2_vip = *Address::parse("192.0.2.85");
const Address mh_1024_vip = *Address::parse("192.0.2.86");

[[noreturn]] void give_up(const std::string& why) {
  (void)std::fprintf(stderr, "bench: %s\n", why.c_str());
  std::exit(1);
}

class Driver {
 public:
  Driver() : skeleton_(driver_bpf__open_and_load()) {
    if (skeleton_ == nullptr) give_up("cannot load the driver (root is needed)");
  }
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;
  Driver(Driver&&) = delete;
  Driver& operator=(Driver&&) = delete;
  ~Driver() { driver_bpf__destroy(skeleton_); }

  void use(int program, uint32_t flows, const Bytes& frame) {
    const uint32_t key = 0;
    if (bpf_map_update_elem(bpf_map__fd(skeleton_->maps.under_test), &key, &program, BPF_ANY) !=
        0) {
      give_up("cannot put the program under test");
    }
    frame_ = frame;
    frame_.resize(std::max<size_t>(frame_.size(), 60));
    std::memcpy(skeleton_->bss->headers, frame_.data(), 54);
    skeleton_->data->flows = flows;
  }
  // Each case has its own sequence of new flows, which goes on from round to round.
  void set_turn(uint32_t turn) { skeleton_->bss->turn = turn; }
  [[nodiscard]] uint32_t turn() const { return skeleton_->bss->turn; }

  double nanoseconds(int packets, int action) {
    bpf_test_run_opts options{};
    options.sz = sizeof options;
    options.data_in = frame_.data();
    options.data_size_in = static_cast<uint32_t>(frame_.size());
    options.repeat = packets;
    if (bpf_prog_test_run_opts(bpf_program__fd(skeleton_->progs.driver), &options) != 0 ||
        static_cast<int>(options.retval) != action) {
      give_up("a case answers action " + std::to_string(options.retval) + ", not " +
              std::to_string(action));
    }
    return options.duration;
  }
  [[nodiscard]] int floor_drop() const { return bpf_program__fd(skeleton_->progs.floor_drop); }
  [[nodiscard]] int floor_tx() const { return bpf_program__fd(skeleton_->progs.floor_tx); }

 private:
  driver_bpf* skeleton_;
  Bytes frame_;
};

struct Case {
  std::string name;
  int program;
  uint32_t flows;  // that take turns; 0: a new one each packet
  Bytes frame;
  int action;
  bool opens = false;  // a SYN of each flow goes before, so that they are known
  Address to = vip;
  uint32_t turn = 0;
  std::string as{};  // the case that it is to cost the same as
  std::vector<double> samples{};
};

Bytes tcp_frame(const Address& to, bool syn) {
  return (Ethernet{} / IPv4{.daddr = to} / TCP{.dport = port, .syn = syn, .ack = !syn}).build();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void measure(Driver& driver, Case& one, int packets) {
  driver.use(one.program, one.flows, one.frame);
  driver.set_turn(one.turn);
  one.samples.push_back(driver.nanoseconds(packets, one.action));
  if (one.flows == 0) one.turn = driver.turn();
}

// A SYN and an ACK for each flow of the case.
void open_flows(Driver& driver, const Case& one, const Address& to) {
  for (const bool syn : {true, false}) {
    driver.use(one.program, one.flows, tcp_frame(to, syn));
    driver.set_turn(0);
    driver.nanoseconds(static_cast<int>(one.flows), one.action);
  }
}

const Case& named(const std::vector<Case>& cases, const std::string& name) {
  const auto found =
      std::find_if(cases.begin(), cases.end(), [&](const Case& one) { return one.name == name; });
  if (found == cases.end()) give_up("no case is named " + name);
  return *found;
}

// How many times as much as the other, over the floor: the median of the rounds' own ratios, since
// neighbours in a round share its noise.
double ratio(const Case& one, const Case& other, const Case& floor) {
  std::vector<double> ratios;
  for (size_t round = 0; round < one.samples.size(); ++round) {
    ratios.push_back((one.samples[round] - floor.samples[round]) /
                     (other.samples[round] - floor.samples[round]));
  }
  return median(ratios);
}

void print(const std::vector<Case>& cases) {
  const double drop = median(cases[0].samples);
  const double tx = median(cases[1].samples);
  std::printf("%-44s %10s %12s %10s\n", "case", "ns/packet", "over DROP", "over TX");
  for (const auto& one : cases) {
    const double ns = median(one.samples);
    std::printf("%-44s %10.0f %12.0f %10.0f", one.name.c_str(), ns, ns - drop, ns - tx);
    if (!one.as.empty()) {
      std::printf("   x %.2f of \"%s\"", ratio(one, named(cases, one.as), cases[0]),
                  one.as.c_str());
    }
    std::printf("\n");
  }
}

constexpr uint32_t many = 10'000;

// A director of so many services, each a port of a vip; and on the vip of the cases a thousand
// ranges of one port beside them.
void add_services(Director& director, uint32_t backend, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) {
    const std::string address = "198.18." + std::to_string(i >> 8) + "." + std::to_string(i & 255);
    director.add_service({*Address::parse(address), port}, tcp, {backend});
  }
}

void add_ranges(Director& director, uint32_t service) {
  std::vector<port_range> ranges;
  for (uint16_t first = 1; first <= 1000; ++first) ranges.push_back({first, first, service});
  director.add_ports(ranges_vip, tcp, 0, ranges);
}

// A service of so many backends of its own, on a vip of its own.
void add_scheduled(Director& director, const Address& to, Scheduler scheduler, uint32_t backends) {
  std::vector<tables::Candidate> list;
  for (uint32_t i = 0; i < backends; ++i) {
    const std::string address = "203.0." + std::to_string(i >> 8) + "." + std::to_string(i & 255);
    const uint32_t id = director.add_backend(
        {.endpoint = {*Address::parse(address), port}, .mac = Mac{{2, 0, 0, 0, 1, 1}}});
    list.push_back({.id = id, .weight = 1, .share = 1, .seed = id});
  }
  const Scheduling scheduling{.scheduler = scheduler, .hash = HashOf::five_tuple};
  std::vector<slot> slots;
  for (const auto& candidate : tables::make(scheduling, list, {}).slots) {
    slot one{};
    one.backend = candidate.id;
    one.weight = candidate.weight;
    slots.push_back(one);
  }
  table_region how{};
  how.scheduler = static_cast<uint8_t>(scheduler);
  how.hash = HASH_5TUPLE;
  director.set_table(director.add_service({to, port}, tcp, {}), how, slots);
}

void add_scheduled(Director& director) {
  add_scheduled(director, wlc_2_vip, Scheduler::wlc, 2);
  add_scheduled(director, wlc_1024_vip, Scheduler::wlc, 1024);
  add_scheduled(director, mh_2_vip, Scheduler::mh, 2);
  add_scheduled(director, mh_1024_vip, Scheduler::mh, 1024);
}

// What a flow costs is not to grow with the backends of its service.
std::vector<Case> cases_of_scheduling(int program) {
  const auto flows = [&](const char* name, uint32_t count, const Address& to, const char* as = "") {
    return Case{.name = name,
                .program = program,
                .flows = count,
                .frame = tcp_frame(to, false),
                .action = XDP_TX,
                .opens = true,
                .to = to,
                .as = as};
  };
  const auto new_flows = [&](const char* name, uint32_t turn, const Address& to,
                             const char* as = "") {
    return Case{.name = name,
                .program = program,
                .flows = 0,
                .frame = tcp_frame(to, true),
                .action = XDP_TX,
                .to = to,
                .turn = turn,
                .as = as};
  };
  return {
      flows("wlc, 2 backends: 1 flow", 1, wlc_2_vip),
      flows("wlc, 1,024 backends: 1 flow", 1, wlc_1024_vip, "wlc, 2 backends: 1 flow"),
      flows("mh, 2 backends: 1 flow", 1, mh_2_vip),
      flows("mh, 1,024 backends: 1 flow", 1, mh_1024_vip, "mh, 2 backends: 1 flow"),
      flows("wlc, 2 backends: 10,000 flows", 10'000, wlc_2_vip),
      flows("wlc, 1,024 backends: 10,000 flows", 10'000, wlc_1024_vip,
            "wlc, 2 backends: 10,000 flows"),
      flows("mh, 2 backends: 10,000 flows", 10'000, mh_2_vip),
      flows("mh, 1,024 backends: 10,000 flows", 10'000, mh_1024_vip,
            "mh, 2 backends: 10,000 flows"),
      new_flows("mh, 2 backends: a new flow each packet", 1U << 24, mh_2_vip),
      new_flows("mh, 1,024 backends: a new flow each packet", 1U << 25, mh_1024_vip,
                "mh, 2 backends: a new flow each packet"),
  };
}

void measure_in_rounds(Driver& driver, std::vector<Case>& cases) {
  for (auto& one : cases) {
    if (one.opens) open_flows(driver, one, one.to);
  }
  for (auto& one : cases) measure(driver, one, warm_packets);
  for (auto& one : cases) one.samples.clear();
  for (int round = 0; round < rounds; ++round) {
    for (auto& one : cases) measure(driver, one, timed_packets);
  }
}

void run() {
  Director director({.flows = 524'288, .pending = 65'536});
  Director crowded({.services = many + 16, .slots = 4 * many, .buckets = 16'384});
  Director scheduling(
      {.flows = 524'288, .pending = 65'536, .backends = 4096, .slots = 262'144, .buckets = 64});
  Driver driver;
  const uint32_t near = director.add_backend(
      {.endpoint = {*Address::parse("198.51.100.1"), port}, .mac = Mac{{2, 0, 0, 0, 0, 9}}});
  const uint32_t behind = director.add_backend({.endpoint = {*Address::parse("198.51.100.2"), 8080},
                                                .forward = FORWARDING_NAT,
                                                .mac = Mac{{2, 0, 0, 0, 0, 8}}});
  director.add_service({vip, port}, tcp, {near});
  director.add_service({nat_vip, port}, tcp, {behind});
  const uint32_t near_of_many = crowded.add_backend(
      {.endpoint = {*Address::parse("198.51.100.1"), port}, .mac = Mac{{2, 0, 0, 0, 0, 9}}});
  add_ranges(crowded, crowded.add_service({vip, port}, tcp, {near_of_many}));
  add_services(crowded, near_of_many, many);
  add_scheduled(scheduling);

  const int xlvs = director.programs().fd();
  const int xlvs_of_many = crowded.programs().fd();
  const Bytes ack = tcp_frame(vip, false);
  const Bytes nat_ack = tcp_frame(nat_vip, false);
  std::vector<Case> cases{
      {"floor: drop", driver.floor_drop(), 1, ack, XDP_DROP},
      {"floor: swap MACs and send", driver.floor_tx(), 1, ack, XDP_TX},
      {"no service", xlvs, 1, tcp_frame(elsewhere, false), XDP_PASS},
      {"no service, of 10,001", xlvs_of_many, 1, tcp_frame(elsewhere, false), XDP_PASS},
      {"dr: 1 flow", xlvs, 1, ack, XDP_TX, true},
      {"dr: 1 flow, one of 10,001 services", xlvs_of_many, 1, ack, XDP_TX, true, vip, 0,
       "dr: 1 flow"},
      {"dr: 1 flow, a port in 1,000 ranges", xlvs_of_many, 1, tcp_frame(ranges_vip, false), XDP_TX,
       true, ranges_vip},
      {"dr: 10,000 flows", xlvs, 10'000, ack, XDP_TX, true},
      {"dr: 100,000 flows", xlvs, 100'000, ack, XDP_TX, true},
      {"dr: a new flow each packet", xlvs, 0, tcp_frame(vip, true), XDP_TX, false, vip, 1U << 24},
      {"nat: 1 flow", xlvs, 1, nat_ack, XDP_TX, true, nat_vip},
      {"nat: 10,000 flows", xlvs, 10'000, nat_ack, XDP_TX, true, nat_vip},
      {"nat: 100,000 flows", xlvs, 100'000, nat_ack, XDP_TX, true, nat_vip},
      {"nat: a new flow each packet", xlvs, 0, tcp_frame(nat_vip, true), XDP_TX, false, nat_vip,
       1U << 25},
  };
  const auto more = cases_of_scheduling(scheduling.programs().fd());
  cases.insert(cases.end(), more.begin(), more.end());
  measure_in_rounds(driver, cases);
  print(cases);
}

}  // namespace
}  // namespace xlvs::test

int main() {
  xlvs::test::run();
  return 0;
}
