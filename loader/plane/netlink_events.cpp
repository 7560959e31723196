// SPDX-License-Identifier: MIT
#include "loader/plane/netlink_events.h"

#include <sys/socket.h>

#include <array>
#include <utility>

namespace xlvs::netlink {

namespace asio = boost::asio;

struct Events::State {
  State(const asio::any_io_executor& executor, Handler own)
      : handler(std::move(own)), descriptor(executor) {}

  Handler handler;
  asio::posix::stream_descriptor descriptor;
  bool stopped = false;  // the owner is gone: no handler may be called
  alignas(nlmsghdr) std::array<std::byte, 32768> buffer{};
};

namespace {

// Holds some 2000 changes, so that a burst of routes is no overrun.
constexpr int receive_buffer = 4 << 20;

// A flood of events must not keep the loop from checks and clients.
constexpr int reads_per_turn = 256;

enum class Read { messages, lost, nothing };

Read read_once(int fd, std::span<std::byte> buffer,
               const std::function<void(const nlmsghdr&)>& each) {
  const ssize_t size = ::recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (size < 0) return errno == ENOBUFS ? Read::lost : Read::nothing;
  for_each_message(buffer.first(static_cast<size_t>(size)), each);
  return Read::messages;
}

}  // namespace

Events::Events(asio::any_io_executor executor, Handler handler)
    : state_(std::make_shared<State>(executor, std::move(handler))) {}

Events::~Events() {
  state_->stopped = true;
  boost::system::error_code ignored;
  state_->descriptor.close(ignored);
}

Result<void> Events::start(std::span<const rtnetlink_groups> groups) {
  Fd fd{::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE)};
  if (!fd) return Error::from_errno("open a netlink socket");
  if (setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &receive_buffer, sizeof receive_buffer) < 0)
    setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  const sockaddr_nl any{.nl_family = AF_NETLINK};
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any) < 0)
    return Error::from_errno("bind a netlink socket");
  for (const int group : groups) {
    if (setsockopt(fd.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) < 0 &&
        errno != EINVAL)
      return Error::from_errno("join rtnetlink group " + std::to_string(group));
  }
  boost::system::error_code error;
  state_->descriptor.assign(fd.get(), error);
  if (error) return Error{"watch a netlink socket: " + error.message(), error.value()};
  fd.release();
  asio::co_spawn(state_->descriptor.get_executor(), read(state_), asio::detached);
  return {};
}

asio::awaitable<void> Events::read(std::shared_ptr<State> state) {
  const auto each = [&state](const nlmsghdr& message) {
    if (!state->stopped) state->handler.message(View(message));
  };
  for (;;) {
    const auto [error] = co_await state->descriptor.async_wait(
        asio::posix::descriptor_base::wait_read, asio::as_tuple(asio::use_awaitable));
    if (error || state->stopped) co_return;
    bool lost = false;
    for (int reads = 0; reads < reads_per_turn && !state->stopped; ++reads) {
      const Read result = read_once(state->descriptor.native_handle(), state->buffer, each);
      if (result == Read::nothing) break;
      lost = lost || result == Read::lost;
    }
    if (state->stopped) co_return;
    state->handler.batch(lost);
  }
}

}  // namespace xlvs::netlink
