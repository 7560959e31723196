// SPDX-License-Identifier: MIT
#include "tests/harness/prog_run.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "expire.skel.h"
#include "xlvs.skel.h"

namespace xlvs::test {
namespace {

enum class Class : uint8_t { PASS, DROP, REFUSE, FORWARD };

struct VerdictRow {
  const char* name;
  Class kind;
};

constexpr std::array<VerdictRow, VERDICT_COUNT> verdict_rows = {{
#define X(name, class, help) {#name, Class::class},
    VERDICTS(X)
#undef X
}};

// Opens a skeleton, with another object in place of the one that is built in where $XLVS_OBJECTS
// names a folder with one: another compiler's. `object` holds it until it is loaded.
template <typename Skeleton>
Result<> open_skeleton(Skeleton& skeleton, int (*create)(Skeleton*), const std::string& name,
                       std::string& object) {
  if (const int error = create(&skeleton); error != 0)
    return Error::from_code("open " + name, error);
  const char* folder = std::getenv("XLVS_OBJECTS");  // NOLINT(concurrency-mt-unsafe): one thread
  if (folder != nullptr) {
    const std::string path = folder + ("/" + name);
    std::ifstream file(path, std::ios::binary);
    object.assign(std::istreambuf_iterator<char>(file), {});
    if (object.empty()) return Error::from_code("read " + path, ENOENT);
    skeleton.skeleton->data = object.data();
    skeleton.skeleton->data_sz = object.size();
  }
  const int error = bpf_object__open_skeleton(skeleton.skeleton, nullptr);
  if (error != 0) return Error::from_code("open " + name, error);
  return {};
}

// A skeleton is C's: its destroy() frees it.
template <typename Skeleton>
Skeleton* new_skeleton() {
  return static_cast<Skeleton*>(std::calloc(1, sizeof(Skeleton)));
}

// What a packet may grow by: an IPv6 and an ICMP header.
constexpr size_t room_to_grow = 256;

Result<> sized(bpf_map* map, uint32_t entries) {
  if (const int error = bpf_map__set_max_entries(map, entries); error != 0) {
    return Error::from_code("size map", error);
  }
  return {};
}

Result<> shared(const bpf_object* from, bpf_object* to) {
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, to) {
    const char* name = bpf_map__name(map);
    const bpf_map* owner = bpf_object__find_map_by_name(from, name);
    if (owner == nullptr) continue;
    if (const int error = bpf_map__reuse_fd(map, bpf_map__fd(owner)); error != 0) {
      return Error::from_code(std::string("share map ") + name, error);
    }
  }
  return {};
}

// Each next key is asked for before the last is deleted: without it, the kernel begins anew.
void clear(int hash, size_t key_size) {
  std::vector<uint8_t> key(key_size);
  std::vector<uint8_t> next(key_size);
  bool found = bpf_map_get_next_key(hash, nullptr, key.data()) == 0;
  while (found) {
    found = bpf_map_get_next_key(hash, key.data(), next.data()) == 0;
    bpf_map_delete_elem(hash, key.data());
    key.swap(next);
  }
}

Result<> fill_with_zeros(int array, uint32_t entries, size_t value_size) {
  std::vector<uint32_t> keys(entries);
  std::iota(keys.begin(), keys.end(), 0);
  const std::vector<uint8_t> values(entries * value_size);
  const int error = bpf_map_update_batch(array, keys.data(), values.data(), &entries, nullptr);
  if (error != 0) return Error::from_code("fill with zeros", error);
  return {};
}

Result<> wipe_map(const bpf_map* map) {
  const int fd = bpf_map__fd(map);
  const uint32_t entries = bpf_map__max_entries(map);
  const size_t size = bpf_map__value_size(map);
  switch (bpf_map__type(map)) {
    case BPF_MAP_TYPE_HASH:
    case BPF_MAP_TYPE_LRU_HASH:
      clear(fd, bpf_map__key_size(map));
      return {};
    case BPF_MAP_TYPE_ARRAY:
      return fill_with_zeros(fd, entries, size);
    case BPF_MAP_TYPE_PERCPU_ARRAY: {
      const auto cpus = static_cast<size_t>(libbpf_num_possible_cpus());
      return fill_with_zeros(fd, entries, (size + 7) / 8 * 8 * cpus);
    }
    default:
      return Error::from_code(std::string("wipe map ") + bpf_map__name(map), -EINVAL);
  }
}

Result<> wipe_maps(const bpf_object* object) {
  const bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object) {
    if (bpf_map__is_internal(map)) continue;  // constants, and the settings
    if (auto wiped = wipe_map(map); !wiped) return wiped;
  }
  return {};
}

}  // namespace

