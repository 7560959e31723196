// SPDX-License-Identifier: MIT
#pragma once

#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "bpf/types.h"
#include "loader/plane/grace_period.h"
#include "loader/plane/index.h"
#include "loader/plane/map.h"
#include "loader/plane/openings.h"
#include "loader/plane/plane.h"
#include "loader/plane/port_ranges.h"
#include "loader/plane/regions.h"
#include "loader/state/tables.h"

namespace xlvs {

// The only writer of the pinned maps. It begins with what it finds in them, so that an agent goes
// on where the last one ended, however that was.
class KernelPlane final : public Plane {
 public:
  static Result<std::unique_ptr<KernelPlane>> open(const std::string& pins);

  [[nodiscard]] const State& applied() const override { return applied_; }
  Result<void> apply(const Change& change) override;

  // Timeouts and the limit of answers.
  void set(const Timeouts& timeouts, uint32_t refusals_per_second);
  // The ways to clients may have changed: they are looked up again.
  void set_route_generation(uint32_t generation);
  // The MAC address of an attached interface has changed.
  void set_mac(int ifindex, const Mac& mac);
  // The number that hops name an attached interface by, 0 if xlvs is not attached to it.
  [[nodiscard]] uint16_t interface_number(int ifindex) const;

  // Are its maps still those in the folder?
  [[nodiscard]] bool is_pinned(const std::string& pins) const;

  // To be called after each sweep: frees backends whose flows have ended.
  void swept();
  // How many removed backends still have flows.
  [[nodiscard]] size_t retired() const { return retired_.size(); }

 private:
  using BackendPath = std::pair<ServiceKey, BackendKey>;

  struct Maps {
    MappedArray<index_bucket> endpoints;
    MappedArray<::service> services;
    MappedArray<slot> tables;
    MappedArray<::backend> backends;
    MappedArray<struct settings> settings;
    Map connections;
    Map backend_counters;
    Map destinations;
  };
  struct Scheduled {  // what a service's table was made from
    uint32_t id = 0;
    Scheduling scheduling;
    std::vector<tables::Candidate> list;
  };

  KernelPlane(Maps maps, GracePeriod grace);
  static Result<Maps> open_maps(const std::string& pins);

  void adopt();
  void adopt_services();
  void adopt_ports();
  void adopt_backend(uint32_t id, const std::map<uint32_t, ServiceKey>& services);
  void adopt_table(ServiceEntry& service);
  void adopt_replies();

  Result<void> apply_one(const AddService& change);
  Result<void> apply_one(const PutBackend& change);
  Result<void> apply_one(const SetTable& change);
  Result<void> apply_one(const OpenEndpoint& change);
  Result<void> apply_one(const CloseEndpoint& change);
  Result<void> apply_one(const RemoveBackend& change);
  Result<void> apply_one(const RemoveService& change);

  Result<uint32_t> add_backend(const PutBackend& change);
  void disown(uint32_t id);
  Result<void> change_backend(uint32_t id, const PutBackend& change);
  // Which of the entry's sources holds the one wanted, which is written if need be.
  Result<unsigned> put_source(uint32_t id, const BackendEntry& wanted);
  [[nodiscard]] std::vector<tables::Candidate> candidates(const ServiceKey& service,
                                                          const std::vector<Member>& members) const;
  [[nodiscard]] std::vector<tables::Candidate> read_slots(table_region region) const;
  [[nodiscard]] tables::Past past_of(const Scheduled& scheduled) const;
  // How many slots a table takes, with its cursor and its members.
  [[nodiscard]] uint32_t extent(table_region region) const;
  Result<table_region> write_table(const Scheduling& scheduling, const tables::Table& table);
  void patch_table(uint32_t service, const std::vector<tables::Candidate>& list);
  void publish_table(uint32_t service, table_region region);
  void forget_destinations(uint32_t service);
  // Puts a key into the index, after a grace period if only erased entries have room.
  Result<void> enter(const endpoint_key& key, uint64_t word);
  void close(const ServiceKey& endpoint);
  void set_open(ServiceEntry& service, const ServiceKey& endpoint, bool open);
  // Writes anew where people see its backends.
  void show_backends(const ServiceEntry& service);
  [[nodiscard]] std::span<slot> slots_of(const PortRegion& region) const;
  Result<void> open_ports(const ServiceKey& endpoint, uint32_t service);
  Result<void> write_ports(const endpoint_key& key, const std::vector<slot>& ranges);
  void close_ports(const ServiceKey& endpoint);
  void leave_only(const PortRegion& region, const std::vector<slot>& ranges);
  Result<void> open_replies(const Endpoint& backend);
  void close_replies(const Endpoint& backend);
  void publish_replies();
  [[nodiscard]] bool has_flows(uint32_t backend) const;
  void free_backend(uint32_t id);

  // Takes entries, after a grace period if only released ones are left.
  Result<uint32_t> take(Regions& regions, uint32_t count, const char* what);
  Result<void> wait_for_grace();

  Maps maps_;
  GracePeriod grace_;
  Index index_;
  Regions service_ids_;
  Regions backend_ids_;
  Regions slots_;
  State applied_;
  uint32_t first_generation_ = 0;  // of routes: records hold those of earlier agents
  std::map<ServiceKey, Scheduled> scheduled_;
  std::map<BackendPath, uint32_t> backend_ids_of_;
  struct Retired {
    unsigned sweeps = 0;  // since it was removed, or since it is GONE
    bool gone = false;
  };
  std::map<uint32_t, Retired> retired_;                 // removed backends
  std::map<BackendPath, uint32_t> draining_;            // those of them that may come back
  std::set<uint32_t> moved_sources_;                    // backends, since the last grace period
  std::map<ServiceKey, ServiceKey> owners_;             // endpoint -> service
  std::map<ServiceKey, std::vector<OpenPorts>> ports_;  // by vip, in the order they were opened
  uint32_t any_port_replies_ = 0;
  std::map<Endpoint, unsigned> reply_users_;  // backends by where they answer from
};

}  // namespace xlvs
