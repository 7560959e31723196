// SPDX-License-Identifier: MIT
#include <bpf/bpf.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>

#include <atomic>
#include <cstdlib>
#include <random>
#include <thread>

#include "bpf/types.h"
#include "loader/plane/data_plane.h"
#include "loader/plane/kernel_plane.h"
#include "loader/plane/map.h"
#include "loader/state/diff.h"
#include "reader.skel.h"

// A reader in the kernel looks services up without pause while their backends, weights and they
// themselves change 100,000 times; it must never see what was not configured (the rule is in
// reader.bpf.c).
namespace xlvs {
namespace {

constexpr int reloads = 100'000;
constexpr uint32_t services = 4;
const std::string folder = "/sys/fs/bpf/xlvs";

// Namespaces of this process's own, which end with it.
class Reload : public testing::Test {
 protected:
  void SetUp() override {
    if (unshare(CLONE_NEWNET | CLONE_NEWNS) != 0) GTEST_SKIP() << "namespaces need root";
    ASSERT_EQ(mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    ASSERT_EQ(mount("sysfs", "/sys", "sysfs", 0, nullptr), 0);
    ASSERT_EQ(mount("bpf", "/sys/fs/bpf", "bpf", 0, nullptr), 0);
    ASSERT_EQ(std::system("ip link add eth0 type veth peer name far0"), 0);
    // Small tables, so that everything is used again and again, every thirty reloads or so.
    const Tables tables{
        .flows = 64, .pending = 64, .services = 64, .backends = 2048, .slots = 524288};
    std::vector<std::string> notes;
    const auto attached = data_plane::attach(folder, {"eth0"}, AttachMode::native, tables, notes);
    ASSERT_TRUE(attached) << attached.error().message;
  }

  static Address address(const std::string& text) { return *Address::parse(text); }

  // What the rule allows, chosen at random; now and then a service is not there at all.
  State draw() {
    State state;
    for (uint32_t number = 1; number <= services; ++number) {
      if (number > 1 && random_() % 8 == 0) continue;
      const std::string n = std::to_string(number);
      const ServiceKey key{{address("10.78.0." + n), 80}, Protocol::tcp};
      ServiceEntry service{.key = key, .name = "service" + n, .scheduling = {draw_scheduler()}};
      for (uint8_t b = 1; b <= 12; ++b) {
        if (random_() % 2 == 0) continue;
        service.backends.push_back(
            {{{address("10.77." + n + "." + std::to_string(b)), static_cast<uint16_t>(7000 + b)},
              Forwarding::dr},
             b,
             random_() % 4 == 0 ? BackendState::down : BackendState::up,
             Egress{{{2, 0, 0, 0, static_cast<uint8_t>(number), b}}, 1}});
      }
      state.emplace(key, whole(std::move(service)));
    }
    return state;
  }

  // mh now and then: its tables are large.
  Scheduler draw_scheduler() {
    return random_() % 64 == 0 ? Scheduler::mh : static_cast<Scheduler>(random_() % 11);
  }

  std::mt19937 random_{20};
};

class Reader {
 public:
  Reader() : skeleton_(reader_bpf__open()) {
    const auto shared = share_pinned_maps(skeleton_->obj, folder);
    EXPECT_TRUE(shared) << shared.error().message;
    skeleton_->rodata->index_mask = bpf_map__max_entries(skeleton_->maps.endpoints) - 1;
    EXPECT_EQ(reader_bpf__load(skeleton_), 0);
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  Reader(Reader&&) = delete;
  Reader& operator=(Reader&&) = delete;
  ~Reader() { reader_bpf__destroy(skeleton_); }

  void read_once() {
    char frame[64] = {};
    bpf_test_run_opts options{};
    options.sz = sizeof options;
    options.data_in = frame;
    options.data_size_in = sizeof frame;
    options.repeat = 1;
    ASSERT_EQ(bpf_prog_test_run_opts(bpf_program__fd(skeleton_->progs.reader), &options), 0);
  }
  [[nodiscard]] auto seen() const { return *skeleton_->bss; }

 private:
  reader_bpf* skeleton_;
};

TEST_F(Reload, never_shows_what_was_not_configured) {
  auto opened = KernelPlane::open(folder);
  ASSERT_TRUE(opened) << opened.error().message;
  KernelPlane& plane = **opened;
  Reader reader;
  std::atomic<bool> done = false;
  std::thread reading([&] {
    while (!done) reader.read_once();
  });
  std::string failure;
  for (int i = 0; i < reloads && failure.empty(); ++i) {
    const State wanted = draw();
    for (const auto& change : diff(plane.applied(), wanted)) {
      if (const auto applied = plane.apply(change); !applied) failure = applied.error().message;
    }
    plane.swept();
    if (plane.applied() != wanted) failure = "the plane holds something else than was wanted";
  }
  done = true;
  reading.join();
  EXPECT_EQ(failure, "");
  const auto seen = reader.seen();
  RecordProperty("lookups", std::to_string(seen.lookups));
  std::printf("%d reloads, %llu lookups, %llu served, %llu wrong\n", reloads,
              static_cast<unsigned long long>(seen.lookups),
              static_cast<unsigned long long>(seen.served),
              static_cast<unsigned long long>(seen.wrong));
  EXPECT_EQ(seen.wrong, 0U);
  EXPECT_GT(seen.served, 100'000U);
}

// An agent is killed after some of a reload's changes; the next one finds out what is left to do.
TEST_F(Reload, is_completed_by_the_next_agent_wherever_one_was_killed) {
  int unfinished = 0;
  for (int i = 0; i < 500; ++i) {
    const State wanted = draw();
    {
      auto killed = KernelPlane::open(folder);
      ASSERT_TRUE(killed) << killed.error().message;
      const auto changes = diff((*killed)->applied(), wanted);
      const size_t done = random_() % (changes.size() + 1);
      for (size_t c = 0; c < done; ++c) ASSERT_TRUE((*killed)->apply(changes[c]));
    }
    auto next = KernelPlane::open(folder);
    ASSERT_TRUE(next) << next.error().message;
    KernelPlane& plane = **next;
    const auto left = diff(plane.applied(), wanted);
    if (!left.empty()) ++unfinished;
    for (const auto& change : left) {
      const auto applied = plane.apply(change);
      ASSERT_TRUE(applied) << applied.error().message;
    }
    for (int sweeps = 0; sweeps < 5; ++sweeps) plane.swept();
    // What is adopted is read from the kernel: tables are what the backends make them.
    auto reread = KernelPlane::open(folder);
    ASSERT_TRUE(reread) << reread.error().message;
    ASSERT_TRUE((*reread)->applied() == wanted) << "in round " << i;
  }
  EXPECT_GT(unfinished, 100);
}

}  // namespace
}  // namespace xlvs
