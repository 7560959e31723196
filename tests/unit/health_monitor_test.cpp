// SPDX-License-Identifier: MIT
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "health/monitor.h"
#include "tests/harness/fake_server.h"
#include "tests/harness/no_descriptors.h"

namespace xlvs::health {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using harness::ClosedPort;
using harness::FakeServer;
using harness::NoDescriptors;
using testing::ElementsAre;
using testing::IsEmpty;

// Every test has a loop, a monitor on it, and the log's lines. The loop runs until what the test
// waits for has happened; a guard ends a test that waits in vain.
class MonitorTest : public testing::Test {
 protected:
  void SetUp() override {
    auto sink = std::make_shared<spdlog::sinks::ostream_sink_mt>(log_);
    auto logger = std::make_shared<spdlog::logger>("test", sink);
    logger->set_pattern("%l: %v");
    before_ = spdlog::default_logger();
    spdlog::set_default_logger(logger);
  }
  void TearDown() override { spdlog::set_default_logger(before_); }

  // Looks after each event of the loop.
  void run_until(const std::function<bool()>& happened) {
    loop_.restart();
    const auto guard = std::chrono::steady_clock::now() + 20s;
    while (!happened()) {
      ASSERT_LT(std::chrono::steady_clock::now(), guard) << "waited in vain; log:\n" << log_.str();
      loop_.run_one_for(1s);
    }
  }

  void run_until_accepted(const FakeServer& server, size_t count) {
    run_until([&] { return server.accepted() >= count; });
  }

  [[nodiscard]] Health health(const std::string& name) const {
    const Status* status = monitor_->status(name);
    return status == nullptr ? Health::unknown : status->health;
  }

  void run_until_health(const std::string& name, Health wanted) {
    run_until([&] { return health(name) == wanted; });
  }

  // The log's lines, with N for the milliseconds that a probe took.
  [[nodiscard]] std::vector<std::string> log_lines() const {
    std::vector<std::string> lines;
    std::istringstream text(log_.str());
    for (std::string line; std::getline(text, line);) {
      if (line.ends_with(" ms)")) line.replace(line.rfind(", "), std::string::npos, ", N ms)");
      lines.push_back(line);
    }
    return lines;
  }

  Monitor& monitor() { return *monitor_; }

  // Their deadline is later than the guard: what ends, ends because of what the test did.
  static Check http(unsigned rise = 1, unsigned fall = 1) {
    return {.type = CheckType::http, .interval = 10ms, .timeout = 1min, .rise = rise, .fall = fall};
  }

  static Check tcp() { return {.type = CheckType::tcp, .interval = 10ms, .timeout = 1min}; }

  static Target target(const std::string& name, const Endpoint& backend, const Check& check) {
    return {name, name, backend, check, std::nullopt};
  }

