// SPDX-License-Identifier: MIT
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "health/monitor.h"
#include "loader/base/asio.h"
#include "loader/base/result.h"
#include "loader/config/config.h"
#include "loader/file_watch.h"
#include "loader/plane/data_plane.h"
#include "loader/plane/kernel_plane.h"
#include "loader/plane/links.h"
#include "loader/plane/lock.h"
#include "loader/plane/neighbours.h"
#include "loader/plane/netlink_events.h"
#include "loader/plane/sweeper.h"
#include "loader/plane/vips.h"
#include "loader/state/configuration.h"
#include "loader/state/effective.h"

namespace xlvs {

// The agent: one event loop. Whatever happens (the file changed, a check flipped, a neighbour
// moved), the wanted state is computed anew and the kernel's tables are made equal to it.
class Agent {
 public:
  Agent(boost::asio::io_context& loop, std::string file, std::string pins);
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;
  Agent(Agent&&) = delete;
  Agent& operator=(Agent&&) = delete;
  ~Agent();

  // Takes the lock, attaches or adopts, and balances from then on, until a signal stops the loop.
  // What was loaded has a configuration.
  Result<void> start(config::Loaded loaded);
  // What SIGTERM does: undoes what on_stop says.
  Result<void> stop();

 private:
  Result<void> begin(Configuration configuration);
  static Result<void> check_tags(const Configuration& configuration);
  Result<void> attach(const Configuration& configuration);
  void configure(Configuration configuration);
  void watch_backends();
  void watch_neighbours();
  [[nodiscard]] std::set<Address> vips() const;
  void set_vips(const std::set<Address>& wanted);
  void check_forwarding();
  void follow_links();
  // Attaches again where xlvs was taken off, or where an interface was made anew.
  void keep_attached();
  // An address of the machine's has gone: one of the vips?
  void follow_addresses();
  void wait_for_signal();
  // Reads the file again; an unusable one leaves everything as it is.
  void reload(bool even_if_same);
  void log_notes(size_t count) const;
  // Detaches from those that the configuration does not name.
  void leave_interfaces(const std::vector<std::string>& wanted);

  void reconcile();
  // Reconciles soon, once for all events of this turn of the loop.
  void reconcile_soon();
  [[nodiscard]] Observation observe(const Service& service, const Backend& backend,
                                    bool fallback) const;
  void log_reachability(const Change& change) const;
  void log_failures(std::map<ServiceKey, std::string> failures);
  [[nodiscard]] std::string why_unreachable(const BackendKey& key) const;
  void log_ready();

  void sweep_for_ever(std::stop_token stop);

  boost::asio::io_context& loop_;
  std::string file_;
  std::string pins_;
  std::optional<Lock> lock_;
  std::unique_ptr<KernelPlane> plane_;
  std::vector<data_plane::Attachment> attached_;
  Configuration configuration_;
  health::Monitor monitor_;
  Links links_;
  Neighbours neighbours_;
  Vips vips_;
  netlink::Events addresses_;
  bool address_gone_ = false;
  FileWatch file_watch_;
  boost::asio::signal_set signals_;
  std::string text_;                            // of the file, as last read
  std::string attach_error_;                    // as last said
  std::map<ServiceKey, std::string> failures_;  // of changes, until they succeed
  bool pending_ = false;
  bool ready_ = false;
  std::mutex sweep_mutex_;
  std::condition_variable_any sweep_wait_;
  std::jthread sweeper_;
};

}  // namespace xlvs
