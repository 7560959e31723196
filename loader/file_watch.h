// SPDX-License-Identifier: MIT
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "loader/base/asio.h"
#include "loader/base/result.h"

namespace xlvs {

// Tells when a file was written or replaced, also by rename, also while it is not there, and also
// when a symbolic link on the way to it was: then it looks again where the way leads.
class FileWatch {
 public:
  // `on_change` is called from the loop, once for changes that come close together.
  FileWatch(boost::asio::any_io_executor executor, std::function<void()> on_change);
  FileWatch(const FileWatch&) = delete;
  FileWatch& operator=(const FileWatch&) = delete;
  FileWatch(FileWatch&&) = delete;
  FileWatch& operator=(FileWatch&&) = delete;
  ~FileWatch() = default;

  Result<void> start(const std::string& path);

 private:
  Result<void> watch_way();
  void wait();
  // Empties the queue; says if it spoke of the file or a link.
  bool drain();

  std::function<void()> on_change_;
  boost::asio::posix::stream_descriptor events_;
  boost::asio::steady_timer quiet_;
  std::string path_;
  std::map<int, std::set<std::string>> names_;  // by inotify's number of their folder
};

}  // namespace xlvs
