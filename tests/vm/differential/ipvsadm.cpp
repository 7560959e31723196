// SPDX-License-Identifier: MIT
#include "tests/vm/differential/ipvsadm.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <system_error>

namespace xlvs::differential {

namespace {

// A service of its own tells how far it is: firewall mark `number` is last of what it was given.
std::string fence_lines(unsigned number) { return "-A -f " + std::to_string(number) + " -s rr\n"; }

std::string fence_entry(unsigned number) {
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "FWM  %08X ", number);
  return text.data();
}

}  // namespace

Ipvsadm::Ipvsadm(const Namespace& where)
    : where_(where), output_(memfd_create("ipvsadm", MFD_CLOEXEC)) {
  where.enter();
  std::array<int, 2> pipe{};
  if (pipe2(pipe.data(), O_CLOEXEC) != 0) {
    throw std::system_error(errno, std::generic_category(), "make a pipe");
  }
  const Fd its_end(pipe[0]);
  lines_ = Fd(pipe[1]);
  posix_spawn_file_actions_t files{};
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, its_end.get(), 0);
  posix_spawn_file_actions_adddup2(&files, output_.get(), 1);
  posix_spawn_file_actions_adddup2(&files, output_.get(), 2);
  std::string name = "ipvsadm";
  std::string restore = "-R";
  const std::array<char*, 3> arguments{name.data(), restore.data(), nullptr};
  const int error = posix_spawnp(&pid_, "ipvsadm", &files, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  if (error != 0) throw std::system_error(error, std::generic_category(), "run ipvsadm");
}

Ipvsadm::~Ipvsadm() {
  lines_ = {};
  waitpid(pid_, nullptr, 0);
}

std::string Ipvsadm::said() const {
  lseek(output_.get(), 0, SEEK_SET);
  std::string text(1000, '\0');
  const ssize_t size = read(output_.get(), text.data(), text.size());
  text.resize(static_cast<size_t>(std::max<ssize_t>(size, 0)));
  return text;
}

std::string Ipvsadm::table() const {
  where_.enter();
  std::ifstream file("/proc/thread-self/net/ip_vs");
  return {std::istreambuf_iterator<char>(file), {}};
}

// `first` removes the last fence.
void Ipvsadm::run(const std::string& first, const std::string& lines) {
  const std::string all = first + lines + fence_lines(++fence_);
  if (write(lines_.get(), all.data(), all.size()) != static_cast<ssize_t>(all.size())) {
    throw std::runtime_error("ipvsadm: " + said());
  }
  while (table().find(fence_entry(fence_)) == std::string::npos) {
    if (waitpid(pid_, nullptr, WNOHANG) == pid_) throw std::runtime_error("ipvsadm: " + said());
    usleep(100);
  }
  // Of what the kernel refuses it speaks, and goes on.
  if (const std::string text = said(); !text.empty()) {
    throw std::runtime_error("ipvsadm: " + text + "for\n" + lines);
  }
}

}  // namespace xlvs::differential
