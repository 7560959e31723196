// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "loader/base/address.h"
#include "loader/base/asio.h"
#include "loader/base/result.h"
#include "loader/plane/links.h"
#include "loader/plane/netlink.h"
#include "loader/plane/netlink_events.h"
#include "loader/plane/next_hop.h"
#include "loader/plane/probes.h"

namespace xlvs {

// The ways to a set of addresses. The kernel is told to keep their neighbours resolved
// (NTF_EXT_MANAGED), again when one was deleted or its link came back; where it cannot do that, and
// while one is unresolved, it is asked to resolve from time to time. Every event of routes, links,
// addresses and neighbours is followed; after lost events everything is read anew.
//
// Each that has a MAC is asked every second whether it still has (probes.h).
//
// A neighbour that had a MAC and is asked for anew (deleted by hand, its entry dropped) keeps the
// MAC until it is known to be silent (NUD_FAILED, after 3 s) or its link goes down: no packet is
// lost for the time of one ARP.
class Neighbours {
 public:
  // `on_change` is called from the loop when a next hop or the generation changed; changes that
  // come within 50 ms of a call are one more call.
  Neighbours(boost::asio::any_io_executor executor, std::function<void()> on_change);
  Neighbours(const Neighbours&) = delete;
  Neighbours& operator=(const Neighbours&) = delete;
  Neighbours(Neighbours&&) = delete;
  Neighbours& operator=(Neighbours&&) = delete;
  // Releases the neighbours that an agent of ours made the kernel keep; their entries stay.
  ~Neighbours();

  Result<void> start();
  // These and no others, after start(). Their next hops are known at once, as far as the kernel has
  // the neighbours. Those that a killed agent had kept and that are not wanted are released too.
  void watch(std::set<Address> addresses);
  // For an address that is not watched: unresolved.
  [[nodiscard]] NextHop next_hop(const Address& address) const;
  // Raised when something on this machine changed that may move packets to any address.
  [[nodiscard]] uint32_t generation() const { return generation_; }

 private:
  using Clock = std::chrono::steady_clock;
  struct Watched {
    Route route;
    NextHop next;
  };
  struct Kept {
    Clock::time_point asked;  // the kernel, for the last time; long ago if never
    std::optional<Mac> last;
    std::string error;  // of the last asking; empty if it went well
    // Whose address the probes bear; to be looked up if `sought` is not set.
    std::optional<Address> source;
    bool sought = false;
  };

  void take(const netlink::View& message);
  void finish_batch(bool lost);
  Result<void> load();
  void refresh();
  void find_routes();
  void choose_hops();
  void keep_hops();
  void keep(const Hop& hop, Kept& kept, const Link& link);
  void release_others();
  void update_next_hops();
  [[nodiscard]] std::optional<Clock::time_point> due(const Hop& hop, const Kept& kept) const;
  void choose_probes();
  [[nodiscard]] std::optional<Prober::Target> target(const Hop& hop, const Kept& kept) const;
  void wake_when_due();
  void wake_at(Clock::time_point when);

  std::function<void()> on_change_;
  netlink::Events events_;
  boost::asio::steady_timer timer_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for the timer's handlers
  std::optional<Clock::time_point> wake_;
  std::optional<netlink::Socket> socket_;
  Prober prober_;

  LinkTable links_;
  NeighbourTable neighbours_;
  std::map<Address, Watched> watched_;
  std::map<Hop, Kept> hops_;
  Clock::time_point refreshed_;
  uint32_t generation_ = 0;
  bool watching_ = false;      // watch() was called: what is not in it is not wanted
  bool routes_moved_ = false;  // routes are to be looked up again
  bool moved_ = false;         // the generation is to be raised
  bool touched_ = false;       // a neighbour's state changed
  bool changed_ = false;       // on_change is to be called
};

}  // namespace xlvs
