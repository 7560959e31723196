// SPDX-License-Identifier: MIT
#include "health/curl_multi.h"

#include <new>
#include <utility>

namespace xlvs::health {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

// curl_global_init(3) once per process, before its first handle, and its counterpart at exit.
struct CurlLibrary {
  CurlLibrary() { curl_global_init(CURL_GLOBAL_DEFAULT); }
  ~CurlLibrary() { curl_global_cleanup(); }
  CurlLibrary(const CurlLibrary&) = delete;
  CurlLibrary& operator=(const CurlLibrary&) = delete;
  CurlLibrary(CurlLibrary&&) = delete;
  CurlLibrary& operator=(CurlLibrary&&) = delete;

  static void load() { static const CurlLibrary library; }
};

template <typename Value>
void set(CURLM* multi, CURLMoption option, Value value) {
  curl_multi_setopt(multi, option, value);
}

}  // namespace

// A socket of curl's and what curl wants to know of it. It outlives `multi` in the handlers that
// are still under way, so these look at `wanted` first, which is then 0.
struct CurlMulti::Socket {
  Socket(CurlMulti& owner, const asio::any_io_executor& executor)
      : multi(&owner), socket(executor) {}

  CurlMulti* multi;
  tcp::socket socket;
  curl_socket_t fd = CURL_SOCKET_BAD;
  int wanted = 0;  // CURL_POLL_IN | CURL_POLL_OUT
  int awaited = 0;
};

CurlMulti::CurlMulti(asio::any_io_executor executor)
    : executor_(std::move(executor)),
      timer_(executor_),
      multi_((CurlLibrary::load(), curl_multi_init())) {
  if (multi_ == nullptr) throw std::bad_alloc();
  set(multi_, CURLMOPT_SOCKETFUNCTION, &CurlMulti::on_interest);
  set(multi_, CURLMOPT_SOCKETDATA, this);
  set(multi_, CURLMOPT_TIMERFUNCTION, &CurlMulti::on_timer);
  set(multi_, CURLMOPT_TIMERDATA, this);
}

CurlMulti::~CurlMulti() {
  curl_multi_cleanup(multi_);
  for (const auto& [fd, socket] : sockets_) socket->wanted = 0;
}

curl_socket_t CurlMulti::open(const curl_sockaddr& to, int& error_code) {
  auto socket = std::make_shared<Socket>(*this, executor_);
  boost::system::error_code error;
  socket->socket.open(to.family == AF_INET ? tcp::v4() : tcp::v6(), error);
  if (error) {
    error_code = error.value();
    return CURL_SOCKET_BAD;
  }
  socket->fd = socket->socket.native_handle();
  sockets_.emplace(socket->fd, socket);
  return socket->fd;
}

int CurlMulti::on_close(void* self, curl_socket_t fd) noexcept {
  auto& sockets = static_cast<CurlMulti*>(self)->sockets_;
  const auto found = sockets.find(fd);
  if (found == sockets.end()) return 1;
  found->second->wanted = 0;
  boost::system::error_code ignored;
  found->second->socket.close(ignored);
  sockets.erase(found);
  return 0;
}

int CurlMulti::on_interest(CURL* /*easy*/, curl_socket_t fd, int what, void* self,
                           void* /*unused*/) noexcept {
  auto& multi = *static_cast<CurlMulti*>(self);
  const auto found = multi.sockets_.find(fd);
  if (found == multi.sockets_.end()) return 0;
  found->second->wanted = what == CURL_POLL_REMOVE ? 0 : what;
  await_events(found->second);
  return 0;
}

// Asio's waits are for one event each; what is already awaited is not awaited twice.
void CurlMulti::await_events(const std::shared_ptr<Socket>& socket) {
  const auto await = [&socket](int poll, int event, tcp::socket::wait_type type) {
    if ((socket->wanted & ~socket->awaited & poll) == 0) return;
    socket->awaited |= poll;
    socket->socket.async_wait(type, [socket, poll, event](const boost::system::error_code& error) {
      socket->awaited &= ~poll;
      if (error == asio::error::operation_aborted || (socket->wanted & poll) == 0) return;
      CurlMulti& multi = *socket->multi;
      multi.act(socket->fd, error ? CURL_CSELECT_ERR : event);
      if (socket->wanted != 0) await_events(socket);
    });
  };
  await(CURL_POLL_IN, CURL_CSELECT_IN, tcp::socket::wait_read);
  await(CURL_POLL_OUT, CURL_CSELECT_OUT, tcp::socket::wait_write);
}

int CurlMulti::on_timer(CURLM* /*multi*/, long milliseconds, void* self) noexcept {
  static_cast<CurlMulti*>(self)->await_timer(milliseconds);
  return 0;
}

void CurlMulti::await_timer(long milliseconds) {
  if (milliseconds < 0) {
    timer_.cancel();
    return;
  }
  timer_.expires_after(std::chrono::milliseconds(milliseconds));
  timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    const auto self = weak.lock();
    if (!error && self) self->act(CURL_SOCKET_TIMEOUT, 0);
  });
}

void CurlMulti::act(curl_socket_t fd, int events) {
  int running = 0;
  int queued = 0;
  curl_multi_socket_action(multi_, fd, events, &running);
  while (const CURLMsg* message = curl_multi_info_read(multi_, &queued)) {
    if (message->msg != CURLMSG_DONE) continue;
    Transfer* transfer = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
    transfer->finish(message->data.result);
  }
}

Transfer::Transfer(std::shared_ptr<CurlMulti> multi)
    : multi_(std::move(multi)), deadline_(multi_->executor_), easy_(curl_easy_init()) {
  if (easy_ == nullptr) throw std::bad_alloc();
  set(CURLOPT_PRIVATE, this);
  set(CURLOPT_OPENSOCKETFUNCTION, &Transfer::on_open);
  set(CURLOPT_OPENSOCKETDATA, this);
  // The connection may outlive this transfer in curl, hence not `this`.
  set(CURLOPT_CLOSESOCKETFUNCTION, &CurlMulti::on_close);
  set(CURLOPT_CLOSESOCKETDATA, multi_.get());
}

Transfer::~Transfer() {
  curl_multi_remove_handle(multi_->multi_, easy_);
  curl_easy_cleanup(easy_);
}

curl_socket_t Transfer::on_open(void* self, curlsocktype /*purpose*/, curl_sockaddr* to) noexcept {
  auto& transfer = *static_cast<Transfer*>(self);
  return transfer.multi_->open(*to, transfer.open_error_);
}

void Transfer::finish(CURLcode result) {
  result_ = result;
  deadline_.cancel();
}

asio::awaitable<std::optional<CURLcode>> Transfer::perform(std::chrono::milliseconds timeout) {
  deadline_.expires_after(timeout);
  if (curl_multi_add_handle(multi_->multi_, easy_) != CURLM_OK) co_return CURLE_OUT_OF_MEMORY;
  // Ends by the deadline, by finish(), or by the coroutine's cancellation.
  co_await deadline_.async_wait(asio::as_tuple(asio::use_awaitable));
  co_return result_;
}

}  // namespace xlvs::health
