// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "loader/base/address.h"
#include "loader/base/asio.h"
#include "loader/base/fd.h"
#include "loader/base/result.h"
#include "loader/plane/frames.h"
#include "loader/plane/netlink.h"
#include "loader/plane/next_hop.h"

namespace xlvs {

// Which neighbour is asked when: each once in a round at the MAC it is known by, and all of its
// network if no answer has come within 300 ms. A round takes a second, and with more than 1000
// neighbours a millisecond for each; of all networks at most 100 are asked a second. Pure.
class ProbePlan {
 public:
  using Clock = std::chrono::steady_clock;
  using Time = Clock::time_point;
  // How often due() is to be called.
  static constexpr std::chrono::milliseconds tick{50};

  enum class Ask : uint8_t { known, all };
  struct Probe {
    Hop hop;
    Ask ask = Ask::known;
    bool operator==(const Probe&) const = default;
  };
  // Has it been heard of within that time?
  using Heard = std::function<bool(const Hop&, Clock::duration within)>;

  // These and no others. The turns of those that are new are spread over the first round.
  void set(const std::set<Hop>& hops, Time now);
  std::vector<Probe> due(Time now, const Heard& heard);
  [[nodiscard]] bool empty() const { return turns_.empty(); }

 private:
  struct Turn {
    Time next;
    std::optional<Time> asked;  // it has not answered yet
  };
  [[nodiscard]] Clock::duration round() const;

  std::map<Hop, Turn> turns_;
};

// Asks neighbours, so that the kernel hears of a MAC that changed without being announced: by
// itself it asks only one that it has not heard of for reachable_time (15 to 45 s), three times
// where it was, and then all. Answers go to the kernel, which follows them and tells of it.
class Prober {
 public:
  struct Target {
    Mac known;
    Asker asker;
  };

  explicit Prober(const boost::asio::any_io_executor& executor);
  Prober(const Prober&) = delete;
  Prober& operator=(const Prober&) = delete;
  Prober(Prober&&) = delete;
  Prober& operator=(Prober&&) = delete;
  ~Prober();

  Result<void> start();
  // After start(): these and no others.
  void set(std::map<Hop, Target> targets);

 private:
  void tick();
  void send(const ProbePlan::Probe& probe) const;

  boost::asio::steady_timer timer_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for the timer's handlers
  Fd frames_;
  std::optional<netlink::Socket> socket_;
  std::map<Hop, Target> targets_;
  ProbePlan plan_;
  bool ticking_ = false;
};

}  // namespace xlvs
