// SPDX-License-Identifier: MIT
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "loader/base/asio.h"
#include "loader/base/result.h"

namespace xlvs {

// Tells when a file was written or replaced, also by rename, and also while it is not there.
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
  void wait();
  // Empties the queue; says if it spoke of the file.
  bool drain();

  std::function<void()> on_change_;
  boost::asio::posix::stream_descriptor events_;
  boost::asio::steady_timer quiet_;
  std::string name_;
};

}  // namespace xlvs