  std::ostringstream log_;
  std::shared_ptr<spdlog::logger> before_;
  asio::io_context loop_;
  size_t changes_ = 0;
  std::unique_ptr<Monitor> monitor_ = std::make_unique<Monitor>(
      loop_.get_executor(), [this] { ++changes_; }, std::mt19937(1));
};

TEST_F(MonitorTest, OneLinePerChange) {
  FakeServer server(loop_.get_executor(), harness::http("200 OK", "x"));
  monitor().watch({target("web/a:80", server.endpoint(), http(2, 3))});
  EXPECT_EQ(health("web/a:80"), Health::unknown);
  run_until_health("web/a:80", Health::up);
  run_until_accepted(server, 4);
  server.behave(harness::http("503 No", ""));
  run_until_health("web/a:80", Health::down);
  run_until_accepted(server, server.accepted() + 3);
  server.behave(harness::http("200 OK", "x"));
  run_until_health("web/a:80", Health::up);
  EXPECT_THAT(
      log_lines(),
      ElementsAre(
          "info: backend web/a:80 unknown -> up: answered with http status 200 (1 of 1, N ms)",
          "warning: backend web/a:80 up -> down: http status 503, expected 2xx (3 of 3, N ms)",
          "info: backend web/a:80 down -> up: answered with http status 200 (2 of 2, N ms)"));
  run_until([&] { return changes_ == 3; });
}

TEST_F(MonitorTest, FirstFailureCountsAtOnce) {
  const ClosedPort port(loop_.get_executor());
  monitor().watch({target("a", port.endpoint(), {.interval = 1h, .fall = 5})});
  run_until([&] { return changes_ == 1; });
  EXPECT_EQ(monitor().status("a")->last->reason, Reason::refused);
  EXPECT_EQ(monitor().status("a")->failures, 1U);
  EXPECT_THAT(log_lines(), ElementsAre("warning: backend a unknown -> down: connection refused "
                                       "(1 of 1, N ms)"));
}

TEST_F(MonitorTest, NoneIsUpWithoutAProbe) {
  const FakeServer server(loop_.get_executor(), harness::silence());
  monitor().watch({target("a", server.endpoint(), {.type = CheckType::none, .rise = 3}),
                   {"b", "b", server.endpoint(), {.type = CheckType::none, .rise = 3}, false}});
  EXPECT_EQ(health("a"), Health::up);
  EXPECT_EQ(health("b"), Health::up);
  EXPECT_EQ(changes_, 0U) << "on_change within watch()";
  run_until([&] { return changes_ == 1; });
  EXPECT_EQ(server.accepted(), 0U);
  EXPECT_THAT(log_lines(), ElementsAre("info: backend a unknown -> up: not checked (1 of 1, N ms)",
                                       "info: backend b down -> up: not checked (1 of 1, N ms)"));
}

TEST_F(MonitorTest, ChecksThePortOfTheCheck) {
  const FakeServer server(loop_.get_executor(), harness::silence());
  const ClosedPort port(loop_.get_executor());
  Check check = tcp();
  check.port = server.endpoint().port;
  monitor().watch({target("a", port.endpoint(), check)});
  run_until_health("a", Health::up);
}

TEST_F(MonitorTest, AdoptedHealthHoldsUntilRiseOrFall) {
  const FakeServer good(loop_.get_executor(), harness::http("200 OK", "x"));
  const FakeServer bad(loop_.get_executor(), harness::http("500 No", "x"));
  monitor().watch({{"up", "up", bad.endpoint(), http(1, 2), true},
                   {"down", "down", good.endpoint(), http(2, 1), false},
                   {"still_up", "still_up", good.endpoint(), http(), true}});
  EXPECT_EQ(health("up"), Health::up);
  EXPECT_EQ(health("down"), Health::down);
  run_until([&] { return health("up") == Health::down && health("down") == Health::up; });
  run_until([&] { return monitor().status("still_up")->successes > 2; });
  EXPECT_THAT(log_lines(),
              testing::UnorderedElementsAre(
                  "warning: backend up up -> down: http status 500, expected 2xx (2 of 2, N ms)",
                  "info: backend down down -> up: answered with http status 200 (2 of 2, N ms)"));
}

TEST_F(MonitorTest, AllTargetsAreProbedAtTheSameTime) {
  std::vector<std::unique_ptr<FakeServer>> servers;
  std::vector<Target> targets;
  for (int i = 0; i < 20; ++i) {
    servers.push_back(std::make_unique<FakeServer>(loop_.get_executor(), harness::silence()));
    targets.push_back(target("t" + std::to_string(i), servers.back()->endpoint(), http()));
  }
  monitor().watch(targets);
  run_until([&] {
    return std::all_of(servers.begin(), servers.end(),
                       [](const auto& server) { return server->requests().size() == 1; });
  });
}

// curl closes a socket whose connect got no answer without a word.
TEST_F(MonitorTest, BackendsThatDoNotAnswerDisturbNoOthers) {
  const FakeServer server(loop_.get_executor(), harness::http("200 OK", "x"));
  const harness::DeafPort deaf(loop_.get_executor());
  Check impatient = http();
  impatient.timeout = 20ms;
  std::vector<Target> targets;
  for (const char* name : {"deaf1", "deaf2", "deaf3"}) {
    targets.push_back(target(name, deaf.endpoint(), impatient));
  }
  for (const char* name : {"alive1", "alive2", "alive3"}) {
    targets.push_back(target(name, server.endpoint(), http()));
  }
  monitor().watch(targets);
  run_until([&] { return monitor().status("deaf1")->failures >= 30; });

  EXPECT_EQ(monitor().status("deaf1")->last->reason, Reason::connect_timeout);
  // One change of each, the first.
  EXPECT_EQ(log_lines().size(), targets.size()) << log_.str();
  EXPECT_EQ(health("alive1"), Health::up);
}

TEST_F(MonitorTest, ProbesOfOneTargetNeverOverlap) {
  const FakeServer server(loop_.get_executor(), harness::silence());
  Check check = http();
  check.interval = 1ms;
  check.timeout = 50ms;
  size_t most = 0;
  monitor().watch({target("a", server.endpoint(), check)});
  run_until([&] {
    most = std::max(most, server.open());
    return monitor().status("a")->failures == 3;
  });
  EXPECT_EQ(monitor().status("a")->last->reason, Reason::timeout);
  // The server may see the end of the last connection after the start of the next.
  EXPECT_LE(most, 2U);
  EXPECT_LE(server.accepted(), 4U);
}

TEST_F(MonitorTest, WhatDidNotChangeIsNotDisturbed) {
  const FakeServer server(loop_.get_executor(), harness::silence());
  const FakeServer other(loop_.get_executor(), harness::silence());
  const Target kept = target("kept", server.endpoint(), http());
  monitor().watch({kept});
  run_until_accepted(server, 1);
  const Status* status = monitor().status("kept");
  monitor().watch({target("new", other.endpoint(), tcp()), kept});
  run_until_health("new", Health::up);
  EXPECT_EQ(monitor().status("kept"), status);
  EXPECT_EQ(server.accepted(), 1U) << "its probe was started again";
  EXPECT_EQ(server.open(), 1U) << "its probe was cancelled";
}

TEST_F(MonitorTest, AnotherNameIsOfTheSameTarget) {
  const FakeServer server(loop_.get_executor(), harness::http("500 No", "x"));
  Target renamed{"a", "web/a:80", server.endpoint(), http(1, 3), true};
  monitor().watch({renamed});
  run_until([&] { return monitor().status("a")->failures == 1; });
  renamed.name = "web/a";
  monitor().watch({renamed});
  EXPECT_EQ(monitor().status("a")->failures, 1U);
  run_until_health("a", Health::down);
  EXPECT_THAT(log_lines(), ElementsAre("warning: backend web/a up -> down: http status 500, "
                                       "expected 2xx (3 of 3, N ms)"));
}

TEST_F(MonitorTest, WhatIsGoneIsCancelledAtOnce) {
  FakeServer server(loop_.get_executor(), harness::silence());
  monitor().watch({target("a", server.endpoint(), http())});
  run_until([&] { return server.requests().size() == 1; });
  monitor().watch({});
  EXPECT_EQ(monitor().status("a"), nullptr);
  run_until([&] { return server.open() == 0; });
  EXPECT_EQ(server.accepted(), 1U);
  EXPECT_THAT(log_lines(), IsEmpty());
}

TEST_F(MonitorTest, AnotherCheckKeepsTheHealthAndProbesAnew) {
  const FakeServer server(loop_.get_executor(), harness::http("200 OK", "x"));
  Check check = http();
  check.interval = 1h;
  monitor().watch({target("a", server.endpoint(), check)});
  run_until_health("a", Health::up);
  const auto since = monitor().status("a")->since;

  check.expect = "y";
  check.fall = 2;
  monitor().watch({target("a", server.endpoint(), check)});
  EXPECT_EQ(health("a"), Health::up);
  EXPECT_EQ(monitor().status("a")->successes, 0U);
  EXPECT_EQ(monitor().status("a")->since, since);
  run_until([&] { return monitor().status("a")->failures == 1; });
  EXPECT_EQ(health("a"), Health::up) << "kept health falls by fall, not at once";
  EXPECT_EQ(server.accepted(), 2U);
}

TEST_F(MonitorTest, AnotherBackendOfTheNameIsProbedAnew) {
  const FakeServer server(loop_.get_executor(), harness::http("200 OK", "x"));
  const ClosedPort port(loop_.get_executor());
  monitor().watch({target("a", server.endpoint(), http())});
  run_until_health("a", Health::up);
  monitor().watch({target("a", port.endpoint(), http())});
  run_until_health("a", Health::down);
}

TEST_F(MonitorTest, OnChangeMayWatch) {
  const FakeServer server(loop_.get_executor(), harness::http("200 OK", "x"));
  bool called = false;
  monitor_ = std::make_unique<Monitor>(loop_.get_executor(), [&] {
    called = true;
    monitor().watch({});
  });
  monitor().watch({target("a", server.endpoint(), http())});
  run_until([&] { return called; });
  EXPECT_EQ(monitor().status("a"), nullptr);
}

TEST_F(MonitorTest, NoDescriptorLeftIsNoFailure) {
  if (!NoDescriptors::possible) GTEST_SKIP() << "the sanitizers need descriptors themselves";
  const FakeServer server(loop_.get_executor(), harness::silence());
  const ClosedPort port(loop_.get_executor());
  auto exhausted = std::make_unique<NoDescriptors>();
  size_t probes = 0;
  monitor().watch({{"a", "a", port.endpoint(), tcp(), true},
                   {"b", "b", port.endpoint(), http(), std::nullopt}});
  run_until([&] {
    const auto& last = monitor().status("b")->last;
    return last && last->reason == Reason::no_descriptor && ++probes > 5;
  });
  EXPECT_EQ(health("a"), Health::up);
  EXPECT_EQ(health("b"), Health::unknown);
  EXPECT_EQ(monitor().status("a")->failures, 0U);
  exhausted.reset();
  run_until([&] { return health("a") == Health::down && health("b") == Health::down; });
  EXPECT_THAT(log_lines(),
              testing::UnorderedElementsAre(
                  "error: backend a stays up: no file descriptor left: director's fault "
                  "(Too many open files)",
                  "error: backend b stays unknown: no file descriptor left: director's fault "
                  "(Too many open files)",
                  "warning: backend a up -> down: connection refused (1 of 1, N ms)",
                  "warning: backend b unknown -> down: connection refused (1 of 1, N ms)"));
}

// The sanitizers look for what these leave behind or touch afterwards.
class MonitorEnds : public MonitorTest {
 protected:
  void probe_everything() {
    monitor().watch(
        {target("silent", silent_.endpoint(), http()), target("drips", drips_.endpoint(), http()),
         target("connecting", deaf_.endpoint(), tcp()),
         target("connecting2", deaf_.endpoint(), http()),
         target("resting", good_.endpoint(), {.interval = 1h}),
         target("resting2", good_.endpoint(), {.type = CheckType::http, .interval = 1h})});
    run_until([&] {
      return silent_.requests().size() == 1 && drips_.requests().size() == 1 &&
             health("resting") == Health::up && health("resting2") == Health::up;
    });
  }

