// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "health/check.h"
#include "health/dampen.h"
#include "health/outcome.h"
#include "loader/base/address.h"
#include "loader/base/asio.h"
#include "loader/state/configuration.h"

namespace xlvs::health {

class CurlMulti;

// A backend of a service and how to check it.
struct Target {
  std::string key;   // unique, and the same as long as it is the same backend
  std::string name;  // the log's: "web/172.16.254.18:80"
  Endpoint backend;
  Check check;
  // What an adopted backend was found to be: its health until rise or fall say otherwise.
  std::optional<bool> known_up;
};

struct Status {
  Health health = Health::unknown;
  std::optional<Outcome> last;
  unsigned successes = 0;                       // in a row
  unsigned failures = 0;                        // in a row
  std::chrono::system_clock::time_point since;  // of `health`
};

// The time from the start of one probe to the start of the next; `draw` is within -1..1.
std::chrono::nanoseconds pause(const Check& check, double draw);

// The one funnel of outcomes: executes the checks of all targets, each on its own and all at the
// same time, and turns outcomes into health. Belongs to one thread: that of the executor, whose
// context must outlive it.
class Monitor {
 public:
  // `on_change` is called from the loop, never from within watch(), after one or more targets
  // changed their health. `random` draws the jitter.
  Monitor(boost::asio::any_io_executor executor, std::function<void()> on_change,
          std::mt19937 random = std::mt19937(std::random_device{}()));
  ~Monitor();
  Monitor(const Monitor&) = delete;
  Monitor& operator=(const Monitor&) = delete;
  Monitor(Monitor&&) = delete;
  Monitor& operator=(Monitor&&) = delete;

  // From now on exactly `targets` are checked; of two with one key, the first. A target whose
  // key, backend and check are as before is not disturbed. With another check or backend it keeps
  // its health, and probing begins anew. Whatever is gone is cancelled at once.
  void watch(std::vector<Target> targets);

  // Of the target with this key, valid until the next watch(); null if there is none.
  [[nodiscard]] const Status* status(const std::string& key) const;

 private:
  struct Watched;

  void start(Target target, const Status& from);
  static void stop(Watched& watched);
  boost::asio::awaitable<void> probe_for_ever(std::shared_ptr<Watched> watched);
  void take(Watched& watched, Outcome outcome);
  void announce();

  boost::asio::any_io_executor executor_;
  std::shared_ptr<CurlMulti> curl_;
  std::mt19937 random_;
  std::map<std::string, std::shared_ptr<Watched>> watched_;
  // Shared with the announcement under way, which does nothing once the monitor is gone.
  std::shared_ptr<std::function<void()>> on_change_;
  std::shared_ptr<bool> announced_ = std::make_shared<bool>(false);
};

}  // namespace xlvs::health
