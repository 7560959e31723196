// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "loader/base/address.h"
#include "loader/base/result.h"
#include "loader/plane/driver_counters.h"
#include "loader/state/state.h"

// What the pinned maps hold at one moment, read without the agent.
namespace xlvs::snapshot {

struct Counters {
  uint64_t flows = 0;
  uint64_t packets_in = 0;
  uint64_t bytes_in = 0;  // of IP packets
  uint64_t packets_out = 0;
  uint64_t bytes_out = 0;

  Counters& operator+=(const Counters& other);
};

struct BackendView {
  BackendEntry entry;
  bool draining = false;  // no longer configured, its flows go on
  bool serves = false;    // takes new flows
  bool full = false;      // but not now: max_connections was reached
  uint32_t active = 0;    // open flows; those only opened are among them
  uint32_t inactive = 0;
  Counters counters;
};

struct ServiceView {
  ServiceKey key;
  std::vector<ServiceKey> also;  // its further endpoints
  std::string name;
  Scheduling scheduling;
  std::vector<BackendView> backends;

  // Where people see a backend of it.
  [[nodiscard]] Endpoint shown(const BackendView& backend) const {
    return xlvs::shown(backend.entry.key.endpoint, common_port(key, also));
  }
};

struct VerdictView {
  std::string name;
  std::string help;
  uint64_t packets = 0;
  uint64_t bytes = 0;
};

struct FlowView {
  Protocol protocol = Protocol::tcp;
  std::string state;  // "ESTABLISHED"
  std::chrono::seconds expires{};
  Endpoint client;
  Endpoint vip;
  Endpoint backend;
};

struct View {
  std::vector<ServiceView> services;  // by protocol and vip
  std::vector<VerdictView> verdicts;
  std::vector<DriverCounter> losses;  // after the verdict
  uint32_t flows_size = 0;            // room in flows, entries
};

Result<View> read(const std::string& pins);
// Both directions' records are one flow; pending ones are among them.
Result<std::vector<FlowView>> read_flows(const std::string& pins);

}  // namespace xlvs::snapshot
