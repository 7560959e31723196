// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "loader/base/result.h"
#include "loader/state/configuration.h"

// The XDP program and its maps: putting them on interfaces and taking them off. Both outlive the
// process: maps are pinned in a folder of bpffs, and the program stays on its interfaces until it
// is detached.
namespace xlvs::data_plane {

constexpr const char* default_pins = "/sys/fs/bpf/xlvs";

struct Attachment {
  std::string interface;
  int ifindex = 0;
  AttachMode mode = AttachMode::native;
  bool adopted = false;     // it was there already
  bool dispatched = false;  // libxdp's dispatcher runs it beside other programs
  uint32_t program = 0;     // id of what runs on the interface: xlvs or the dispatcher
};

// Is it as it was when it was attached or adopted? Not if somebody took it off, and not if the
// interface was made anew.
bool is_attached(const Attachment& attachment);

// Attaches to every named interface, or to none: what this call attached before a failure is
// detached again. Creates the maps where they are not pinned yet; pinned ones are kept. An
// interface that the program is already on is adopted. Fails if an interface is missing, if its
// driver has no XDP of that mode, or if another program is in the way.
Result<std::vector<Attachment>> attach(const std::string& pins,
                                       const std::vector<std::string>& interfaces, AttachMode mode,
                                       const Tables& tables, std::vector<std::string>& notes);

// Detaches from the named interfaces, or from all that it is on if none is named; unpins the maps
// when it is on no interface any more. Answers which ones it was on.
Result<std::vector<std::string>> detach(const std::string& pins,
                                        const std::vector<std::string>& interfaces);

// Detaches what an agent had attached, also where the pins have gone meanwhile; removes the pins.
// Fails if it is still there.
Result<void> detach_all(const std::string& pins, const std::vector<Attachment>& attachments);

// A line for each pinned map whose size is another than that of `tables`.
std::vector<std::string> kept_sizes(const std::string& pins, const Tables& tables);

// Where it is attached now.
Result<std::vector<Attachment>> attachments(const std::string& pins);

}  // namespace xlvs::data_plane
