// SPDX-License-Identifier: MIT
#pragma once

#include <linux/bpf.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "bpf/types.h"
#include "loader/base/result.h"
#include "tests/harness/packet.h"

struct xlvs_bpf;
struct expire_bpf;

namespace xlvs::test {

// The name of a verdict, as in VERDICTS; "no verdict" for anything else.
std::string verdict_name(int verdict);

// The XDP action of a verdict that is not FORWARD's, whose action is the forwarding's own.
std::optional<xdp_action> action_of(verdict verdict);

// Entries of each map; small, so that they can be made full.
struct Sizes {
  uint32_t flows = 1024;
  uint32_t pending = 1024;
  uint32_t fragments = 1024;
  uint32_t services = 256;
  uint32_t backends = 256;
  uint32_t slots = 4096;
  uint32_t buckets = 128;  // a power of two
  uint32_t destinations = 64;
  bool operator==(const Sizes&) const = default;
};

// What became of one packet.
struct Outcome {
  int action = -1;   // enum xdp_action
  int verdict = -1;  // enum verdict; -1 unless exactly one counter moved by exactly one
  Bytes frame;
};

// How a packet comes in. Metadata are bytes in front of the frame, as another program leaves them.
struct Arrival {
  size_t metadata = 0;
  uint32_t ingress_ifindex = 0;  // 0: the loopback interface, 1
};

// The programs of the data plane with maps of their own, loaded by the kernel and attached nowhere.
class Programs {
 public:
  static Result<Programs> load(const Sizes& sizes);
  Programs(Programs&&) noexcept;
  Programs& operator=(Programs&&) noexcept;
  Programs(const Programs&) = delete;
  Programs& operator=(const Programs&) = delete;
  ~Programs();

  // All maps and settings as they were when loaded.
  Result<> wipe();

  // Fails where the kernel refuses to run the packet, not where the program drops it.
  Result<Outcome> run(std::span<const uint8_t> frame, const Arrival& arrival = {});
  // One run of the expiry program over the same maps.
  Result<sweep> expire();

  // Of the XDP program, for tests that run packets by themselves.
  [[nodiscard]] int fd() const;
  // By its name in maps.h.
  [[nodiscard]] int map(const char* name) const;
  [[nodiscard]] settings& live_settings();
  [[nodiscard]] const Sizes& sizes() const { return sizes_; }
  // Of all CPUs.
  [[nodiscard]] uint64_t events(event event) const;
  [[nodiscard]] backend_counters counters(uint32_t backend) const;

 private:
  explicit Programs(const Sizes& sizes);
  Result<> open_and_load();
  Result<> load_expire();
  [[nodiscard]] std::vector<uint64_t> verdict_counts() const;

  struct Destroy {
    void operator()(xlvs_bpf* skeleton) const;
    void operator()(expire_bpf* skeleton) const;
  };
  Sizes sizes_;
  size_t cpus_;
  std::unique_ptr<xlvs_bpf, Destroy> xlvs_;
  std::unique_ptr<expire_bpf, Destroy> expire_;
  std::vector<uint64_t> counted_;  // verdicts so far
};

}  // namespace xlvs::test
