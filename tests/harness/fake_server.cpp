// SPDX-License-Identifier: MIT
#include "tests/harness/fake_server.h"

#include <tuple>
#include <utility>

namespace xlvs::harness {

namespace asio = boost::asio;
using asio::ip::tcp;
using SocketPointer = std::shared_ptr<tcp::socket>;

struct FakeServer::State {
  explicit State(const asio::any_io_executor& executor) : acceptor(executor) {}

  void tell() const {
    if (on_event) on_event();
  }

  tcp::acceptor acceptor;
  Conversation conversation;
  size_t accepted = 0;
  std::vector<std::string> requests;
  std::function<void()> on_event;
  std::vector<SocketPointer> connections;
};

namespace {

constexpr auto quietly = asio::as_tuple(asio::use_awaitable);

Endpoint to_endpoint(const tcp::endpoint& local) {
  return {*Address::parse(local.address().to_string()), local.port()};
}

asio::awaitable<void> send(SocketPointer socket, const std::string bytes) {
  co_await asio::async_write(*socket, asio::buffer(bytes), quietly);
}

// Ends when the other side does.
asio::awaitable<void> send_and_wait(SocketPointer socket, const std::string bytes) {
  std::string rest;
  co_await send(socket, bytes);
  co_await asio::async_read(*socket, asio::dynamic_buffer(rest), quietly);
}

asio::awaitable<void> send_for_ever(SocketPointer socket, const std::string head,
                                    const std::string piece, asio::steady_timer::duration pause) {
  asio::steady_timer timer(socket->get_executor());
  auto [error, sent] = co_await asio::async_write(*socket, asio::buffer(head), quietly);
  while (!error) {
    timer.expires_after(pause);
    co_await timer.async_wait(quietly);
    std::tie(error, sent) = co_await asio::async_write(*socket, asio::buffer(piece), quietly);
  }
}

asio::awaitable<void> send_and_abort(SocketPointer socket, const std::string bytes) {
  co_await send(socket, bytes);
  socket->set_option(tcp::socket::linger(true, 0));
  socket->close();
  co_return;
}

template <typename State>
asio::awaitable<void> converse(std::shared_ptr<State> state, SocketPointer socket) {
  std::string head;
  co_await asio::async_read_until(*socket, asio::dynamic_buffer(head), "\r\n\r\n", quietly);
  if (!head.empty()) state->requests.push_back(head);
  const Conversation conversation = state->conversation;
  if (socket->is_open()) co_await conversation(socket);
  boost::system::error_code ignored;
  socket->close(ignored);
  std::erase(state->connections, socket);
  state->tell();
}

template <typename State>
asio::awaitable<void> serve(std::shared_ptr<State> state) {
  while (true) {
    auto [error, accepted] = co_await state->acceptor.async_accept(quietly);
    if (error) co_return;
    auto socket = std::make_shared<tcp::socket>(std::move(accepted));
    state->connections.push_back(socket);
    ++state->accepted;
    asio::co_spawn(state->acceptor.get_executor(), converse(state, socket), asio::detached);
    state->tell();
  }
}

tcp::endpoint any_port(const std::string& host) { return {asio::ip::make_address(host), 0}; }

}  // namespace

Conversation answer(std::string bytes) {
  return [bytes = std::move(bytes)](const SocketPointer& socket) { return send(socket, bytes); };
}

Conversation http(const std::string& status, const std::string& body) {
  return answer("HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(body.size()) +
                "\r\n\r\n" + body);
}

Conversation silence(std::string bytes) {
  return [bytes = std::move(bytes)](const SocketPointer& socket) {
    return send_and_wait(socket, bytes);
  };
}

Conversation reset(std::string bytes) {
  return [bytes = std::move(bytes)](const SocketPointer& socket) {
    return send_and_abort(socket, bytes);
  };
}

Conversation for_ever(std::string head, std::string piece, asio::steady_timer::duration pause) {
  return [head = std::move(head), piece = std::move(piece), pause](const SocketPointer& socket) {
    return send_for_ever(socket, head, piece, pause);
  };
}

FakeServer::FakeServer(const asio::any_io_executor& executor, Conversation conversation,
                       const std::string& host)
    : state_(std::make_shared<State>(executor)) {
  state_->conversation = std::move(conversation);
  const tcp::endpoint local = any_port(host);
  state_->acceptor.open(local.protocol());
  state_->acceptor.bind(local);
  state_->acceptor.listen();
  asio::co_spawn(executor, serve(state_), asio::detached);
}

FakeServer::~FakeServer() {
  boost::system::error_code ignored;
  state_->on_event = nullptr;
  state_->acceptor.close(ignored);
  for (const SocketPointer& socket : state_->connections) socket->close(ignored);
}

Endpoint FakeServer::endpoint() const { return to_endpoint(state_->acceptor.local_endpoint()); }

void FakeServer::behave(Conversation conversation) {
  state_->conversation = std::move(conversation);
}

size_t FakeServer::accepted() const { return state_->accepted; }

size_t FakeServer::open() const { return state_->connections.size(); }

const std::vector<std::string>& FakeServer::requests() const { return state_->requests; }

void FakeServer::on_event(std::function<void()> call) { state_->on_event = std::move(call); }

ClosedPort::ClosedPort(const asio::any_io_executor& executor) : socket_(executor) {
  socket_.open(tcp::v4());
  socket_.bind(any_port("127.0.0.1"));
}

Endpoint ClosedPort::endpoint() const { return to_endpoint(socket_.local_endpoint()); }

DeafPort::DeafPort(const asio::any_io_executor& executor) : acceptor_(executor, tcp::v4()) {
  acceptor_.bind(any_port("127.0.0.1"));
  acceptor_.listen(0);
  // A backlog of 0 holds one connection: the first connect fills it, and it is synchronous.
  queue_.emplace_back(executor).connect(acceptor_.local_endpoint());
}

Endpoint DeafPort::endpoint() const { return to_endpoint(acceptor_.local_endpoint()); }

}  // namespace xlvs::harness
