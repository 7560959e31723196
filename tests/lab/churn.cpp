// SPDX-License-Identifier: MIT
// churn ADDRESS PORT COUNT HELD: a client that opens COUNT connections to a web server, on two CPUs
// at once, asks each for / once and holds it; when HELD are open, the oldest is closed before the
// next is opened, by FIN and by RST in turn. Says "held" when all have been opened, closes what is
// left at SIGTERM, and says how often it was answered with which line. Ends with 1 where an answer
// was not whole.
#include <sched.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <deque>
#include <iostream>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

#include "loader/base/address.h"
#include "loader/base/fd.h"

namespace xlvs {
namespace {

// No answer takes longer, on a busy machine neither.
constexpr timeval patience{.tv_sec = 20, .tv_usec = 0};

[[noreturn]] void give_up(const std::string& what) {
  std::cerr << "churn: " << what << ": " << std::generic_category().message(errno) << std::endl;
  std::_Exit(1);
}

Fd connect_to(const Endpoint& server) {
  Fd connection{::socket(server.address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0)};
  if (!connection) give_up("socket");
  for (const int option : {SO_RCVTIMEO, SO_SNDTIMEO}) {
    ::setsockopt(connection.get(), SOL_SOCKET, option, &patience, sizeof(patience));
  }
  const sockaddr_storage to = server.sockaddr();
  if (::connect(connection.get(), reinterpret_cast<const sockaddr*>(&to), sizeof(to)) != 0) {
    give_up("connect to " + server.text());
  }
  return connection;
}

// The body, which is one line.
std::string ask(const Fd& connection) {
  constexpr std::string_view request = "GET / HTTP/1.1\r\nHost: churn\r\n\r\n";
  if (::send(connection.get(), request.data(), request.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(request.size())) {
    give_up("send");
  }
  std::string answer;
  while (true) {
    const size_t head = answer.find("\r\n\r\n");
    if (head != std::string::npos && answer.size() > head + 4 && answer.back() == '\n') {
      return answer.substr(head + 4);
    }
    char part[4096];
    const ssize_t size = ::recv(connection.get(), part, sizeof(part), 0);
    if (size == 0) errno = ECONNRESET;  // closed, and the answer not whole
    if (size <= 0) give_up("receive");
    answer.append(part, static_cast<size_t>(size));
  }
}

void reset(const Fd& connection) {
  constexpr linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(connection.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
}

// What both CPUs have open, in the order they opened it, and what they were answered.
class Held {
 public:
  explicit Held(size_t most) : most_(most) {}
  // Of one that will be added.
  void make_room() {
    const std::lock_guard lock(mutex_);
    if (++room_taken_ <= most_) return;
    close_oldest();
    --room_taken_;
  }
  void add(Fd connection, const std::string& answer) {
    const std::lock_guard lock(mutex_);
    open_.push_back(std::move(connection));
    ++answers_[answer];
  }
  void close_all() {
    const std::lock_guard lock(mutex_);
    while (!open_.empty()) close_oldest();
  }
  [[nodiscard]] const std::map<std::string, uint64_t>& answers() const { return answers_; }

 private:
  void close_oldest() {
    if (closed_++ % 2 == 1) reset(open_.front());
    open_.pop_front();
  }

  std::mutex mutex_;
  const size_t most_;
  size_t room_taken_ = 0;
  std::deque<Fd> open_;
  uint64_t closed_ = 0;
  std::map<std::string, uint64_t> answers_;
};

void stay_on(size_t cpu) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  if (::sched_setaffinity(0, sizeof(one), &one) != 0) give_up("stay on one CPU");
}

void open_on(size_t cpu, const Endpoint& server, uint64_t count, Held& held) {
  stay_on(cpu);
  for (uint64_t i = 0; i < count; ++i) {
    held.make_room();
    Fd connection = connect_to(server);
    const std::string answer = ask(connection);
    held.add(std::move(connection), answer);
  }
}

void await(int signal) {
  sigset_t one;
  sigemptyset(&one);
  sigaddset(&one, signal);
  int came = 0;
  sigwait(&one, &came);
}

void churn(const Endpoint& server, uint64_t count, size_t most) {
  constexpr std::array<size_t, 2> cpus = {0, 1};
  Held held(most);
  std::vector<std::thread> threads;
  threads.reserve(cpus.size());
  for (const size_t cpu : cpus) {
    threads.emplace_back([&, cpu] { open_on(cpu, server, count / cpus.size(), held); });
  }
  for (std::thread& thread : threads) thread.join();
  std::cout << "held" << std::endl;
  await(SIGTERM);
  held.close_all();
  for (const auto& [line, times] : held.answers()) std::cout << times << ' ' << line;
}

}  // namespace
}  // namespace xlvs

int main(int argc, char** argv) {
  const auto address = argc == 5 ? xlvs::Address::parse(argv[1]) : std::nullopt;
  if (!address) {
    std::cerr << "usage: churn ADDRESS PORT COUNT HELD\n";
    return 2;
  }
  // Blocked from the beginning, in all threads: it waits until all are opened.
  sigset_t end;
  sigemptyset(&end);
  sigaddset(&end, SIGTERM);
  sigprocmask(SIG_BLOCK, &end, nullptr);
  xlvs::churn({*address, static_cast<uint16_t>(std::strtoul(argv[2], nullptr, 10))},
              std::strtoull(argv[3], nullptr, 10), std::strtoull(argv[4], nullptr, 10));
  return 0;
}
