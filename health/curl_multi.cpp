// SPDX-License-Identifier: MIT
#include "health/curl_multi.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <cerrno>
#include <new>
#include <utility>

namespace xlvs::health {

namespace asio = boost::asio;

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

// What curl wants to know of a socket of its own, asked of a duplicate that Asio may close. It
// outlives `multi` in the handlers that are still under way, so these look at `wanted` first, which
// is then 0.
struct CurlMulti::Socket {
  Socket(CurlMulti& owner, const asio::any_io_executor& executor, curl_socket_t of, int duplicate)
      : multi(&owner), fd(of), descriptor(executor, duplicate) {}

  CurlMulti* multi;
  curl_socket_t fd;
  asio::posix::stream_descriptor descriptor;
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

int CurlMulti::on_interest(CURL* easy, curl_socket_t fd, int what, void* self,
                           void* /*unused*/) noexcept {
  auto& multi = *static_cast<CurlMulti*>(self);
  if (what == CURL_POLL_REMOVE) {
    multi.forget(fd);
    return 0;
  }
  const auto socket = multi.watch(fd);
  if (socket == nullptr) {
    Transfer* transfer = nullptr;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &transfer);
    transfer->open_error_ = errno;
    transfer->finish(CURLE_COULDNT_CONNECT);
    return 0;
  }
  socket->wanted = what;
  await_events(socket);
  return 0;
}

std::shared_ptr<CurlMulti::Socket> CurlMulti::watch(curl_socket_t fd) {
  if (const auto found = sockets_.find(fd); found != sockets_.end()) return found->second;
  const int duplicate = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (duplicate < 0) return nullptr;
  return sockets_.emplace(fd, std::make_shared<Socket>(*this, executor_, fd, duplicate))
      .first->second;
}

void CurlMulti::forget(curl_socket_t fd) {
  const auto found = sockets_.find(fd);
  if (found == sockets_.end()) return;
  found->second->wanted = 0;
  boost::system::error_code ignored;
  found->second->descriptor.close(ignored);
  sockets_.erase(found);
}

// Asio's waits are for one event each; what is already awaited is not awaited twice.
void CurlMulti::await_events(const std::shared_ptr<Socket>& socket) {
  using Wait = asio::posix::stream_descriptor::wait_type;
  const auto await = [&socket](int poll, int event, Wait type) {
    if ((socket->wanted & ~socket->awaited & poll) == 0) return;
    socket->awaited |= poll;
    socket->descriptor.async_wait(
        type, [socket, poll, event](const boost::system::error_code& error) {
          socket->awaited &= ~poll;
          if (error == asio::error::operation_aborted || (socket->wanted & poll) == 0) return;
          CurlMulti& multi = *socket->multi;
          multi.act(socket->fd, error ? CURL_CSELECT_ERR : event);
          if (socket->wanted != 0) await_events(socket);
        });
  };
  await(CURL_POLL_IN, CURL_CSELECT_IN, Wait::wait_read);
  await(CURL_POLL_OUT, CURL_CSELECT_OUT, Wait::wait_write);
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
}

Transfer::~Transfer() {
  curl_multi_remove_handle(multi_->multi_, easy_);
  curl_easy_cleanup(easy_);
}

curl_socket_t Transfer::on_open(void* self, curlsocktype /*purpose*/, curl_sockaddr* to) noexcept {
  const int fd = ::socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
  if (fd < 0) static_cast<Transfer*>(self)->open_error_ = errno;
  return fd;
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
