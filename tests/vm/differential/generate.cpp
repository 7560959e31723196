// SPDX-License-Identifier: MIT
#include "tests/vm/differential/generate.h"

#include <algorithm>
#include <array>
#include <map>
#include <random>

#include "tests/vm/differential/judge.h"

namespace xlvs::differential {

namespace {

// In turn, case by case. One line adds a scheduler.
constexpr std::array schedulers{
    Scheduler::rr, Scheduler::wrr, Scheduler::lc,   Scheduler::wlc,   Scheduler::sed,
    Scheduler::nq, Scheduler::fo,  Scheduler::ovf,  Scheduler::twos,  Scheduler::sh,
    Scheduler::dh, Scheduler::mh,  Scheduler::lblc, Scheduler::lblcr,
};

// By intent dh does not refuse, and lblc does not go beyond a limit: counts would go apart.
bool takes_limits(Scheduler scheduler) {
  return scheduler != Scheduler::dh && scheduler != Scheduler::lblc;
}

class Generator {
 public:
  Generator(uint64_t seed, uint32_t number, uint16_t port)
      : random_(seed * 0x9e3779b97f4a7c15U + number) {
    // mt19937_64 begins alike for seeds that are.
    random_.discard(64);
    case_.setup.port = port;
    case_.setup.scheduling.scheduler = schedulers.at(number % schedulers.size());
  }

  Case make() {
    draw_service();
    for (uint64_t left = 1 + below(8); left > 0; --left) add_server();
    draw_style();
    // In some cases what is closed ends meanwhile: then all that becomes inactive does.
    ends_ = one_in(12) && case_.setup.protocol == Protocol::tcp;
    const uint64_t steps = 15 + below(30);
    while (case_.steps.size() < steps) add_step();
    return std::move(case_);
  }

 private:
  // std::uniform_int_distribution differs from library to library.
  uint64_t below(uint64_t limit) { return random_() % limit; }
  bool one_in(uint64_t number) { return below(number) == 0; }
  template <typename Range>
  auto one_of(const Range& range) {
    return range[below(range.size())];
  }

  void draw_service() {
    Setup& setup = case_.setup;
    setup.family = one_in(4) ? AF_INET6 : AF_INET;
    setup.protocol = one_in(5) ? Protocol::udp : Protocol::tcp;
    setup.vip = static_cast<uint8_t>(below(64));
    draw_flags(setup.scheduling);
    const bool exact = is_exact(setup.scheduling.scheduler);
    if (exact && one_in(5)) {
      draw_persistence();
    } else if (setup.protocol == Protocol::udp) {
      setup.scheduling.one_packet = one_in(3);
    }
  }

  void draw_flags(Scheduling& scheduling) {
    scheduling.hash = HashOf::source;
    scheduling.strict_ipvs = false;
    if (scheduling.scheduler != Scheduler::sh && scheduling.scheduler != Scheduler::mh) return;
    scheduling.hash = one_in(2) ? HashOf::source : HashOf::source_port;
    scheduling.strict_ipvs = one_in(2);
  }

  void draw_persistence() {
    constexpr std::array<uint8_t, 3> v4{128, 96 + 24, 96 + 16};
    constexpr std::array<uint8_t, 3> v6{128, 64, 48};
    Scheduling& scheduling = case_.setup.scheduling;
    scheduling.persistence = std::chrono::seconds(300 + below(3000));
    scheduling.prefix = one_of(case_.setup.family == AF_INET ? v4 : v6);
    scheduling.expire_drained = one_in(2);
  }

  // How weights, limits and connections are drawn in this case.
  void draw_style() {
    changes_ = one_in(4) ? 0 : 4 + below(12);
    only_ = one_in(2) ? std::nullopt : std::optional(one_of(std::array{Then::hold, Then::close}));
    networks_ = 1 + below(3);
    hosts_ = case_.setup.scheduling.persistence.count() > 0 ? 1 + below(5) : 1 + below(100);
  }

  uint16_t draw_weight() {
    if (!weights_) weights_ = one_of(std::array<uint16_t, 3>{1, 4, 21});
    if (*weights_ == 1) return one_in(8) ? 0 : 1;
    return static_cast<uint16_t>(below(*weights_));
  }

  void draw_other_weight(Server& server) {
    const uint16_t before = server.weight;
    server.weight = draw_weight();
    if (server.weight == before) server.weight = before == 0 ? 1 : 0;
  }