std::string verdict_name(int verdict) {
  if (verdict < 0 || verdict >= VERDICT_COUNT) return "no verdict";
  return verdict_rows.at(static_cast<size_t>(verdict)).name;
}

std::optional<xdp_action> action_of(verdict verdict) {
  switch (verdict_rows.at(static_cast<size_t>(verdict)).kind) {
    case Class::PASS:
      return XDP_PASS;
    case Class::DROP:
      return XDP_DROP;
    case Class::REFUSE:
      return XDP_TX;
    case Class::FORWARD:
      return std::nullopt;
  }
  return std::nullopt;
}

void Programs::Destroy::operator()(xlvs_bpf* skeleton) const { xlvs_bpf__destroy(skeleton); }
void Programs::Destroy::operator()(expire_bpf* skeleton) const { expire_bpf__destroy(skeleton); }

Programs::Programs(const Sizes& sizes)
    : sizes_(sizes), cpus_(static_cast<size_t>(libbpf_num_possible_cpus())) {}
Programs::Programs(Programs&&) noexcept = default;
Programs& Programs::operator=(Programs&&) noexcept = default;
Programs::~Programs() = default;

Result<Programs> Programs::load(const Sizes& sizes) {
  Programs programs(sizes);
  if (auto loaded = programs.open_and_load(); !loaded) return loaded.error();
  if (auto loaded = programs.load_expire(); !loaded) return loaded.error();
  programs.counted_ = programs.verdict_counts();
  return programs;
}

Result<> Programs::open_and_load() {
  std::string object;
  xlvs_.reset(new_skeleton<xlvs_bpf>());
  if (auto opened = open_skeleton(*xlvs_, xlvs_bpf__create_skeleton, "xlvs.bpf.o", object);
      !opened) {
    return opened;
  }
  const std::array<std::pair<bpf_map*, uint32_t>, 10> entries = {{
      {xlvs_->maps.endpoints, sizes_.buckets},
      {xlvs_->maps.services, sizes_.services},
      {xlvs_->maps.tables, sizes_.slots},
      {xlvs_->maps.backends, sizes_.backends},
      {xlvs_->maps.connections, sizes_.backends},
      {xlvs_->maps.backend_counters, sizes_.backends},
      {xlvs_->maps.destinations, sizes_.destinations},
      {xlvs_->maps.flows, sizes_.flows},
      {xlvs_->maps.pending, sizes_.pending},
      {xlvs_->maps.fragments, sizes_.fragments},
  }};
  for (const auto& [map, size] : entries) {
    if (auto set = sized(map, size); !set) return set;
  }
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, xlvs_->obj) { bpf_map__set_pin_path(map, nullptr); }
  xlvs_->rodata->index_mask = sizes_.buckets - 1;
  if (const int error = xlvs_bpf__load(xlvs_.get()); error != 0) {
    return Error::from_code("load the data plane", error);
  }
  return {};
}

Result<> Programs::load_expire() {
  std::string object;
  expire_.reset(new_skeleton<expire_bpf>());
  if (auto opened = open_skeleton(*expire_, expire_bpf__create_skeleton, "expire.bpf.o", object);
      !opened) {
    return opened;
  }
  expire_->rodata->index_mask = sizes_.buckets - 1;
  if (auto set = sized(expire_->maps.recount, sizes_.backends); !set) return set;
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, expire_->obj) { bpf_map__set_pin_path(map, nullptr); }
  if (auto done = shared(xlvs_->obj, expire_->obj); !done) return done;
  if (const int error = expire_bpf__load(expire_.get()); error != 0) {
    return Error::from_code("load the expiry program", error);
  }
  return {};
}

Result<> Programs::wipe() {
  live_settings() = {};
  if (auto wiped = wipe_maps(xlvs_->obj); !wiped) return wiped;
  if (auto wiped = wipe_maps(expire_->obj); !wiped) return wiped;
  counted_ = verdict_counts();
  return {};
}