  FakeServer silent_{loop_.get_executor(), harness::silence()};
  FakeServer drips_{loop_.get_executor(), harness::for_ever("HTTP/1.1 200 OK\r\n\r\n", "x", 1ms)};
  FakeServer good_{loop_.get_executor(), harness::http("200 OK", "x")};
  harness::DeafPort deaf_{loop_.get_executor()};
};

TEST_F(MonitorEnds, WhileTheLoopGoesOn) {
  probe_everything();
  const size_t changes = changes_;
  monitor_.reset();
  run_until([&] { return silent_.open() == 0 && drips_.open() == 0; });
  EXPECT_EQ(changes_, changes);
}

TEST_F(MonitorEnds, BeforeItsProbesBegan) {
  monitor().watch({target("a", good_.endpoint(), http()), target("b", good_.endpoint(), tcp())});
  monitor_.reset();
  loop_.restart();
  loop_.poll();
  EXPECT_EQ(good_.accepted(), 0U);
}

TEST_F(MonitorEnds, WithAnAnnouncementUnderWay) {
  monitor().watch({target("a", good_.endpoint(), {.type = CheckType::none})});
  monitor_.reset();
  loop_.restart();
  loop_.poll();
  EXPECT_EQ(changes_, 0U);
}

TEST_F(MonitorEnds, TogetherWithTheLoop) { probe_everything(); }

TEST(Pause, IsTheIntervalWithItsJitter) {
  const Check check{.interval = 1000ms, .jitter = 0.25};
  EXPECT_EQ(pause(check, 0.0), 1000ms);
  EXPECT_EQ(pause(check, -1.0), 750ms);
  EXPECT_EQ(pause(check, 1.0), 1250ms);
  EXPECT_EQ(pause({.interval = 1000ms, .jitter = 0.0}, 1.0), 1000ms);
}

}  // namespace
}  // namespace xlvs::health
