// SPDX-License-Identifier: MIT
#include "loader/agent.h"

#include <linux/rtnetlink.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

#include "loader/base/log.h"
#include "loader/plane/pins.h"
#include "loader/state/diff.h"
#include "loader/state/differences.h"
#include "loader/state/words.h"

namespace xlvs {

namespace {

// A backend's name in the log.
std::string name_of(const Service& service, const Endpoint& backend) {
  return service.name + "/" + shown_text(backend, service.port());
}

std::string name_of(const Configuration& configuration, const ServiceKey& service,
                    const BackendKey& backend) {
  const auto& services = configuration.services;
  const auto found = std::find_if(services.begin(), services.end(),
                                  [&](const Service& one) { return one.key == service; });
  return found == services.end() ? backend.endpoint.address.text()
                                 : name_of(*found, backend.endpoint);
}

// What its check is known by: the same when its service gets another port.
std::string key_of(const Service& service, const Backend& backend) {
  return service.name + "/" + backend.endpoint.text();
}

std::string read_text(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Everything that packets for the service may be given to.
template <typename Visit>
void for_each_backend(const Configuration& configuration, const Visit& visit) {
  for (const auto& service : configuration.services) {
    for (const auto& backend : service.backends) visit(service, backend, false);
    if (service.fallback) visit(service, *service.fallback, true);
  }
}

// Whether or not it is up; at its beginning its neighbour may only be about to be resolved.
bool is_unreachable(const BackendEntry& backend) {
  return backend.key.forwarding != Forwarding::local && backend.state != BackendState::unknown &&
         !backend.egress;
}

// What the kernel knew of a backend before this agent came.
std::optional<bool> known_health(const State& applied, const Service& service,
                                 const Backend& backend, bool fallback) {
  const auto found = applied.find(service.key);
  if (found == applied.end()) return std::nullopt;
  const auto* entry = found->second.find({backend.endpoint, backend.forwarding, fallback});
  if (entry == nullptr || entry->state == BackendState::unknown) return std::nullopt;
  return entry->state == BackendState::up || entry->state == BackendState::unresolved;
}

}  // namespace

Agent::Agent(boost::asio::io_context& loop, std::string file, std::string pins)
    : loop_(loop),
      file_(std::move(file)),
      pins_(std::move(pins)),
      monitor_(loop.get_executor(), [this] { reconcile(); }),
      links_(loop.get_executor(), [this] { follow_links(); }),
      neighbours_(loop.get_executor(),
                  [this] {
                    plane_->set_route_generation(neighbours_.generation());
                    reconcile();
                  }),
      vips_(loop.get_executor()),
      addresses_(loop.get_executor(), {.message =
                                           [this](const netlink::View& message) {
                                             address_gone_ =
                                                 address_gone_ || message.type() == RTM_DELADDR;
                                           },
                                       .batch =
                                           [this](bool lost) {
                                             if (std::exchange(address_gone_, false) || lost)
                                               follow_addresses();
                                           }}),
      file_watch_(loop.get_executor(), [this] { reload(false); }),
      signals_(loop, SIGTERM, SIGINT, SIGHUP) {}

Agent::~Agent() = default;

// ---- beginning ----

Result<void> Agent::start(config::Loaded loaded) {
  const bool fresh = !std::filesystem::exists(pins_);
  log_notes(loaded.notes.size());
  auto begun = begin(std::move(*loaded.configuration));
  // A start that fails leaves nothing behind; what another agent left before stays.
  if (!begun && fresh && lock_) {
    if (const auto detached = data_plane::detach(pins_, {}); !detached) {
      spdlog::error("{}", detached.error().message);
    }
    pins::remove_folder(pins_);
  }
  return begun;
}

Result<void> Agent::begin(Configuration configuration) {
  if (auto made = pins::make_folder(pins_); !made) return made;
  auto lock = Lock::take(pins_);
  if (!lock) return lock.error();
  lock_ = std::move(*lock);
  if (auto attached = attach(configuration); !attached) return attached;
  leave_interfaces(configuration.interfaces);
  auto plane = KernelPlane::open(pins_);
  if (!plane) return plane.error();
  plane_ = std::move(*plane);
  if (!plane_->applied().empty()) {
    spdlog::info("adopted {} as they were", counted(plane_->applied().size(), "service"));
  }
  if (auto started = links_.start(); !started) return started;
  if (auto started = neighbours_.start(); !started) return started;
  constexpr std::array addresses{RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR};
  if (auto started = addresses_.start(addresses); !started) return started;
  if (auto started = file_watch_.start(file_); !started) return started;
  text_ = read_text(file_);
  wait_for_signal();
  configure(std::move(configuration));
  sweeper_ = std::jthread([this](std::stop_token stop) { sweep_for_ever(std::move(stop)); });
  return {};
}

Result<void> Agent::attach(const Configuration& configuration) {
  std::vector<std::string> notes;
  auto attached = data_plane::attach(pins_, configuration.interfaces, configuration.mode,
                                     configuration.tables, notes);
  for (const auto& note : notes) spdlog::warn("{}", note);
  if (!attached) return attached.error();
  attached_ = std::move(*attached);
  for (const auto& one : attached_) {
    spdlog::info("{} {} in {} mode{}", one.adopted ? "adopted" : "attached to", one.interface,
                 word(one.mode), one.dispatched ? ", under libxdp's dispatcher" : "");
  }
  return {};
}

// A vip goes before its service and comes after it: packets for it are never the director's own.
void Agent::configure(Configuration configuration) {
  auto staying = vips();
  configuration_ = std::move(configuration);
  const auto wanted = vips();
  std::erase_if(staying, [&](const Address& vip) { return !wanted.contains(vip); });
  for (const auto& note : data_plane::kept_sizes(pins_, configuration_.tables)) {
    spdlog::warn("{}", note);
  }
  plane_->set(configuration_.timeouts, configuration_.refusals_per_second);
  watch_neighbours();
  watch_backends();
  check_forwarding();
  // At the start nobody knows yet what an agent before has left.
  if (ready_) set_vips(staying);
  reconcile();
  set_vips(wanted);
}

void Agent::watch_backends() {
  std::vector<health::Target> targets;
  for_each_backend(configuration_, [&](const Service& service, const Backend& backend, bool sorry) {
    if (sorry) return;
    targets.push_back({key_of(service, backend), name_of(service, backend.endpoint),
                       backend.endpoint, backend.check,
                       known_health(plane_->applied(), service, backend, sorry)});
  });
  monitor_.watch(std::move(targets));
}

void Agent::watch_neighbours() {
  std::set<Address> addresses;
  for_each_backend(configuration_, [&](const Service&, const Backend& backend, bool) {
    if (backend.forwarding != Forwarding::local) addresses.insert(backend.endpoint.address);
  });
  neighbours_.watch(std::move(addresses));
  plane_->set_route_generation(neighbours_.generation());
}

std::set<Address> Agent::vips() const {
  std::set<Address> addresses;
  if (!configuration_.manage_vips) return addresses;
  for (const auto& service : configuration_.services) {
    addresses.insert(service.key.vip.address);
    for (const auto& endpoint : service.also) addresses.insert(endpoint.vip.address);
  }
  return addresses;
}

void Agent::set_vips(const std::set<Address>& wanted) {
  // They live on the first interface of the list.
  const Link* link = links_.find(configuration_.interfaces.front());
  if (link == nullptr) return;
  if (const auto set = vips_.set(wanted, link->ifindex); !set) {
    spdlog::error("{}", set.error().message);
  }
}

// NAT's way back is looked up by the kernel as a router would, which it does only where it
// forwards.
void Agent::check_forwarding() {
  std::set<int> families;
  for_each_backend(configuration_, [&](const Service&, const Backend& backend, bool) {
    if (backend.forwarding == Forwarding::nat) families.insert(backend.endpoint.address.family());
  });
  for (const int family : families) {
    const auto enabled = forwarding_enabled(family);
    if (enabled && *enabled) continue;
    spdlog::warn("nat needs forwarding, which is off: sysctl -w {}=1",
                 family == AF_INET ? "net.ipv4.ip_forward" : "net.ipv6.conf.all.forwarding");
  }
}

void Agent::follow_links() {
  for (const auto& one : attached_) {
    if (const Link* link = links_.find(one.ifindex)) plane_->set_mac(one.ifindex, link->mac);
  }
  // IPv6 addresses go with their link.
  set_vips(vips());
  const Link* first = links_.find(configuration_.interfaces.front());
  if (first != nullptr && first->up) vips_.announce();
  reconcile_soon();
}

void Agent::follow_addresses() { set_vips(vips()); }

void Agent::keep_attached() {
  const bool all = attached_.size() == configuration_.interfaces.size() &&
                   std::all_of(attached_.begin(), attached_.end(), data_plane::is_attached);
  std::string error;
  if (!plane_->is_pinned(pins_)) {
    error = "the maps are no longer pinned in " + pins_ +
            ": packets are forwarded, but xlvs must be started anew";
  } else if (!all) {
    if (attach_error_.empty()) spdlog::warn("xlvs was taken off an interface: attaching again");
    if (const auto attached = attach(configuration_); !attached) {
      error = attached.error().message;
    } else {
      follow_links();
    }
  }
  if (!error.empty() && error != attach_error_) spdlog::error("{}", error);
  attach_error_ = std::move(error);
}

// ---- going on ----

void Agent::wait_for_signal() {
  signals_.async_wait([this](const boost::system::error_code& error, int signal) {
    if (error) return;
    if (signal == SIGHUP) {
      reload(true);
      wait_for_signal();
      return;
    }
    loop_.stop();
  });
}

void Agent::reload(bool even_if_same) {
  std::string text = read_text(file_);
  if (text == text_ && !even_if_same) return;
  text_ = text;
  auto loaded = config::load_file(file_);
  for (const auto& error : loaded.errors) spdlog::error("{}", error.text(file_));
  if (!loaded.configuration) {
    spdlog::error("{} was not taken ({}): all goes on as before", file_,
                  counted(loaded.errors.size(), "error"));
    return;
  }
  Configuration& wanted = *loaded.configuration;
  const bool moved =
      wanted.interfaces != configuration_.interfaces || wanted.mode != configuration_.mode;
  if (moved) {
    if (const auto attached = attach(wanted); !attached) {
      spdlog::error("{} was not taken: {}", file_, attached.error().message);
      return;
    }
    leave_interfaces(wanted.interfaces);
  }
  log_notes(loaded.notes.size());
  const auto changed = differences(configuration_, wanted);
  for (const auto& line : changed) spdlog::info("{}", line);
  configure(std::move(wanted));
  spdlog::info("{} taken: {}{}", file_, counted(configuration_.services.size(), "service"),
               changed.empty() ? ", nothing has changed" : "");
}

void Agent::log_notes(size_t count) const {
  if (count > 0) spdlog::info("{}: {}; 'xlvs check' says what", file_, counted(count, "note"));
}

// Also those that an agent before left.
void Agent::leave_interfaces(const std::vector<std::string>& wanted) {
  const auto present = data_plane::attachments(pins_);
  if (!present) return spdlog::error("{}", present.error().message);
  for (const auto& one : *present) {
    const std::string& name = one.interface;
    if (std::find(wanted.begin(), wanted.end(), name) != wanted.end()) continue;
    const auto detached = data_plane::detach(pins_, {name});
    if (!detached) {
      spdlog::error("{}", detached.error().message);
    } else {
      spdlog::info("detached from {}", name);
    }
  }
}

Observation Agent::observe(const Service& service, const Backend& backend, bool fallback) const {
  using Checked = Observation::Checked;
  Observation seen;
  if (fallback) {
    seen.checked = Checked::up;
  } else if (const auto* status = monitor_.status(key_of(service, backend))) {
    if (status->health == health::Health::up) seen.checked = Checked::up;
    if (status->health == health::Health::down) seen.checked = Checked::down;
  }
  if (backend.forwarding == Forwarding::local) {
    seen.resolved = true;
    return seen;
  }
  const NextHop next = neighbours_.next_hop(backend.endpoint.address);
  const uint16_t number = plane_->interface_number(next.ifindex);
  const bool near_enough = next.on_link || backend.forwarding != Forwarding::dr;
  if (next.state == NextHop::State::resolved && number != 0 && near_enough) {
    seen.resolved = true;
    seen.egress = Egress{next.mac, number};
  }
  return seen;
}

void Agent::reconcile_soon() {
  if (pending_) return;
  pending_ = true;
  boost::asio::post(loop_, [this] {
    pending_ = false;
    reconcile();
  });
}

void Agent::reconcile() {
  const State wanted = effective(
      configuration_,
      [this](const Service& service, const Backend& backend, bool fallback) {
        return observe(service, backend, fallback);
      },
      plane_->applied());
  // What fails is tried again after each sweep, which may have made room.
  std::map<ServiceKey, std::string> failures;
  for (const Change& change : diff(plane_->applied(), wanted)) {
    const bool not_added =
        failures.contains(service_of(change)) && !plane_->applied().contains(service_of(change));
    if (not_added) continue;
    if (!failures_.contains(service_of(change))) log_reachability(change);
    if (const auto applied = plane_->apply(change); !applied) {
      failures.try_emplace(service_of(change), applied.error().message);
    }
  }
  log_failures(std::move(failures));
  log_ready();
}

// Each once for as long as it lasts.
void Agent::log_failures(std::map<ServiceKey, std::string> failures) {
  for (const auto& [service, message] : failures) {
    const auto before = failures_.find(service);
    if (before == failures_.end() || before->second != message) spdlog::error("{}", message);
  }
  failures_ = std::move(failures);
}

// Why a backend that is up by its check serves nobody, when that begins and when it ends.
void Agent::log_reachability(const Change& change) const {
  const auto* put = std::get_if<PutBackend>(&change);
  if (put == nullptr) return;
  const auto service = plane_->applied().find(put->service);
  const auto* before =
      service == plane_->applied().end() ? nullptr : service->second.find(put->backend.key);
  const bool was = before != nullptr && is_unreachable(*before);
  const bool is = is_unreachable(put->backend);
  if (was == is) return;
  const std::string name = name_of(configuration_, put->service, put->backend.key);
  if (was) return spdlog::info("backend {} can be reached", name);
  spdlog::warn("backend {} cannot be reached: {}", name, why_unreachable(put->backend.key));
}

// What holds whatever ARP answers comes first: the neighbour may only be about to be resolved.
std::string Agent::why_unreachable(const BackendKey& key) const {
  const NextHop next = neighbours_.next_hop(key.endpoint.address);
  if (next.state == NextHop::State::local) {
    return "it is the director itself: its forwarding must be local";
  }
  if (next.ifindex == 0) return next.text();
  if (key.forwarding == Forwarding::dr && !next.on_link) {
    return "dr needs it on a connected network, but it is via " + next.gateway.text() + " on " +
           next.interface;
  }
  if (plane_->interface_number(next.ifindex) == 0) {
    return next.interface + ", the way to it, is not one of interfaces";
  }
  return next.text();
}

// Said once, when every backend's first probe has ended.
void Agent::log_ready() {
  if (ready_) return;
  size_t backends = 0;
  bool all_probed = true;
  for_each_backend(configuration_, [&](const Service& service, const Backend& backend, bool sorry) {
    if (sorry) return;
    const auto* status = monitor_.status(key_of(service, backend));
    all_probed = all_probed && status != nullptr && status->last.has_value();
    ++backends;
  });
  if (!all_probed) return;
  ready_ = true;
  spdlog::info("ready: {}, {}", counted(plane_->applied().size(), "service"),
               counted(backends, "backend"));
}

void Agent::sweep_for_ever(std::stop_token stop) {
  constexpr std::chrono::seconds every{1};
  auto sweeper = Sweeper::load(pins_);
  if (!sweeper) {
    spdlog::error("flows do not expire: {}", sweeper.error().message);
    return;
  }
  std::unique_lock lock(sweep_mutex_);
  while (!sweep_wait_.wait_for(lock, stop, every, [&] { return stop.stop_requested(); })) {
    if (const auto swept = sweeper->run(); !swept) {
      spdlog::error("{}", swept.error().message);
      continue;
    }
    boost::asio::post(loop_, [this] {
      plane_->swept();
      keep_attached();
      // Where no probe has changed anything, as after an adoption, nobody else says it.
      log_ready();
      if (!failures_.empty()) reconcile();
    });
  }
}

// ---- ending ----

Result<void> Agent::stop() {
  sweeper_.request_stop();
  if (sweeper_.joinable()) sweeper_.join();
  if (configuration_.on_stop == OnStop::keep) {
    spdlog::info("stopped; the data plane stays as it is");
    return {};
  }
  if (const auto removed = vips_.remove_all(); !removed) {
    spdlog::error("{}", removed.error().message);
  }
  if (auto detached = data_plane::detach_all(pins_, attached_); !detached) return detached;
  spdlog::info("stopped and detached");
  return {};
}

}  // namespace xlvs
