// SPDX-License-Identifier: MIT
#include "loader/plane/lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <chrono>
#include <fstream>
#include <sstream>
#include <thread>

namespace xlvs {

namespace {

// The process that holds a lock on the inode, by /proc/locks (proc(5)): "1: FLOCK ADVISORY WRITE
// 412 00:1d:9 0 EOF".
std::string holder(int folder) {
  struct stat status {};
  if (fstat(folder, &status) != 0) return "another process";
  const std::string inode = ":" + std::to_string(status.st_ino);
  std::ifstream locks("/proc/locks");
  for (std::string line; std::getline(locks, line);) {
    std::istringstream words(line);
    std::string number;
    std::string kind;
    std::string advisory;
    std::string access;
    std::string pid;
    std::string file;
    words >> number >> kind >> advisory >> access >> pid >> file;
    if (kind == "FLOCK" && file.ends_with(inode)) return "process " + pid;
  }
  return "another process";
}

}  // namespace

Result<Lock> Lock::take(const std::string& folder) {
  Fd fd{open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!fd) return Error::from_errno("open " + folder);
  // Whoever only asks whether it is held holds it himself for a moment.
  int taken = flock(fd.get(), LOCK_EX | LOCK_NB);
  for (int i = 0; taken != 0 && errno == EWOULDBLOCK && i < 5; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    taken = flock(fd.get(), LOCK_EX | LOCK_NB);
  }
  if (taken != 0) {
    if (errno != EWOULDBLOCK) return Error::from_errno("lock " + folder);
    return Error{"another agent runs already: " + holder(fd.get()) + " holds " + folder, EBUSY};
  }
  return Lock(std::move(fd));
}

bool Lock::is_held(const std::string& folder) {
  const Fd fd{open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  return fd && flock(fd.get(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

}  // namespace xlvs
