// SPDX-License-Identifier: MIT
#include "tests/vm/differential/xlvs_side.h"

#include <bpf/libbpf.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>
#include <system_error>

#include "loader/config/config.h"
#include "loader/plane/data_plane.h"
#include "loader/plane/snapshot.h"
#include "loader/state/diff.h"
#include "loader/state/effective.h"
#include "pass.skel.h"

namespace xlvs::differential {

namespace {

constexpr uint16_t tunnel_mtu = 1500;

const std::string pins = data_plane::default_pins;

// The director's address answers ARP; nobody else has to be known.
const char* const network = R"(
echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad
ip link set lo up
ip address add 10.0.0.254/24 dev eth0
ip link set eth0 up
)";

template <typename T>
T value_of(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  return std::move(*result);
}

void done(const Result<void>& result) {
  if (!result) throw std::runtime_error(result.error().message);
}

void own_mounts() {
  if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      mount("sysfs", "/sys", "sysfs", 0, nullptr) != 0 ||
      mount("bpf", "/sys/fs/bpf", "bpf", 0, nullptr) != 0) {
    throw std::system_error(errno, std::generic_category(), "mount /sys");
  }
}

uint8_t number_of(const Setup& setup, const Endpoint& backend) {
  for (uint8_t number = 1; number <= most_servers; ++number) {
    if (setup.endpoint(number).address == backend.address) return number;
  }
  return 0;
}

}  // namespace

void XlvsSide::Destroy::operator()(pass_bpf* skeleton) const { pass_bpf__destroy(skeleton); }

XlvsSide::XlvsSide(const Namespace& world)
    : here_(Namespace::make()), cable_(world, here_, "xlvs"), pass_(pass_bpf__open_and_load()) {
  if (!pass_) throw std::system_error(errno, std::generic_category(), "load the passing program");
  cable_.pass_xdp(bpf_program__fd(pass_->progs.pass));
  here_.sh(network);
  own_mounts();
  // Small, so that a sweep takes no time.
  const Tables tables{
      .flows = 8192, .pending = 8192, .services = 64, .backends = 512, .slots = 1048576};
  std::vector<std::string> notes;
  value_of(data_plane::attach(pins, {"eth0"}, AttachMode::native, tables, notes));
  plane_ = value_of(KernelPlane::open(pins));
  sweeper_ = value_of(Sweeper::load(pins));
  set_timeouts({});
}

XlvsSide::~XlvsSide() = default;

void XlvsSide::apply(const Configuration& configuration, const Observe& observe) {
  for (const Change& change :
       diff(plane_->applied(), effective(configuration, observe, plane_->applied()))) {
    done(plane_->apply(change));
  }
}

void XlvsSide::set_timeouts(const Timeouts& timeouts) {
  constexpr uint32_t refusals_per_second = 1'000'000;
  plane_->set(timeouts, refusals_per_second);
}

void XlvsSide::clear() {
  apply({}, {});
  while (plane_->retired() > 0) {
    value_of(sweeper_->run());
    plane_->swept();
  }
}

void XlvsSide::configure(const Setup& setup) {
  const auto loaded = config::load_text(configuration_text(setup));
  if (!loaded.configuration) {
    throw std::runtime_error(loaded.errors.front().text("configuration"));
  }
  apply(*loaded.configuration, [&](const Service&, const Backend& backend, bool) {
    const Mac mac = test::backend_mac(number_of(setup, backend.endpoint));
    const std::string own = backend.endpoint.address.is_v4() ? "10.0.0.254" : "2001:db8::fe";
    return Observation{Observation::Checked::up, true, Egress{mac, 1},
                       TunnelWay{*Address::parse(own), tunnel_mtu}};
  });
}

void XlvsSide::begin(const Setup& setup) {
  clear();
  configure(setup);
}

void XlvsSide::change(const Setup& before, const Step& change) {
  configure(changed(before, change));
  // As the agent does every second. It sees what a change of limits means.
  value_of(sweeper_->run());
}

Answer XlvsSide::ask(const test::Bytes& frame) {
  const auto got = cable_.ask(frame);
  return got ? answer_of(*got) : Answer{};
}

void XlvsSide::expire(const Setup& setup, const std::vector<test::Bytes>& frames) {
  set_timeouts({.tcp_fin = std::chrono::seconds(1)});
  for (const auto& frame : frames) ask(frame);
  for (value_of(sweeper_->run()); any_inactive(counts(setup)); value_of(sweeper_->run())) {
    usleep(10'000);
  }
  set_timeouts({});
}

std::vector<Count> XlvsSide::counts(const Setup& setup) {
  const auto view = value_of(snapshot::read(pins));
  std::vector<snapshot::BackendView> backends = view.services.at(0).backends;
  std::erase_if(backends, [](const snapshot::BackendView& one) { return one.draining; });
  std::sort(backends.begin(), backends.end(),
            [](const snapshot::BackendView& a, const snapshot::BackendView& b) {
              return a.entry.position > b.entry.position;
            });
  std::vector<Count> counts;
  for (const auto& one : backends) {
    counts.push_back({number_of(setup, one.entry.key.endpoint), one.active, one.inactive});
  }
  return counts;
}

}  // namespace xlvs::differential
