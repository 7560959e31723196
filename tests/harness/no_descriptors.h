// SPDX-License-Identifier: MIT
#pragma once

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

namespace xlvs::harness {

// While it lives, this process can open no file. Not for sanitized tests: UBSan asks with pipe()
// whether it may read an object, and takes EMFILE for a no.
class NoDescriptors {
 public:
#ifdef __SANITIZE_ADDRESS__
  static constexpr bool possible = false;
#else
  static constexpr bool possible = true;
#endif

  NoDescriptors() {
    getrlimit(RLIMIT_NOFILE, &before_);
    const int next = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(next);
    const rlimit none{static_cast<rlim_t>(next), before_.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
  }
  ~NoDescriptors() { setrlimit(RLIMIT_NOFILE, &before_); }
  NoDescriptors(const NoDescriptors&) = delete;
  NoDescriptors& operator=(const NoDescriptors&) = delete;
  NoDescriptors(NoDescriptors&&) = delete;
  NoDescriptors& operator=(NoDescriptors&&) = delete;

 private:
  rlimit before_{};
};

}  // namespace xlvs::harness
