// SPDX-License-Identifier: MIT
#include "health/monitor.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "health/check_http.h"
#include "health/check_tcp.h"
#include "health/curl_multi.h"
#include "loader/base/log.h"

namespace xlvs::health {

namespace asio = boost::asio;

namespace {

std::unique_ptr<Prober> make_prober(const Target& target, const std::shared_ptr<CurlMulti>& curl) {
  Endpoint backend = target.backend;
  if (target.check.port != 0) backend.port = target.check.port;
  switch (target.check.type) {
    case CheckType::none:
      return nullptr;
    case CheckType::tcp:
      return std::make_unique<TcpProber>(backend, target.check.timeout);
    case CheckType::http:
      return std::make_unique<HttpProber>(curl, backend, target.check);
  }
  return nullptr;
}

Status first_status(const Target& target) {
  Status status{.since = std::chrono::system_clock::now()};
  if (target.known_up) status.health = *target.known_up ? Health::up : Health::down;
  return status;
}

void log_change(const Target& target, Health before, const Status& status) {
  const bool up = status.health == Health::up;
  const unsigned count = up ? status.successes : status.failures;
  const bool at_once = before == Health::unknown || status.last->reason == Reason::unchecked;
  const unsigned needed = at_once ? 1 : std::max(up ? target.check.rise : target.check.fall, 1U);
  spdlog::log(up ? spdlog::level::info : spdlog::level::warn,
              "backend {} {} -> {}: {} ({} of {}, {} ms)", target.name, text(before),
              text(status.health), text(*status.last), count, needed,
              status.last->duration.count());
}

}  // namespace

std::chrono::nanoseconds pause(const Check& check, double draw) {
  const std::chrono::duration<double, std::milli> interval = check.interval;
  return std::chrono::duration_cast<std::chrono::nanoseconds>(interval *
                                                              (1.0 + check.jitter * draw));
}

// Held by the monitor and by its coroutine, which may end after the monitor.
struct Monitor::Watched {
  Target target;
  Status status;
  std::unique_ptr<Prober> prober;
  asio::cancellation_signal cancel;
  bool cancelled = false;
};

Monitor::Monitor(asio::any_io_executor executor, std::function<void()> on_change,
                 std::mt19937 random)
    : executor_(std::move(executor)),
      curl_(std::make_shared<CurlMulti>(executor_)),
      random_(random),
      on_change_(std::make_shared<std::function<void()>>(std::move(on_change))) {}

Monitor::~Monitor() {
  for (const auto& [key, watched] : watched_) stop(*watched);
}

void Monitor::stop(Watched& watched) {
  watched.cancelled = true;
  watched.cancel.emit(asio::cancellation_type::terminal);
}

void Monitor::watch(std::vector<Target> targets) {
  std::map<std::string, std::shared_ptr<Watched>> before;
  before.swap(watched_);
  for (Target& target : targets) {
    if (watched_.contains(target.key)) continue;
    const auto found = before.find(target.key);
    if (found == before.end()) {
      const Status status = first_status(target);
      start(std::move(target), status);
      continue;
    }
    Watched& old = *found->second;
    if (old.target.check == target.check && old.target.backend == target.backend) {
      old.target.name = std::move(target.name);
      watched_.insert(before.extract(found));
      continue;
    }
    start(std::move(target), {.health = old.status.health, .since = old.status.since});
  }
  for (const auto& [key, watched] : before) stop(*watched);
}

const Status* Monitor::status(const std::string& key) const {
  const auto found = watched_.find(key);
  return found == watched_.end() ? nullptr : &found->second->status;
}

void Monitor::start(Target target, const Status& from) {
  auto watched = std::make_shared<Watched>();
  watched->prober = make_prober(target, curl_);
  watched->target = std::move(target);
  watched->status = from;
  watched_.emplace(watched->target.key, watched);
  if (!watched->prober) {
    take(*watched, {Reason::unchecked, ""});
    return;
  }
  asio::co_spawn(executor_, probe_for_ever(watched),
                 asio::bind_cancellation_slot(watched->cancel.slot(),
                                              [watched](const std::exception_ptr& exception) {
                                                if (exception && !watched->cancelled)
                                                  std::rethrow_exception(exception);
                                              }));
}

// After every wait the monitor itself may be gone: it is used only while not cancelled.
asio::awaitable<void> Monitor::probe_for_ever(std::shared_ptr<Watched> watched) {
  using Clock = std::chrono::steady_clock;
  asio::steady_timer timer(co_await asio::this_coro::executor);
  while (!watched->cancelled) {
    const auto started = Clock::now();
    Outcome outcome = co_await watched->prober->probe();
    if (watched->cancelled) break;
    outcome.duration =
        std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - started);
    take(*watched, std::move(outcome));
    std::uniform_real_distribution<double> draw(-1.0, 1.0);
    timer.expires_at(started + pause(watched->target.check, draw(random_)));
    co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
  }
}

void Monitor::take(Watched& watched, Outcome outcome) {
  const Target& target = watched.target;
  Status& status = watched.status;
  const bool fault = is_directors_fault(outcome);
  const bool fault_before = status.last && is_directors_fault(*status.last);
  status.last = std::move(outcome);
  if (fault) {
    if (!fault_before)
      spdlog::error("backend {} stays {}: {}", target.name, text(status.health),
                    text(*status.last));
    return;
  }
  const Health before = status.health;
  // An unchecked backend is up whatever it was before: there will be no second outcome.
  const bool at_once = target.check.type == CheckType::none;
  const Tally tally = dampen({before, status.successes, status.failures}, succeeded(*status.last),
                             at_once ? 1 : target.check.rise, target.check.fall);
  status.health = tally.health;
  status.successes = tally.successes;
  status.failures = tally.failures;
  if (status.health == before) return;
  status.since = std::chrono::system_clock::now();
  log_change(target, before, status);
  announce();
}

void Monitor::announce() {
  if (std::exchange(*announced_, true)) return;
  asio::post(executor_, [announced = announced_, weak = std::weak_ptr(on_change_)] {
    *announced = false;
    const auto on_change = weak.lock();
    if (on_change && *on_change) (*on_change)();
  });
}

}  // namespace xlvs::health
