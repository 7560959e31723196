// SPDX-License-Identifier: MIT
#include "tests/harness/director.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <sched.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <set>

namespace xlvs::test {
namespace {

template <typename T>
T or_exit(Result<T> result) {
  if (!result) {
    (void)std::fprintf(stderr, "%s\n", result.error().message.c_str());
    std::exit(1);
  }
  return *std::move(result);
}

address key_address(const Address& from) {
  address to{};
  std::memcpy(&to, from.bytes().data(), sizeof(to));
  return to;
}

endpoint_key key_endpoint(const Endpoint& endpoint, uint8_t protocol, endpoint_kind kind) {
  endpoint_key key{};
  key.address = key_address(endpoint.address);
  key.port = endpoint.port;
  key.protocol = protocol;
  key.kind = kind;
  return key;
}

next_hop hop_to(const Mac& mac, uint16_t interface) {
  next_hop hop{};
  std::copy(mac.bytes.begin(), mac.bytes.end(), hop.hop.mac);
  hop.hop.interface = interface;
  return hop;
}

// Counters are per CPU, and so is the limit of refusals: the tests stay on one. And what routes the
// host has is nothing to them: they have a network namespace of their own.
void settle() {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(sched_getcpu(), &one);
  if (sched_setaffinity(0, sizeof(one), &one) != 0) (void)std::perror("stay on one CPU");
  static const int own_network = unshare(CLONE_NEWNET);
  if (own_network != 0) (void)std::perror("make a network namespace");
}

}  // namespace

flow_key key_of(const Endpoint& from, const Endpoint& to, uint8_t protocol,
                enum direction direction) {
  flow_key key{};
  key.client = key_address(from.address);
  key.server = key_address(to.address);
  key.client_port = from.port;
  key.server_port = to.port;
  key.protocol = protocol;
  key.direction = direction;
  return key;
}

Director::Director(const Sizes& sizes) : programs_((settle(), or_exit(lend(sizes)))) {
  settings& now = live();
  now.timeouts[FLOW_SYN] = syn_timeout;
  now.timeouts[FLOW_ESTABLISHED] = established_timeout;
  now.timeouts[FLOW_FIN] = fin_timeout;
  now.timeouts[FLOW_CLOSED] = closed_timeout;
  now.timeouts[FLOW_UDP] = udp_timeout;
  now.second = 1'000'000;
  now.refusals_per_second = 1'000'000;
  now.interfaces[0].self = hop_to(director_mac, 1);
  now.interfaces[0].ifindex = 1;
  now.interfaces[1].self = hop_to(second_director_mac, 2);
  now.interfaces[1].ifindex = 2;
  initial_ = now;
}

uint32_t Director::add_backend(const NewBackend& wanted) {
  const uint32_t id = ++backends_;
  backend entry{};
  if (wanted.mac) entry.next_hop = hop_to(*wanted.mac, wanted.interface);
  entry.ip = key_address(wanted.endpoint.address);
  entry.forwarding = wanted.forward;
  entry.state = wanted.state;
  entry.port = wanted.endpoint.port;
  entry.weight = 1;
  entry.fallback = wanted.fallback ? 1 : 0;
  entry.way = wanted.way;
  if (wanted.source) entry.sources[wanted.way.source] = key_address(*wanted.source);
  update("backends", &id, &entry);
  if (wanted.forward == FORWARDING_NAT) {
    enter(wanted.endpoint, 0, ENDPOINT_REPLY, 1);
    if (wanted.endpoint.port == 0) {
      initial_.any_port_replies = ++live().any_port_replies;
    } else {
      initial_.port_replies = ++live().port_replies;
    }
  }
  return id;
}

uint32_t Director::add_service(const Endpoint& at, uint8_t protocol,
                               const std::vector<uint32_t>& table) {
  const uint32_t id = ++services_;
  service entry{};
  entry.key = key_endpoint(at, protocol, ENDPOINT_SERVICE);
  update("services", &id, &entry);
  set_table(id, table);
  add_endpoint(id, at, protocol);
  return id;
}

void Director::add_endpoint(uint32_t service, const Endpoint& at, uint8_t protocol) {
  enter(at, protocol, ENDPOINT_SERVICE, service);
}

void Director::add_ports(const Address& address, uint8_t protocol, uint32_t others,
                         const std::vector<port_range>& ranges) {
  const uint64_t word = uint64_t{ranges.size()} << 32U | slots_;
  slot one{};
  one.ports.service = others;
  append(one);
  for (const port_range& range : ranges) {
    one.ports = range;
    append(one);
  }
  enter({address, 0}, protocol, ENDPOINT_PORTS, word);
  initial_.port_endpoints = ++live().port_endpoints;
}

void Director::append(const slot& one) {
  update("tables", &slots_, &one);
  ++slots_;
}

void Director::set_table(uint32_t service_id, const std::vector<uint32_t>& table) {
  std::vector<slot> slots(table.size());
  for (size_t i = 0; i < table.size(); ++i) {
    slots[i].backend = table[i];
    slots[i].weight = 1;
  }
  set_table(service_id, {}, slots);
}

void Director::set_table(uint32_t service_id, table_region how, const std::vector<slot>& slots,
                         const std::optional<std::vector<slot>>& members) {
  how.offset = slots_;
  how.size = static_cast<uint32_t>(slots.size()) & 0xfffff;
  append({});
  for (const slot& one : slots) append(one);
  if (members) {
    slot count{};
    count.members = members->size();
    append(count);
    for (const slot& one : *members) append(one);
  }
  service entry{};
  if (!look("services", &service_id, &entry)) std::abort();
  std::memcpy(&entry.table, &how, sizeof(how));
  update("services", &service_id, &entry);
  std::set<uint32_t> named;
  for (const slot& one : slots) named.insert(one.backend);
  for (const uint32_t one : named) set_service(one, service_id);
}

void Director::set_persistence(uint32_t service_id, uint32_t seconds, uint8_t prefix,
                               bool keep_drained) {
  service entry{};
  if (!look("services", &service_id, &entry)) std::abort();
  entry.persistence = seconds;
  entry.persistence_prefix = prefix;
  entry.keep_drained = keep_drained ? 1 : 0;
  update("services", &service_id, &entry);
}

void Director::set_one_packet(uint32_t service_id) {
  service entry{};
  if (!look("services", &service_id, &entry)) std::abort();
  entry.one_packet = 1;
  update("services", &service_id, &entry);
}

void Director::set_limits(uint32_t backend_id, uint32_t max_connections, uint32_t min_connections) {
  backend entry{};
  if (!look("backends", &backend_id, &entry)) std::abort();
  entry.max_connections = max_connections;
  entry.min_connections = min_connections;
  update("backends", &backend_id, &entry);
}

void Director::set_mtu(uint32_t backend_id, uint16_t mtu) {
  backend entry{};
  if (!look("backends", &backend_id, &entry)) std::abort();
  entry.way.mtu = mtu;
  update("backends", &backend_id, &entry);
}

void Director::set_state(uint32_t backend_id, backend_state state) {
  backend entry{};
  if (!look("backends", &backend_id, &entry)) std::abort();
  entry.state = state;
  update("backends", &backend_id, &entry);
}

void Director::set_weight(uint32_t backend_id, uint32_t weight) {
  backend entry{};
  if (!look("backends", &backend_id, &entry)) std::abort();
  entry.weight = weight;
  update("backends", &backend_id, &entry);
}

void Director::set_service(uint32_t backend_id, uint32_t service_id) {
  backend entry{};
  if (!look("backends", &backend_id, &entry)) std::abort();
  entry.service = service_id;
  update("backends", &backend_id, &entry);
}

// As the agent does: the first bucket before the second, and the word last.
void Director::enter(const Endpoint& endpoint, uint8_t protocol, endpoint_kind kind,
                     uint64_t word) {
  const endpoint_key key = key_endpoint(endpoint, protocol, kind);
  const uint64_t hash = endpoint_hash(&key);
  const uint64_t mask = programs_->sizes().buckets - 1;
  for (const uint64_t choice : {hash & mask, hash >> 32 & mask}) {
    const auto number = static_cast<uint32_t>(choice);
    index_bucket bucket{};
    if (!look("endpoints", &number, &bucket)) std::abort();
    auto* const end = std::end(bucket.entries);
    auto* const free = std::find_if(bucket.entries, end, [&](const auto& entry) {
      return entry.word == 0 || std::memcmp(&entry.key, &key, sizeof key) == 0;
    });
    if (free == end) continue;
    free->key = key;
    free->word = word;
    update("endpoints", &number, &bucket);
    return;
  }
  std::abort();
}

Outcome Director::run(const Bytes& frame, const Arrival& arrival) {
  return or_exit(programs_->run(frame, arrival));
}

sweep Director::expire() { return or_exit(programs_->expire()); }

std::optional<flow> Director::confirmed(const flow_key& key) const {
  flow record{};
  return look("flows", &key, &record) ? std::optional(record) : std::nullopt;
}

std::optional<flow> Director::pending(const flow_key& key) const {
  flow record{};
  return look("pending", &key, &record) ? std::optional(record) : std::nullopt;
}

void Director::put_confirmed(const flow_key& key, const flow& record) {
  update("flows", &key, &record);
}

void Director::put_pending(const flow_key& key, const flow& record) {
  update("pending", &key, &record);
}

void Director::evict_pending(const flow_key& key) {
  if (bpf_map_delete_elem(programs_->map("pending"), &key) != 0) std::abort();
}

void Director::age(const flow_key& key, uint32_t jiffies) {
  for (const char* map : {"flows", "pending"}) {
    flow record{};
    if (!look(map, &key, &record)) continue;
    record.last_seen -= jiffies;
    update(map, &key, &record);
  }
}

std::optional<destination> Director::held(uint32_t service_id, const Address& address) const {
  const destination_key key{service_id, key_address(address)};
  destination entry{};
  return look("destinations", &key, &entry) ? std::optional(entry) : std::nullopt;
}

void Director::put_held(uint32_t service_id, const Address& address, const destination& held) {
  const destination_key key{service_id, key_address(address)};
  update("destinations", &key, &held);
}

void Director::forget_held(uint32_t service_id, const Address& address) {
  const destination_key key{service_id, key_address(address)};
  bpf_map_delete_elem(programs_->map("destinations"), &key);
}

void Director::set_open(uint32_t backend_id, const connections& open) {
  update("connections", &backend_id, &open);
}

connections Director::open(uint32_t backend_id) const {
  connections counts{};
  if (!look("connections", &backend_id, &counts)) std::abort();
  return counts;
}

template <typename Key, typename Value>
std::vector<std::pair<Key, Value>> Director::entries(const char* map) const {
  std::vector<std::pair<Key, Value>> all;
  Key key{};
  const Key* previous = nullptr;
  Key next{};
  while (bpf_map_get_next_key(programs_->map(map), previous, &next) == 0) {
    key = next;
    previous = &key;
    Value value{};
    if (look(map, &key, &value)) all.emplace_back(key, value);
  }
  return all;
}

std::vector<std::pair<flow_key, flow>> Director::records(const char* map) const {
  return entries<flow_key, flow>(map);
}

std::vector<std::pair<fragment_key, first_fragment>> Director::fragments() const {
  return entries<fragment_key, first_fragment>("fragments");
}

void Director::age_fragments(uint32_t jiffies) {
  for (auto [key, first] : fragments()) {
    first.until -= jiffies;
    update("fragments", &key, &first);
  }
}

void Director::reset() {
  live() = initial_;
  for (const char* map : {"flows", "pending"}) {
    for (const auto& [key, record] : records(map)) {
      bpf_map_delete_elem(programs_->map(map), &key);
    }
  }
  for (const auto& [key, first] : fragments()) {
    bpf_map_delete_elem(programs_->map("fragments"), &key);
  }
  const connections none{};
  for (uint32_t id = 0; id < programs_->sizes().backends; ++id) update("connections", &id, &none);
}

void Director::update(const char* map, const void* key, const void* value, uint64_t flags) {
  if (bpf_map_update_elem(programs_->map(map), key, value, flags) != 0) {
    (void)std::perror(map);
    std::exit(1);
  }
}

bool Director::look(const char* map, const void* key, void* value) const {
  return bpf_map_lookup_elem(programs_->map(map), key, value) == 0;
}

}  // namespace xlvs::test
