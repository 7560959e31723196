// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "loader/base/address.h"
#include "loader/base/asio.h"

// TCP servers on loopback that behave as they are told, also badly. They run on the test's own
// event loop and take a port that the kernel picks.
namespace xlvs::harness {

// What a server does with one connection after it has read the head of a request; the connection is
// closed when it ends.
using Conversation =
    std::function<boost::asio::awaitable<void>(std::shared_ptr<boost::asio::ip::tcp::socket>)>;

// Sends `bytes` as they are and closes.
Conversation answer(std::string bytes);
// A whole HTTP answer: `status` with its reason ("200 OK"), `body` and its length.
Conversation http(const std::string& status, const std::string& body);
// Sends `bytes` and keeps the connection open without another word.
Conversation silence(std::string bytes = "");
// Sends `bytes`, of which the client may see nothing, and RST.
Conversation reset(std::string bytes = "");
// Sends `head`, then `piece` again and again, without end, `pause` apart.
Conversation for_ever(std::string head, std::string piece,
                      boost::asio::steady_timer::duration pause = {});

class FakeServer {
 public:
  // `host`: an address of this machine.
  FakeServer(const boost::asio::any_io_executor& executor, Conversation conversation,
             const std::string& host = "127.0.0.1");
  ~FakeServer();
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;
  FakeServer(FakeServer&&) = delete;
  FakeServer& operator=(FakeServer&&) = delete;

  [[nodiscard]] Endpoint endpoint() const;
  // For the connections accepted from now on.
  void behave(Conversation conversation);
  [[nodiscard]] size_t accepted() const;
  // Accepted connections that neither side has ended.
  [[nodiscard]] size_t open() const;
  // The heads of the requests read so far.
  [[nodiscard]] const std::vector<std::string>& requests() const;
  // Called after each accept and each end of a connection.
  void on_event(std::function<void()> call);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// A port that is taken while this lives and that refuses every connection.
class ClosedPort {
 public:
  explicit ClosedPort(const boost::asio::any_io_executor& executor);
  [[nodiscard]] Endpoint endpoint() const;

 private:
  boost::asio::ip::tcp::socket socket_;
};

// A server whose accept queue is full for as long as this lives: Linux then drops every SYN, so
// that a connect gets no answer at all.
class DeafPort {
 public:
  explicit DeafPort(const boost::asio::any_io_executor& executor);
  [[nodiscard]] Endpoint endpoint() const;

 private:
  boost::asio::ip::tcp::acceptor acceptor_;
  std::vector<boost::asio::ip::tcp::socket> queue_;
};

}  // namespace xlvs::harness
