// SPDX-License-Identifier: MIT
#pragma once

#include <curl/curl.h>

#include <chrono>
#include <memory>
#include <optional>
#include <unordered_map>

#include "loader/base/asio.h"

namespace xlvs::health {

class Transfer;

// libcurl on the event loop: curl says what it waits for, Asio waits, curl_multi_socket_action goes
// on (curl_multi_socket_action(3), hiperfifo). The sockets are curl's, and Asio watches duplicates
// of them: curl may close a socket without a word.
class CurlMulti : public std::enable_shared_from_this<CurlMulti> {
 public:
  explicit CurlMulti(boost::asio::any_io_executor executor);
  ~CurlMulti();
  CurlMulti(const CurlMulti&) = delete;
  CurlMulti& operator=(const CurlMulti&) = delete;
  CurlMulti(CurlMulti&&) = delete;
  CurlMulti& operator=(CurlMulti&&) = delete;

 private:
  friend class Transfer;
  struct Socket;

  static int on_interest(CURL* easy, curl_socket_t fd, int what, void* self, void* unused) noexcept;
  static int on_timer(CURLM* multi, long milliseconds, void* self) noexcept;

  // Null, with errno, where there is no descriptor left.
  std::shared_ptr<Socket> watch(curl_socket_t fd);
  void forget(curl_socket_t fd);
  static void await_events(const std::shared_ptr<Socket>& socket);
  void await_timer(long milliseconds);
  void act(curl_socket_t fd, int events);

  boost::asio::any_io_executor executor_;
  boost::asio::steady_timer timer_;
  std::unordered_map<curl_socket_t, std::shared_ptr<Socket>> sockets_;
  CURLM* multi_;
};

// One request and its answer: an easy handle which belongs to the multi handle while it runs.
class Transfer {
 public:
  explicit Transfer(std::shared_ptr<CurlMulti> multi);
  ~Transfer();
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;
  Transfer(Transfer&&) = delete;
  Transfer& operator=(Transfer&&) = delete;

  [[nodiscard]] CURL* handle() const { return easy_; }

  template <typename Value>
  void set(CURLoption option, Value value) {
    curl_easy_setopt(easy_, option, value);
  }

  // curl's result, or nothing when `timeout` ran out or the coroutine was cancelled. Once only.
  boost::asio::awaitable<std::optional<CURLcode>> perform(std::chrono::milliseconds timeout);

  // errno of the last socket that could not be opened or watched, 0 if all could.
  [[nodiscard]] int open_error() const { return open_error_; }

 private:
  friend class CurlMulti;
  static curl_socket_t on_open(void* self, curlsocktype purpose, curl_sockaddr* to) noexcept;
  void finish(CURLcode result);

  std::shared_ptr<CurlMulti> multi_;
  boost::asio::steady_timer deadline_;
  std::optional<CURLcode> result_;
  int open_error_ = 0;
  CURL* easy_;
};

}  // namespace xlvs::health
