// SPDX-License-Identifier: MIT
#include "loader/plane/announce.h"

#include <chrono>
#include <utility>
#include <vector>

#include "loader/base/log.h"
#include "loader/plane/frames.h"
#include "loader/plane/links.h"

namespace xlvs {

namespace asio = boost::asio;

namespace {

constexpr int rounds = 3;
constexpr auto pause = std::chrono::milliseconds(500);

Result<Link> read_link(int ifindex) {
  auto socket = netlink::Socket::open();
  if (!socket) return socket.error();
  netlink::Message get(RTM_GETLINK, 0);
  get.header(ifinfomsg{.ifi_family = AF_UNSPEC, .ifi_index = ifindex});
  LinkTable table;
  auto got = socket->request(get, "read interface " + std::to_string(ifindex),
                             [&table](const netlink::View& message) { table.apply(message); });
  if (!got) return got.error();
  const Link* link = table.find(ifindex);
  if (link == nullptr) return Error::from_code("read interface " + std::to_string(ifindex), ENODEV);
  return *link;
}

std::vector<Frame> frames_of(const Link& link, const Address& vip, bool router) {
  if (!vip.is_v4()) return {neighbour_advertisement(link.mac, vip, router)};
  return {arp_announcement(ArpForm::request, link.mac, vip),
          arp_announcement(ArpForm::reply, link.mac, vip)};
}

// The MAC is read each time: it may have changed between two rounds.
Result<void> send_all(int ifindex, const std::set<Address>& vips) {
  const auto link = read_link(ifindex);
  if (!link) return link.error();
  if (!link->ethernet) return {};
  const auto forwarding = forwarding_enabled(AF_INET6);
  const bool router = forwarding && *forwarding;
  for (const Address& vip : vips) {
    for (const Frame& frame : frames_of(*link, vip, router)) {
      if (auto sent = send_frame(ifindex, frame); !sent)
        return sent.error().in("announce " + vip.text() + " on " + link->name);
    }
  }
  return {};
}

}  // namespace

struct Announcer::Round {
  Round(const asio::any_io_executor& executor, int own_ifindex, std::set<Address> own_vips)
      : ifindex(own_ifindex), vips(std::move(own_vips)), timer(executor) {}

  int ifindex;
  std::set<Address> vips;
  asio::steady_timer timer;
  bool stopped = false;
};

Announcer::Announcer(asio::any_io_executor executor) : executor_(std::move(executor)) {}

Announcer::~Announcer() { stop(); }

void Announcer::announce(int ifindex, std::set<Address> vips) {
  stop();
  if (vips.empty()) return;
  round_ = std::make_shared<Round>(executor_, ifindex, std::move(vips));
  asio::co_spawn(executor_, run(round_), asio::detached);
}

void Announcer::forget(const Address& vip) {
  if (round_) round_->vips.erase(vip);
}

void Announcer::stop() {
  if (!round_) return;
  round_->stopped = true;
  round_->timer.cancel();
  round_.reset();
}

asio::awaitable<void> Announcer::run(std::shared_ptr<Round> round) {
  for (int left = rounds; left > 0 && !round->stopped; --left) {
    if (auto sent = send_all(round->ifindex, round->vips); !sent) {
      // A link that is down is announced on when it is back.
      if (sent.error().code != ENETDOWN) spdlog::warn("{}", sent.error().message);
      co_return;
    }
    if (left == 1) break;
    round->timer.expires_after(pause);
    co_await round->timer.async_wait(asio::as_tuple(asio::use_awaitable));
  }
}

}  // namespace xlvs
