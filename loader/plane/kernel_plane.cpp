// SPDX-License-Identifier: MIT
#include "loader/plane/kernel_plane.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>
#include <ctime>

#include "bpf/types.h"
#include "loader/plane/pins.h"
#include "loader/plane/publish.h"
#include "loader/plane/wire.h"

namespace xlvs {

namespace {

// The kernel's tick: the coarse clocks advance by it.
uint64_t jiffies(std::chrono::seconds duration) {
  timespec tick{};
  clock_getres(CLOCK_MONOTONIC_COARSE, &tick);
  const int64_t hertz = 1'000'000'000 / std::max<int64_t>(tick.tv_nsec, 1);
  return static_cast<uint64_t>(duration.count() * hertz);
}

}  // namespace

Result<KernelPlane::Maps> KernelPlane::open_maps(const std::string& pins_folder) {
  const auto at = [&](const char* name) { return pins::path(pins_folder, name); };
  auto endpoints_map = MappedArray<index_bucket>::open(at(pins::endpoints));
  if (!endpoints_map) return endpoints_map.error();
  auto services_map = MappedArray<::service>::open(at(pins::services));
  if (!services_map) return services_map.error();
  auto tables_map = MappedArray<slot>::open(at(pins::tables));
  if (!tables_map) return tables_map.error();
  auto backends_map = MappedArray<::backend>::open(at(pins::backends));
  if (!backends_map) return backends_map.error();
  auto settings_map = MappedArray<struct settings>::open(at(pins::settings));
  if (!settings_map) return settings_map.error();
  auto connections_map = open_pinned_map(at(pins::connections), sizeof(::connections));
  if (!connections_map) return connections_map.error();
  auto counters_map = open_pinned_map(at(pins::backend_counters), sizeof(::backend_counters));
  if (!counters_map) return counters_map.error();
  auto destinations_map = open_pinned_map(at(pins::destinations), sizeof(::destination));
  if (!destinations_map) return destinations_map.error();
  return Maps{std::move(*endpoints_map), std::move(*services_map),    std::move(*tables_map),
              std::move(*backends_map),  std::move(*settings_map),    std::move(*connections_map),
              std::move(*counters_map),  std::move(*destinations_map)};
}

Result<std::unique_ptr<KernelPlane>> KernelPlane::open(const std::string& pins_folder) {
  auto maps = open_maps(pins_folder);
  if (!maps) return maps.error();
  auto grace = GracePeriod::make();
  if (!grace) return grace.error();
  std::unique_ptr<KernelPlane> plane(new KernelPlane(std::move(*maps), std::move(*grace)));
  plane->adopt();
  return plane;
}

KernelPlane::KernelPlane(Maps maps, GracePeriod grace)
    : maps_(std::move(maps)),
      grace_(std::move(grace)),
      index_(maps_.endpoints.values()),
      service_ids_(maps_.services.size()),
      backend_ids_(maps_.backends.size()),
      slots_(maps_.tables.size()) {}

// ---- changing ----

Result<void> KernelPlane::apply(const Change& change) {
  return std::visit([this](const auto& one) { return apply_one(one); }, change);
}

Result<void> KernelPlane::apply_one(const AddService& change) {
  const auto id = take(service_ids_, 1, "services");
  if (!id) return id.error();
  ::service entry{};
  entry.key = wire::service_key(change.key);
  entry.last_port = change.key.last_port;
  wire::set_scheduling(entry, change.scheduling);
  wire::copy_text(change.name, entry.name);
  wire::copy_text(change.key.text(), entry.vip);
  maps_.services[*id] = entry;
  scheduled_[change.key] = {*id, change.scheduling, {}};
  applied_[change.key] = {.key = change.key, .name = change.name, .scheduling = change.scheduling};
  return {};
}

Result<void> KernelPlane::apply_one(const RemoveService& change) {
  const uint32_t id = scheduled_.at(change.key).id;
  for (const ServiceKey& endpoint : applied_.at(change.key).open) close(endpoint);
  publish_table(id, {});
  service_ids_.release(id, 1);
  // What was draining ends with its service; it stays retired until its flows are gone.
  std::erase_if(draining_, [&](const auto& one) {
    if (one.first.first != change.key) return false;
    disown(one.second);
    return true;
  });
  scheduled_.erase(change.key);
  applied_.erase(change.key);
  return {};
}

Result<void> KernelPlane::apply_one(const PutBackend& change) {
  const BackendPath path{change.service, change.backend.key};
  auto known = backend_ids_of_.find(path);
  if (const auto back = draining_.find(path); back != draining_.end()) {
    known = backend_ids_of_.emplace(path, back->second).first;
    retired_.erase(back->second);
    draining_.erase(back);
  }
  if (known != backend_ids_of_.end()) {
    if (const auto changed = change_backend(known->second, change); !changed) return changed;
  } else {
    const auto id = add_backend(change);
    if (!id) return id.error();
    backend_ids_of_.emplace(path, *id);
  }
  ServiceEntry& service = applied_.at(change.service);
  std::erase_if(service.backends,
                [&](const BackendEntry& entry) { return entry.key == change.backend.key; });
  service.backends.push_back(change.backend);
  sort_by_position(service.backends);
  return {};
}

Result<uint32_t> KernelPlane::add_backend(const PutBackend& change) {
  const auto id = take(backend_ids_, 1, "backends");
  if (!id) return id.error();
  if (change.backend.key.forwarding == Forwarding::nat) {
    const auto opened = open_replies(change.backend.key.endpoint);
    if (!opened) {
      backend_ids_.release(*id, 1);
      return opened.error();
    }
  }
  const ::connections none{};
  const std::vector<::backend_counters> zero(static_cast<size_t>(libbpf_num_possible_cpus()));
  bpf_map_update_elem(maps_.connections.fd.get(), &*id, &none, BPF_ANY);
  bpf_map_update_elem(maps_.backend_counters.fd.get(), &*id, zero.data(), BPF_ANY);
  ::backend entry = wire::to_wire(scheduled_.at(change.service).id, change.backend);
  wire::set_address(entry, shown(change.backend.key.endpoint, applied_.at(change.service).port()));
  maps_.backends[*id] = entry;
  return id;
}

// A packet may still read the source before the current one, if that has come since the last grace
// period.
Result<unsigned> KernelPlane::put_source(uint32_t id, const BackendEntry& wanted) {
  ::backend& entry = maps_.backends[id];
  const unsigned current = entry.way.source;
  const ::address source = wire::to_wire(wanted.way.source);
  const bool same = std::memcmp(&entry.sources[current], &source, sizeof source) == 0;
  if (wanted.key.forwarding != Forwarding::tun || same) return current;
  if (moved_sources_.contains(id)) {
    if (const auto passed = wait_for_grace(); !passed) return passed.error();
  }
  moved_sources_.insert(id);
  entry.sources[1 - current] = source;
  return 1 - current;
}

Result<void> KernelPlane::change_backend(uint32_t id, const PutBackend& change) {
  const auto source = put_source(id, change.backend);
  if (!source) return source.error();
  ::backend& entry = maps_.backends[id];
  publish(entry.way.word, wire::to_wire(change.backend, *source).word);
  publish(entry.next_hop.word, wire::to_wire(change.backend.egress).word);
  publish(entry.weight, change.backend.weight);
  publish(entry.max_connections, change.backend.max_connections);
  publish(entry.min_connections, change.backend.min_connections);
  publish(entry.position, change.backend.position);
  publish(entry.service, scheduled_.at(change.service).id);
  publish(entry.state, wire::to_wire(change.backend.state));
  return {};
}

Result<void> KernelPlane::apply_one(const RemoveBackend& change) {
  const BackendPath path{change.service, change.backend};
  const uint32_t id = backend_ids_of_.at(path);
  backend_ids_of_.erase(path);
  if (const auto service = applied_.find(change.service); service != applied_.end()) {
    std::erase_if(service->second.backends,
                  [&](const BackendEntry& entry) { return entry.key == change.backend; });
  }
  retired_.emplace(id, Retired{});
  if (change.with_flows) {
    disown(id);
  } else {
    publish(maps_.backends[id].state, BACKEND_DRAINING);
    draining_.emplace(path, id);
  }
  return {};
}

// It goes with its service, whose id may soon be another's.
void KernelPlane::disown(uint32_t id) {
  publish(maps_.backends[id].state, BACKEND_GONE);
  publish(maps_.backends[id].service, 0U);
}

// ---- what has been removed ----

bool KernelPlane::has_flows(uint32_t backend) const {
  ::connections open{};
  if (bpf_map_lookup_elem(maps_.connections.fd.get(), &backend, &open) != 0) return true;
  // What is pending may be off, also below 0, until a sweep.
  return open.active != 0 || open.inactive != 0 || static_cast<__s32>(open.pending_active) > 0 ||
         static_cast<__s32>(open.pending_inactive) > 0;
}

void KernelPlane::swept() {
  // Two sweeps: a packet that still held the old table has by then recorded its flow, and it was
  // counted. Two more with nobody there: what else names it, as templates do, has been swept too.
  constexpr unsigned enough = 2;
  for (auto next = retired_.begin(); next != retired_.end();) {
    const auto current = next++;
    auto& [id, retired] = *current;
    if (++retired.sweeps < enough || has_flows(id)) continue;
    if (retired.gone) {
      free_backend(id);
      retired_.erase(current);
      continue;
    }
    disown(id);
    std::erase_if(draining_, [&, gone = id](const auto& one) { return one.second == gone; });
    retired = {0, true};
  }
}

void KernelPlane::free_backend(uint32_t id) {
  ::backend& entry = maps_.backends[id];
  if (entry.forwarding == FORWARDING_NAT) close_replies(wire::from_wire(entry).key.endpoint);
  publish(entry.state, BACKEND_FREE);
  backend_ids_.release(id, 1);
}

Result<uint32_t> KernelPlane::take(Regions& regions, uint32_t count, const char* what) {
  auto taken = regions.take(count);
  if (!taken && regions.has_released()) {
    if (const auto passed = wait_for_grace(); !passed) return passed.error();
    taken = regions.take(count);
  }
  if (taken) return *taken;
  return Error{std::string("no room left in ") + what + ": raise tables." + what +
                   " and start the data plane anew",
               ENOSPC};
}

Result<void> KernelPlane::wait_for_grace() {
  if (auto passed = grace_.wait(); !passed) return passed;
  service_ids_.settle();
  backend_ids_.settle();
  slots_.settle();
  index_.settle();
  moved_sources_.clear();
  return {};
}

// ---- settings ----

void KernelPlane::set(const Timeouts& timeouts, uint32_t refusals_per_second) {
  struct settings& settings = maps_.settings[0];
  const auto store = [&](enum flow_state state, std::chrono::seconds duration) {
    publish(settings.timeouts[state], static_cast<__u32>(jiffies(duration)));
  };
  store(FLOW_SYN, timeouts.tcp_syn);
  store(FLOW_ESTABLISHED, timeouts.tcp);
  store(FLOW_FIN, timeouts.tcp_fin);
  store(FLOW_CLOSED, timeouts.tcp_rst);
  store(FLOW_UDP, timeouts.udp);
  publish(settings.second, static_cast<__u32>(jiffies(std::chrono::seconds(1))));
  publish(settings.refusals_per_second, refusals_per_second);
}

void KernelPlane::set_route_generation(uint32_t generation) {
  publish(maps_.settings[0].route_generation, first_generation_ + generation);
}

bool KernelPlane::is_pinned(const std::string& pins_folder) const {
  const auto pinned = open_pinned_map(pins::path(pins_folder, pins::services));
  return pinned && pinned->id == maps_.services.map().id;
}

uint16_t KernelPlane::interface_number(int ifindex) const {
  for (const auto& slot : maps_.settings[0].interfaces) {
    if (slot.ifindex == static_cast<uint32_t>(ifindex)) return slot.self.hop.interface;
  }
  return 0;
}

void KernelPlane::set_mac(int ifindex, const Mac& mac) {
  for (auto& slot : maps_.settings[0].interfaces) {
    if (slot.ifindex != static_cast<uint32_t>(ifindex)) continue;
    next_hop self = slot.self;
    std::copy(mac.bytes.begin(), mac.bytes.end(), self.hop.mac);
    publish(slot.self.word, self.word);
  }
}

}  // namespace xlvs
