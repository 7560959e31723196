// SPDX-License-Identifier: MIT
#include "loader/plane/probes.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace xlvs {

using namespace std::chrono_literals;

namespace {

constexpr auto shortest_round = 1000ms;
constexpr auto round_for_each = 1ms;
constexpr auto patience = 300ms;
constexpr size_t networks_per_tick = 5;

}  // namespace

ProbePlan::Clock::duration ProbePlan::round() const {
  return std::max<Clock::duration>(shortest_round, round_for_each * turns_.size());
}

void ProbePlan::set(const std::set<Hop>& hops, Time now) {
  constexpr double golden = 0.6180339887;  // its multiples lie evenly, however many there are
  std::erase_if(turns_, [&](const auto& turn) { return !hops.contains(turn.first); });
  size_t number = turns_.size();
  for (const Hop& hop : hops) {
    const auto [place, added] = turns_.try_emplace(hop);
    if (!added) continue;
    const double part = std::fmod(golden * static_cast<double>(++number), 1.0);
    place->second.next = now + std::chrono::duration_cast<Clock::duration>(round() * part);
  }
}

std::vector<ProbePlan::Probe> ProbePlan::due(Time now, const Heard& heard) {
  std::vector<std::pair<const Hop, Turn>*> turns;
  for (auto& turn : turns_) {
    if (turn.second.next <= now) turns.push_back(&turn);
  }
  // Where not all can be asked, who waits longest comes first.
  std::stable_sort(turns.begin(), turns.end(),
                   [](const auto* a, const auto* b) { return a->second.next < b->second.next; });
  std::vector<Probe> probes;
  size_t networks = 0;
  for (auto* entry : turns) {
    auto& [hop, turn] = *entry;
    if (!turn.asked) {
      turn = {.next = now + patience, .asked = now};
      probes.push_back({hop, Ask::known});
      continue;
    }
    if (!heard(hop, now - *turn.asked)) {
      if (networks == networks_per_tick) continue;
      ++networks;
      probes.push_back({hop, Ask::all});
    }
    turn = {.next = std::max(now, *turn.asked + round()), .asked = std::nullopt};
  }
  return probes;
}

Prober::Prober(const boost::asio::any_io_executor& executor) : timer_(executor) {}

Prober::~Prober() = default;

Result<void> Prober::start() {
  auto frames = open_frame_socket();
  if (!frames) return frames.error();
  frames_ = *std::move(frames);
  auto socket = netlink::Socket::open();
  if (!socket) return socket.error();
  socket_.emplace(*std::move(socket));
  return {};
}

void Prober::set(std::map<Hop, Target> targets) {
  targets_ = std::move(targets);
  std::set<Hop> hops;
  for (const auto& [hop, target] : targets_) hops.insert(hop);
  plan_.set(hops, ProbePlan::Clock::now());
  if (!ticking_ && !plan_.empty()) tick();
}

void Prober::tick() {
  const auto heard = [this](const Hop& hop, ProbePlan::Clock::duration within) {
    const auto since = heard_of(*socket_, hop);
    return since && *since <= within;
  };
  for (const auto& probe : plan_.due(ProbePlan::Clock::now(), heard)) send(probe);
  ticking_ = !plan_.empty();
  if (!ticking_) return;
  timer_.expires_after(ProbePlan::tick);
  timer_.async_wait([this, alive = std::weak_ptr(alive_)](boost::system::error_code error) {
    if (!error && !alive.expired()) tick();
  });
}

void Prober::send(const ProbePlan::Probe& probe) const {
  const auto target = targets_.find(probe.hop);
  if (target == targets_.end()) return;
  const auto& [known, asker] = target->second;
  const auto at = probe.ask == ProbePlan::Ask::known ? std::optional(known) : std::nullopt;
  const Address& whom = probe.hop.address;
  const Frame frame =
      whom.is_v4() ? arp_request(asker, whom, at) : neighbour_solicitation(asker, whom, at);
  // What cannot be sent now (the link is down, its queue full) is lost as any frame may be.
  (void)send_frame(frames_, probe.hop.ifindex, frame);
}

}  // namespace xlvs
