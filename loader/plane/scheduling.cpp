// SPDX-License-Identifier: MIT
// Who new flows are given to: what a KernelPlane writes to a service's table.
#include <bpf/bpf.h>

#include <atomic>
#include <bit>
#include <map>

#include "bpf/types.h"
#include "loader/base/log.h"
#include "loader/plane/kernel_plane.h"
#include "loader/plane/publish.h"
#include "loader/plane/wire.h"
#include "loader/state/tables.h"

namespace xlvs {

namespace {

uint64_t read_cursor(const MappedArray<slot>& tables, table_region region) {
  return std::atomic_ref(tables[region.offset].cursor).load();
}

}  // namespace

std::vector<tables::Candidate> KernelPlane::candidates(const ServiceKey& service,
                                                       const std::vector<Member>& members) const {
  std::vector<tables::Candidate> list;
  list.reserve(members.size());
  for (const auto& member : members) {
    const auto address = wire::reply_key(member.key.endpoint);
    list.push_back({backend_ids_of_.at({service, member.key}), member.weight, member.share,
                    endpoint_hash(&address)});
  }
  return list;
}

std::vector<tables::Candidate> KernelPlane::read_slots(table_region region) const {
  std::vector<tables::Candidate> slots(region.size);
  for (uint32_t i = 0; i < region.size; ++i) {
    const slot& one = maps_.tables[region.offset + 1 + i];
    slots[i] = {.id = one.backend, .weight = one.weight};
  }
  return slots;
}

tables::Past KernelPlane::past_of(const Scheduled& scheduled) const {
  const ::service& entry = maps_.services[scheduled.id];
  const auto region = region_of(entry);
  tables::Past past{
      .scheduler = scheduled.scheduling.scheduler, .list = scheduled.list, .mark = entry.mark};
  if (region.size == 0) return past;
  past.cursor = read_cursor(maps_.tables, region);
  for (const auto& slot : read_slots(region)) past.slots.push_back(slot.id);
  return past;
}

Result<table_region> KernelPlane::write_table(const Scheduling& scheduling,
                                              const tables::Table& table) {
  const auto slots = wire::to_wire(table);
  if (slots.empty()) return table_region{};
  const auto offset = take(slots_, static_cast<uint32_t>(slots.size()), "slots");
  if (!offset) return offset.error();
  std::copy(slots.begin(), slots.end(), maps_.tables.values().subspan(*offset).begin());
  return wire::to_wire(scheduling, *offset, static_cast<uint32_t>(table.slots.size()));
}

uint32_t KernelPlane::extent(table_region region) const {
  if (region.size == 0) return 0;
  const uint32_t slots = 1 + region.size;
  const bool is_long = tables::is_long(static_cast<Scheduler>(region.scheduler), region.size);
  return is_long ? slots + 1 + static_cast<uint32_t>(maps_.tables[region.offset + slots].members)
                 : slots;
}

void KernelPlane::publish_table(uint32_t service, table_region region) {
  const auto old = region_of(maps_.services[service]);
  publish(maps_.services[service].table, std::bit_cast<__u64>(region));
  if (old.size > 0) slots_.release(old.offset, extent(old));
}

// Where there is no room for a new table: the turns of those that serve no longer go to others,
// each by one store. Its shares are not right, but nobody waits for a dead backend.
void KernelPlane::patch_table(uint32_t service, const std::vector<tables::Candidate>& list) {
  std::map<uint32_t, uint64_t> serving;  // slots by id
  for (const auto& candidate : list) {
    if (candidate.weight > 0) serving[candidate.id] = wire::to_wire(candidate).cursor;
  }
  if (serving.empty()) return publish_table(service, {});
  const auto region = region_of(maps_.services[service]);
  const auto slots = maps_.tables.values().subspan(region.offset, extent(region));
  auto next = serving.begin();
  for (size_t i = 1; i < slots.size(); ++i) {
    if (i == 1 + size_t{region.size} || serving.contains(slots[i].backend)) continue;
    publish(slots[i].cursor, static_cast<__u64>(next->second));
    if (++next == serving.end()) next = serving.begin();
  }
}

Result<void> KernelPlane::apply_one(const SetTable& change) {
  Scheduled& scheduled = scheduled_.at(change.service);
  ServiceEntry& applied = applied_.at(change.service);
  ::service& entry = maps_.services[scheduled.id];
  auto members = change.members;
  std::erase_if(members, [&](const Member& member) {
    return !backend_ids_of_.contains({change.service, member.key});
  });
  // Tried again, and still without those that have no room.
  if (applied.table == members && applied.name == change.name &&
      applied.scheduling == change.scheduling) {
    return {};
  }
  const auto list = candidates(change.service, members);
  const auto table = tables::make(change.scheduling, list, past_of(scheduled));
  if (table.apportioned) {
    spdlog::warn("service {}: its weights need more than {} slots; shares are approximate",
                 change.name, tables::max_slots);
  }
  const auto region = write_table(change.scheduling, table);
  if (!region) {
    patch_table(scheduled.id, list);
    applied.table.reset();
    return region.error().in("service " + change.name);
  }
  publish_table(scheduled.id, *region);
  if (scheduled.scheduling.scheduler != change.scheduling.scheduler) {
    forget_destinations(scheduled.id);
  }
  // Not read by packets:
  entry.mark = table.mark;
  wire::copy_text(change.name, entry.name);
  wire::set_scheduling(entry, change.scheduling);
  scheduled.scheduling = change.scheduling;
  scheduled.list = list;
  applied.name = change.name;
  applied.scheduling = change.scheduling;
  applied.table = std::move(members);
  return {};
}

// A scheduler begins without those of another, as with IPVS.
void KernelPlane::forget_destinations(uint32_t service) {
  const int map = maps_.destinations.fd.get();
  std::vector<destination_key> keys;
  destination_key key{};
  for (bool any = bpf_map_get_next_key(map, nullptr, &key) == 0; any;
       any = bpf_map_get_next_key(map, &key, &key) == 0) {
    if (key.service == service) keys.push_back(key);
  }
  for (const auto& one : keys) bpf_map_delete_elem(map, &one);
}

}  // namespace xlvs
