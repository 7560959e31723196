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

#include "loader/base/log.h"
#include "loader/plane/pins.h"
#include "loader/state/differences.h"
#include "loader/state/words.h"

namespace xlvs {

namespace {

std::string read_text(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
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
  if (auto tags = check_tags(configuration); !tags) return tags;
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
  if (const auto tags = check_tags(wanted); !tags) {
    spdlog::error("{} was not taken: {}", file_, tags.error().message);
    return;
  }
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