Result<Outcome> Programs::run(std::span<const uint8_t> frame, const Arrival& arrival) {
  Bytes in(arrival.metadata, 0xee);
  in.insert(in.end(), frame.begin(), frame.end());
  Outcome outcome;
  outcome.frame.resize(in.size() + room_to_grow);
  xdp_md context{};
  context.data = static_cast<uint32_t>(arrival.metadata);
  context.data_end = static_cast<uint32_t>(in.size());
  context.ingress_ifindex = arrival.ingress_ifindex;
  LIBBPF_OPTS(bpf_test_run_opts, options);
  options.data_in = in.data();
  options.data_size_in = static_cast<uint32_t>(in.size());
  options.data_out = outcome.frame.data();
  options.data_size_out = static_cast<uint32_t>(outcome.frame.size());
  options.repeat = 1;
  xdp_md context_out{};
  if (arrival.metadata != 0 || arrival.ingress_ifindex != 0) {
    options.ctx_in = &context;
    options.ctx_size_in = sizeof(context);
    options.ctx_out = &context_out;
    options.ctx_size_out = sizeof(context_out);
  }
  const int error = bpf_prog_test_run_opts(bpf_program__fd(xlvs_->progs.xlvs), &options);
  if (error != 0) return Error::from_code("run packet", error);
  outcome.frame.resize(options.data_size_out);
  if (options.ctx_in != nullptr) {
    outcome.frame.erase(outcome.frame.begin(), outcome.frame.begin() + context_out.data);
  }
  outcome.action = static_cast<int>(options.retval);

  const auto before = std::exchange(counted_, verdict_counts());
  uint64_t counted = 0;
  for (size_t i = 0; i < counted_.size(); ++i) {
    if (counted_[i] != before[i]) outcome.verdict = static_cast<int>(i);
    counted += counted_[i] - before[i];
  }
  if (counted != 1) outcome.verdict = -1;
  return outcome;
}

Result<sweep> Programs::expire() {
  sweep result{};
  LIBBPF_OPTS(bpf_test_run_opts, options);
  options.ctx_in = &result;  // and out: the kernel copies it back
  options.ctx_size_in = sizeof(result);
  const int error = bpf_prog_test_run_opts(bpf_program__fd(expire_->progs.expire), &options);
  if (error != 0) return Error::from_code("run the expiry program", error);
  return result;
}

int Programs::fd() const { return bpf_program__fd(xlvs_->progs.xlvs); }

int Programs::map(const char* name) const {
  return bpf_object__find_map_fd_by_name(xlvs_->obj, name);
}

settings& Programs::live_settings() { return xlvs_->data_settings->settings; }

std::vector<uint64_t> Programs::verdict_counts() const {
  std::vector<uint64_t> counts(VERDICT_COUNT);
  std::vector<counter> per_cpu(VERDICT_COUNT * cpus_);
  std::array<uint32_t, VERDICT_COUNT> keys{};
  uint32_t next = 0;
  uint32_t count = VERDICT_COUNT;
  // One call for all: a packet test is mostly system calls. ENOENT says that this was the end.
  bpf_map_lookup_batch(bpf_map__fd(xlvs_->maps.verdicts), nullptr, &next, keys.data(),
                       per_cpu.data(), &count, nullptr);
  for (size_t i = 0; i < count; ++i) {
    for (size_t cpu = 0; cpu < cpus_; ++cpu) {
      counts[keys.at(i)] += per_cpu[i * cpus_ + cpu].packets;
    }
  }
  return counts;
}

uint64_t Programs::events(event event) const {
  std::vector<uint64_t> per_cpu(cpus_);
  const uint32_t key = event;
  bpf_map_lookup_elem(bpf_map__fd(xlvs_->maps.events), &key, per_cpu.data());
  uint64_t sum = 0;
  for (const uint64_t count : per_cpu) sum += count;
  return sum;
}

backend_counters Programs::counters(uint32_t backend) const {
  std::vector<backend_counters> per_cpu(cpus_);
  bpf_map_lookup_elem(bpf_map__fd(xlvs_->maps.backend_counters), &backend, per_cpu.data());
  backend_counters sum{};
  for (const backend_counters& one : per_cpu) {
    sum.flows += one.flows;
    sum.packets_in += one.packets_in;
    sum.bytes_in += one.bytes_in;
    sum.packets_out += one.packets_out;
    sum.bytes_out += one.bytes_out;
  }
  return sum;
}

}  // namespace xlvs::test
