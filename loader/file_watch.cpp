// SPDX-License-Identifier: MIT
#include "loader/file_watch.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <filesystem>

#include "loader/base/fd.h"

namespace xlvs {

namespace {
// An editor writes, renames and touches in a row; what comes within this time is one change.
constexpr std::chrono::milliseconds settle_time{50};
}  // namespace

FileWatch::FileWatch(boost::asio::any_io_executor executor, std::function<void()> on_change)
    : on_change_(std::move(on_change)), events_(executor), quiet_(executor) {}

Result<void> FileWatch::start(const std::string& path) {
  // The folder is watched, since a rename puts another inode under the name.
  const auto absolute = std::filesystem::absolute(path);
  name_ = absolute.filename();
  Fd inotify{inotify_init1(IN_NONBLOCK | IN_CLOEXEC)};
  if (!inotify) return Error::from_errno("watch " + path);
  if (inotify_add_watch(inotify.get(), absolute.parent_path().c_str(),
                        IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE) < 0) {
    return Error::from_errno("watch " + path);
  }
  events_.assign(inotify.release());
  wait();
  return {};
}

void FileWatch::wait() {
  events_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                     [this](const boost::system::error_code& error) {
                       if (error) return;
                       if (drain()) {
                         quiet_.expires_after(settle_time);
                         quiet_.async_wait([this](const boost::system::error_code& cancelled) {
                           if (!cancelled) on_change_();
                         });
                       }
                       wait();
                     });
}

bool FileWatch::drain() {
  bool ours = false;
  alignas(inotify_event) std::array<char, 4096> buffer{};
  for (ssize_t length = 0;
       (length = read(events_.native_handle(), buffer.data(), buffer.size())) > 0;) {
    for (ssize_t at = 0; at < length;) {
      const auto* event = reinterpret_cast<const inotify_event*>(&buffer[static_cast<size_t>(at)]);
      if ((event->mask & IN_Q_OVERFLOW) != 0) ours = true;
      if (event->len > 0 && name_ == event->name) ours = true;
      at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
    }
  }
  return ours;
}

}  // namespace xlvs
