// SPDX-License-Identifier: MIT
#include "loader/plane/neighbours.h"

#include <algorithm>
#include <array>
#include <utility>

#include "loader/base/log.h"

namespace xlvs {

using namespace std::chrono_literals;

namespace {

// Between two calls of on_change: a burst of routes is then a few calls.
constexpr auto least_pause = 50ms;
// A silent neighbour is asked again; the kernel by itself asks every 5 s.
constexpr auto ask_silent_every = 1s;
// A neighbour that the kernel does not keep is asked as often as the kernel would do.
constexpr auto ask_unkept_every = 5s;

constexpr std::array groups{
    RTNLGRP_LINK,       RTNLGRP_NEIGH,       RTNLGRP_IPV4_ROUTE,
    RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
    RTNLGRP_IPV4_RULE,  RTNLGRP_IPV6_RULE,   RTNLGRP_NEXTHOP,
};

}  // namespace

Neighbours::Neighbours(boost::asio::any_io_executor executor, std::function<void()> on_change)
    : on_change_(std::move(on_change)),
      events_(executor, {.message = [this](const netlink::View& message) { take(message); },
                         .batch = [this](bool lost) { finish_batch(lost); }}),
      timer_(executor),
      prober_(executor) {}

Neighbours::~Neighbours() {
  if (!socket_ || !watching_) return;
  watched_.clear();
  hops_.clear();
  if (auto loaded = neighbours_.load(*socket_); loaded) release_others();
}

Result<void> Neighbours::start() {
  if (auto started = events_.start(groups); !started) return started;
  auto socket = netlink::Socket::open();
  if (!socket) return socket.error();
  socket_.emplace(*std::move(socket));
  if (auto started = prober_.start(); !started) return started;
  return load();
}

Result<void> Neighbours::load() {
  if (auto loaded = links_.load(*socket_); !loaded) return loaded;
  return neighbours_.load(*socket_);
}

void Neighbours::watch(std::set<Address> addresses) {
  if (!socket_) return;
  watching_ = true;
  std::erase_if(watched_, [&](const auto& entry) { return !addresses.contains(entry.first); });
  for (const Address& address : addresses) {
    const auto [place, added] = watched_.try_emplace(address);
    if (added) place->second.route = find_route(*socket_, address);
  }
  choose_hops();
  keep_hops();
  release_others();
  update_next_hops();
  choose_probes();
  wake_when_due();
  if (changed_) wake_at(Clock::now());
}

NextHop Neighbours::next_hop(const Address& address) const {
  const auto found = watched_.find(address);
  return found == watched_.end() ? NextHop{} : found->second.next;
}

void Neighbours::take(const netlink::View& message) {
  switch (message.type()) {
    case RTM_NEWNEIGH:
    case RTM_DELNEIGH: {
      const auto change = neighbours_.apply(message);
      touched_ = touched_ || change != NeighbourTable::Change::none;
      moved_ = moved_ || change == NeighbourTable::Change::mac;
      break;
    }
    case RTM_NEWLINK:
    case RTM_DELLINK:
      // IPv4 routes that vanish with a link are not announced (net/ipv4/fib_trie.c).
      if (links_.apply(message)) routes_moved_ = moved_ = true;
      break;
    default:
      routes_moved_ = moved_ = true;  // a route, rule, nexthop or address
  }
}

void Neighbours::finish_batch(bool lost) {
  if (lost) {
    spdlog::info("netlink: events were lost, all is read anew");
    if (auto loaded = load(); !loaded) spdlog::error("{}", loaded.error().message);
    routes_moved_ = moved_ = true;
  }
  if (touched_ || moved_) wake_at(refreshed_ + least_pause);
}

// Everything that follows from what is known now; each event and the passing of time end here.
void Neighbours::refresh() {
  refreshed_ = Clock::now();
  touched_ = false;
  if (std::exchange(moved_, false)) {
    ++generation_;
    changed_ = true;
  }
  if (std::exchange(routes_moved_, false)) find_routes();
  choose_hops();
  keep_hops();
  if (watching_) release_others();
  update_next_hops();
  choose_probes();
  wake_when_due();
  if (std::exchange(changed_, false)) on_change_();
}

void Neighbours::find_routes() {
  for (auto& [address, watched] : watched_) watched.route = find_route(*socket_, address);
  for (auto& [hop, kept] : hops_) kept.sought = false;
}

void Neighbours::choose_hops() {
  std::map<Hop, Kept> chosen;
  for (const auto& [address, watched] : watched_) {
    if (watched.route.kind != Route::Kind::unicast) continue;
    const Hop hop{.ifindex = watched.route.ifindex, .address = watched.route.gateway};
    chosen.try_emplace(hop);
  }
  for (auto& [hop, kept] : chosen) {
    if (const auto known = hops_.find(hop); known != hops_.end()) kept = std::move(known->second);
  }
  hops_ = std::move(chosen);
}

void Neighbours::keep_hops() {
  const auto now = Clock::now();
  for (auto& [hop, kept] : hops_) {
    const Link* link = links_.find(hop.ifindex);
    const Neighbour* neighbour = neighbours_.find(hop);
    if (neighbour != nullptr && neighbour->usable()) kept.last = neighbour->mac;
    if (neighbour != nullptr && neighbour->failed()) kept.last.reset();
    if (link == nullptr || !link->up) kept.last.reset();
    if (const auto when = due(hop, kept); link != nullptr && when && *when <= now)
      keep(hop, kept, *link);
  }
}

void Neighbours::keep(const Hop& hop, Kept& kept, const Link& link) {
  kept.asked = Clock::now();
  const auto result = keep_neighbour(*socket_, hop);
  const std::string error = result ? "" : result.error().message;
  if (!result) kept.last.reset();  // nobody asks, so nothing would ever end its use
  if (!error.empty() && error != kept.error) spdlog::warn("{}: {}", link.name, error);
  kept.error = error;
}

// When the kernel is to be asked (again); nothing if it does what is needed by itself, or cannot.
std::optional<Neighbours::Clock::time_point> Neighbours::due(const Hop& hop,
                                                             const Kept& kept) const {
  const Link* link = links_.find(hop.ifindex);
  if (link == nullptr || !link->up || !link->ethernet) return std::nullopt;
  const Neighbour* neighbour = neighbours_.find(hop);
  if (neighbour == nullptr) return kept.error.empty() ? Clock::time_point{} : kept.asked + 1s;
  if (neighbour->fixed()) return std::nullopt;
  if (!neighbour->usable()) return kept.asked + ask_silent_every;
  if (!neighbour->managed) return kept.asked + ask_unkept_every;
  return std::nullopt;
}

// What an agent of ours made the kernel keep, this one or one that was killed.
void Neighbours::release_others() {
  for (const auto& [hop, neighbour] : neighbours_.all()) {
    if (!neighbour.ours() || hops_.contains(hop)) continue;
    const auto released = release_neighbour(*socket_, hop);
    if (!released) spdlog::warn("{}", released.error().message);
  }
}

void Neighbours::update_next_hops() {
  for (auto& [address, watched] : watched_) {
    const Route& route = watched.route;
    const Hop hop{.ifindex = route.ifindex, .address = route.gateway};
    const auto kept = hops_.find(hop);
    const auto last = kept == hops_.end() ? std::nullopt : kept->second.last;
    NextHop next = xlvs::next_hop(route, links_.find(route.ifindex), neighbours_.find(hop), last);
    if (next == watched.next) continue;
    watched.next = std::move(next);
    changed_ = true;
  }
}

void Neighbours::choose_probes() {
  std::map<Hop, Prober::Target> targets;
  for (auto& [hop, kept] : hops_) {
    if (!std::exchange(kept.sought, true)) kept.source = find_source(*socket_, hop);
    if (const auto one = target(hop, kept)) targets.emplace(hop, *one);
  }
  prober_.set(std::move(targets));
}

// Nothing for one that needs no probes, or that the kernel is asking for.
std::optional<Prober::Target> Neighbours::target(const Hop& hop, const Kept& kept) const {
  const Link* link = links_.find(hop.ifindex);
  const Neighbour* neighbour = neighbours_.find(hop);
  if (link == nullptr || !link->up || !link->ethernet || !kept.source) return std::nullopt;
  if (neighbour == nullptr || neighbour->fixed() || !neighbour->usable()) return std::nullopt;
  return Prober::Target{.known = *neighbour->mac,
                        .asker = {.mac = link->mac, .address = *kept.source}};
}

void Neighbours::wake_when_due() {
  std::optional<Clock::time_point> first;
  for (const auto& [hop, kept] : hops_) {
    const auto when = due(hop, kept);
    if (when && (!first || *when < *first)) first = when;
  }
  // One that was asked for just now is absent until the kernel's event comes.
  if (first) wake_at(std::max(*first, Clock::now() + ask_silent_every));
}

void Neighbours::wake_at(Clock::time_point when) {
  if (wake_ && *wake_ <= when) return;
  wake_ = when;
  timer_.expires_at(when);
  timer_.async_wait([this, alive = std::weak_ptr(alive_)](boost::system::error_code error) {
    if (error || alive.expired()) return;
    wake_.reset();
    refresh();
  });
}

}  // namespace xlvs
