// SPDX-License-Identifier: MIT
#include "loader/file_watch.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <filesystem>
#include <utility>
#include <vector>

#include "loader/base/fd.h"

namespace xlvs {

namespace {
// An editor writes, renames and touches in a row; what comes within this time is one change.
constexpr std::chrono::milliseconds settle_time{50};

// Where the names lie that a path is made of: its own, and those of the symbolic links on the way.
std::vector<std::pair<std::string, std::string>> way_to(std::filesystem::path path) {
  constexpr int most_links = 40;  // as the kernel's
  std::vector<std::pair<std::string, std::string>> way;
  for (int links = 0; links < most_links;) {
    std::filesystem::path done;
    std::filesystem::path next;
    for (const auto& part : path) {
      std::error_code none;
      const auto target = std::filesystem::read_symlink(done / part, none);
      if (none || !next.empty()) {
        (next.empty() ? done : next) /= part;
        continue;
      }
      way.emplace_back(done, part);
      next = target.is_absolute() ? target : done / target;
    }
    if (next.empty()) break;
    path = next.lexically_normal();
    ++links;
  }
  way.emplace_back(path.parent_path(), path.filename());
  return way;
}

}  // namespace

FileWatch::FileWatch(boost::asio::any_io_executor executor, std::function<void()> on_change)
    : on_change_(std::move(on_change)), events_(executor), quiet_(executor) {}

Result<void> FileWatch::start(const std::string& path) {
  path_ = std::filesystem::absolute(path);
  Fd inotify{inotify_init1(IN_NONBLOCK | IN_CLOEXEC)};
  if (!inotify) return Error::from_errno("watch " + path);
  events_.assign(inotify.release());
  if (auto watched = watch_way(); !watched) return watched;
  wait();
  return {};
}

// Folders are watched, since a rename puts another inode under a name.
Result<void> FileWatch::watch_way() {
  names_.clear();
  for (const auto& [folder, name] : way_to(path_)) {
    const int number = inotify_add_watch(events_.native_handle(), folder.c_str(),
                                         IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE);
    if (number < 0) return Error::from_errno("watch " + folder);
    names_[number].insert(name);
  }
  return {};
}

void FileWatch::wait() {
  events_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                     [this](const boost::system::error_code& error) {
                       if (error) return;
                       if (drain()) {
                         quiet_.expires_after(settle_time);
                         quiet_.async_wait([this](const boost::system::error_code& cancelled) {
                           if (cancelled) return;
                           // A folder that is not there yet is looked for at the next change.
                           (void)watch_way();
                           on_change_();
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
      const auto folder = names_.find(event->wd);
      if (event->len > 0 && folder != names_.end() && folder->second.contains(event->name)) {
        ours = true;
      }
      at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
    }
  }
  return ours;
}

}  // namespace xlvs
