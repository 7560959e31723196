// SPDX-License-Identifier: MIT
#include "loader/plane/pins.h"

#include <linux/magic.h>
#include <sys/vfs.h>

#include <filesystem>

namespace xlvs::pins {

Result<void> make_folder(const std::string& folder) {
  const std::filesystem::path parent = std::filesystem::path(folder).parent_path();
  struct statfs status {};
  if (statfs(parent.c_str(), &status) != 0) return Error::from_errno("look at " + parent.string());
  if (status.f_type != BPF_FS_MAGIC) {
    return Error{parent.string() + " is not a BPF file system; mount one: mount -t bpf bpf " +
                 parent.string()};
  }
  std::error_code failure;
  std::filesystem::create_directory(folder, failure);
  if (failure) return Error::from_code("make " + folder, failure.value());
  return {};
}

void remove_folder(const std::string& folder) {
  std::error_code ignored;  // what cannot be removed is found by the next attach, which says so
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    std::filesystem::remove(entry.path(), ignored);
  }
  std::filesystem::remove(folder, ignored);
}

}  // namespace xlvs::pins
