// SPDX-License-Identifier: MIT
#include "health/check_tcp.h"

#include <cstring>

namespace xlvs::health {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

tcp::endpoint to_asio(const Endpoint& endpoint) {
  const sockaddr_storage address = endpoint.sockaddr();
  tcp::endpoint result;
  // Not size(): it goes by the family, which is not there yet.
  const size_t length = endpoint.address.is_v4() ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  std::memcpy(result.data(), &address, length);
  result.resize(length);
  return result;
}

// A connect to a local port in the ephemeral range may pick that very port as its own and so reach
// itself (simultaneous open, RFC 9293 3.5) where nobody listens.
bool reached_itself(const tcp::socket& socket) {
  boost::system::error_code error;
  const tcp::endpoint local = socket.local_endpoint(error);
  return !error && local == socket.remote_endpoint(error) && !error;
}

}  // namespace

TcpProber::TcpProber(const Endpoint& backend, std::chrono::milliseconds timeout)
    : backend_(backend), timeout_(timeout) {}

asio::awaitable<Outcome> TcpProber::probe() {
  using asio::experimental::awaitable_operators::operator||;
  constexpr auto quietly = asio::as_tuple(asio::use_awaitable);

  const auto executor = co_await asio::this_coro::executor;
  const tcp::endpoint to = to_asio(backend_);
  boost::system::error_code error;
  tcp::socket socket(executor);
  socket.open(to.protocol(), error);
  if (error) co_return outcome_of_errno(error.value());

  asio::steady_timer deadline(executor, timeout_);
  const auto first = co_await (socket.async_connect(to, quietly) || deadline.async_wait(quietly));
  if (first.index() != 0) co_return Outcome{Reason::connect_timeout, ""};
  error = std::get<0>(std::get<0>(first));
  if (error) co_return outcome_of_errno(error.value());
  if (reached_itself(socket)) co_return Outcome{Reason::refused, ""};
  co_return Outcome{Reason::answered, "the connect"};
}

}  // namespace xlvs::health