  void draw_limits(Server& server) {
    if (!limits_) limits_ = one_in(3) && takes_limits(now().scheduling.scheduler);
    server.max = server.min = 0;
    if (!*limits_ || one_in(3)) return;
    server.max = static_cast<uint32_t>(1 + below(8));
    server.min = one_in(2) ? 0 : static_cast<uint32_t>(below(server.max + 1));
  }

  void add_server() {
    const Server server = draw_server(free_number());
    case_.setup.servers.push_back(server);
    known_[server.number] = server;
  }

  Server draw_server(uint8_t number) {
    Server server{.number = number, .weight = draw_weight()};
    draw_limits(server);
    return server;
  }

  uint8_t free_number() {
    while (true) {
      const auto number = static_cast<uint8_t>(1 + below(most_servers));
      if (now().find(number) == nullptr) return number;
    }
  }

  // The service as all steps so far have left it.
  Setup& now() { return now_ ? *now_ : case_.setup; }

  void add_step() {
    const uint64_t dice = below(100);
    if (dice < changes_) return add_change();
    if (dice < 85 || opened_ == 0) return add_open();
    if (ends_ && one_in(2)) {
      case_.steps.emplace_back(Expire{});
      return;
    }
    constexpr std::array packets{Packet::ack, Packet::ack, Packet::syn, Packet::fin, Packet::rst};
    const More more{below(opened_), one_of(packets)};
    case_.steps.emplace_back(ends_ && more.packet == Packet::rst ? More{more.connection} : more);
  }

  void add_open() {
    constexpr std::array all{Then::nothing, Then::hold,  Then::hold,  Then::hold,
                             Then::close,   Then::close, Then::reset, Then::abort};
    const Client client{static_cast<uint8_t>(below(networks_)),
                        static_cast<uint8_t>(1 + below(hosts_)),
                        static_cast<uint16_t>(1024 + 7 * opened_++)};
    Then then = only_ ? *only_ : one_of(all);
    if (ends_ && (then == Then::reset || then == Then::abort)) then = Then::close;
    case_.steps.emplace_back(Open{client, then});
  }

  void add_change() {
    Step change = draw_change();
    now_ = changed(now(), change);
    case_.steps.push_back(std::move(change));
  }

  Step draw_change() {
    const auto& servers = now().servers;
    const uint64_t dice = below(10);
    if (dice == 0 && is_exact(now().scheduling.scheduler)) return draw_scheduling();
    if (servers.empty() || (dice < 4 && servers.size() < most_servers)) return draw_comer();
    const Server& server = one_of(servers);
    // What is closed of a removed server would end by xlvs, which serves it, and not by IPVS.
    if (dice < 6 && !ends_) return Remove{server.number};
    Server other = server;
    // By intent an edit that leaves weights as they are does not begin wrr's round anew.
    if (now().scheduling.scheduler == Scheduler::wrr || !one_in(4)) draw_other_weight(other);
    if (one_in(3)) draw_limits(other);
    return put(other);
  }

  Step put(const Server& server) {
    known_[server.number] = server;
    return Put{server};
  }

  // One who was there before, half of the times with what it had.
  Step draw_comer() {
    const uint8_t number = free_number();
    const auto known = known_.find(number);
    if (known == known_.end()) return put(draw_server(number));
    Server server = known->second;
    if (one_in(2)) server.weight = draw_weight();
    return put(server);
  }

  Step draw_scheduling() {
    Scheduling scheduling = now().scheduling;
    do {
      scheduling.scheduler = one_of(schedulers);
    } while (!is_exact(scheduling.scheduler) ||
             (limits_.value_or(false) && !takes_limits(scheduling.scheduler)));
    draw_flags(scheduling);
    return Reschedule{scheduling};
  }

  std::mt19937_64 random_;
  Case case_;
  std::optional<Setup> now_;
  std::map<uint8_t, Server> known_;  // as they last were
  std::optional<uint16_t> weights_;  // are below it
  std::optional<bool> limits_;
  uint64_t changes_ = 0;  // of a hundred steps
  std::optional<Then> only_;
  bool ends_ = false;
  uint64_t networks_ = 1;
  uint64_t hosts_ = 1;
  size_t opened_ = 0;
};

}  // namespace

Case generate(uint64_t seed, uint32_t number, uint16_t port) {
  return Generator(seed, number, port).make();
}

}  // namespace xlvs::differential
