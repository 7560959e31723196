// SPDX-License-Identifier: MIT
#include "loader/plane/data_plane.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <xdp/libxdp.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "bpf/types.h"
#include "loader/base/log.h"
#include "loader/plane/attached.h"
#include "loader/plane/map.h"
#include "loader/plane/pins.h"
#include "loader/plane/skeleton.h"
#include "loader/state/words.h"

namespace xlvs::data_plane {

namespace {

constexpr const char* section = "xdp.frags";

struct CloseProgram {
  void operator()(xdp_program* program) const { xdp_program__close(program); }
};
using Program = std::unique_ptr<xdp_program, CloseProgram>;

xdp_attach_mode to_xdp(AttachMode mode) {
  return mode == AttachMode::native ? XDP_MODE_NATIVE : XDP_MODE_SKB;
}

// libbpf and libxdp explain a failure on several lines before they return its number: those lines
// go to the log at debug level, and errors are worded here.
int log_library(libbpf_print_level level, const char* format, va_list arguments) {
  if (level == LIBBPF_DEBUG) return 0;
  std::array<char, 1024> line{};
  vsnprintf(line.data(), line.size(), format, arguments);
  std::string text = line.data();
  while (!text.empty() && text.back() == '\n') text.pop_back();
  spdlog::debug("{}", text);
  return 0;
}

int log_libxdp(libxdp_print_level level, const char* format, va_list arguments) {
  return log_library(level == LIBXDP_DEBUG ? LIBBPF_DEBUG : LIBBPF_WARN, format, arguments);
}

void quiet_libraries() {
  libbpf_set_print(log_library);
  libxdp_set_print(log_libxdp);
}

std::string explain(int error, AttachMode mode) {
  switch (error < 0 ? -error : error) {
    case EBUSY:
      return "another XDP program is attached and does not share; detach it first";
    case EOPNOTSUPP:
      return mode == AttachMode::native
                 ? "its driver has no native XDP; generic mode works everywhere, slower: "
                   "\"mode\": \"generic\" in the configuration, --mode generic for attach"
                 : "the kernel has no generic XDP";
    case ERANGE:
      return "its MTU is larger than its driver takes with XDP";
    case EPERM:
      return "not permitted: root or CAP_BPF and CAP_NET_ADMIN are needed";
    default:
      return std::strerror(error < 0 ? -error : error);
  }
}

Result<Mac> mac_of(const std::string& interface) {
  const Fd socket{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  if (!socket) return Error::from_errno("open a socket");
  ifreq request{};
  std::strncpy(request.ifr_name, interface.c_str(), IFNAMSIZ - 1);
  if (ioctl(socket.get(), SIOCGIFHWADDR, &request) != 0) {
    return Error::from_errno("read the MAC address of " + interface);
  }
  Mac mac;
  std::memcpy(mac.bytes.data(), request.ifr_hwaddr.sa_data, mac.bytes.size());
  return mac;
}

// Those of interfaces that are no more.
void forget_gone(const MappedArray<struct settings>& settings) {
  for (auto& slot : settings[0].interfaces) {
    std::array<char, IF_NAMESIZE> name{};
    if (slot.ifindex != 0 && if_indextoname(slot.ifindex, name.data()) == nullptr) slot.ifindex = 0;
  }
}

// Tells the program about an interface: its frames are looked at from here on.
Result<void> introduce(const MappedArray<struct settings>& settings, const Attachment& attachment) {
  const auto mac = mac_of(attachment.interface);
  if (!mac) return mac.error();
  auto& slots = settings[0].interfaces;
  auto* slot = std::find_if(std::begin(slots), std::end(slots), [&](const ::interface& one) {
    return one.ifindex == static_cast<uint32_t>(attachment.ifindex);
  });
  if (slot == std::end(slots)) {
    slot = std::find_if(std::begin(slots), std::end(slots),
                        [](const ::interface& one) { return one.ifindex == 0; });
  }
  if (slot == std::end(slots)) {
    return Error{"at most " + std::to_string(MAX_INTERFACES) + " interfaces can be attached"};
  }
  next_hop self{};
  std::copy(mac->bytes.begin(), mac->bytes.end(), self.hop.mac);
  self.hop.interface = static_cast<__u16>(slot - std::begin(slots) + 1);
  slot->self = self;
  slot->ifindex = static_cast<uint32_t>(attachment.ifindex);
  return {};
}

void forget(const MappedArray<struct settings>& settings, int ifindex) {
  for (auto& slot : settings[0].interfaces) {
    if (slot.ifindex == static_cast<uint32_t>(ifindex)) slot.ifindex = 0;
  }
}

Result<Attachment> attach_one(xdp_program* program, const std::string& interface, int ifindex,
                              AttachMode mode) {
  const int error = xdp_program__attach(program, ifindex, to_xdp(mode), 0);
  if (error != 0) {
    return Error{"attach to " + interface + " in " + std::string(word(mode)) +
                     " mode: " + explain(error, mode),
                 error < 0 ? -error : error};
  }
  const Multiprog programs(xdp_multiprog__get_from_ifindex(ifindex));
  if (libxdp_get_error(programs.get()) != 0)
    return Error{"attached to " + interface + ", but it is not there"};
  return describe(interface, ifindex, programs.get(), false);
}

Result<void> check_free(const std::string& interface, const Found& found) {
  if (!found.any || found.ours != nullptr || !xdp_multiprog__is_legacy(found.programs.get())) {
    return {};
  }
  xdp_program* other = xdp_multiprog__main_prog(found.programs.get());
  return Error{"attach to " + interface + ": XDP program '" + xdp_program__name(other) + "' (id " +
                   std::to_string(xdp_program__id(other)) +
                   ") is attached and does not share; remove it with: ip link set dev " +
                   interface + " xdp off",
               EBUSY};
}

struct Plan {
  std::vector<Attachment> adopted;
  std::vector<std::string> missing;
};

Result<Plan> plan(const std::string& pins, const std::vector<std::string>& interfaces) {
  Plan plan;
  const auto services = open_pinned_map(pins::path(pins, pins::services));
  for (const auto& interface : interfaces) {
    const int ifindex = static_cast<int>(if_nametoindex(interface.c_str()));
    if (ifindex == 0) return Error{"there is no interface " + interface, ENODEV};
    const Found found = find_on(ifindex, services ? services->id : 0);
    if (found.ours != nullptr) {
      plan.adopted.push_back(describe(interface, ifindex, found.programs.get(), true));
      continue;
    }
    if (const auto free = check_free(interface, found); !free) return free.error();
    plan.missing.push_back(interface);
  }
  return plan;
}

// Loads the program by attaching it, as libxdp wants it: alone and under its dispatcher it is
// loaded differently.
Result<void> load_and_attach(const std::string& pins, const std::vector<std::string>& interfaces,
                             AttachMode mode, const Tables& tables,
                             std::vector<Attachment>& attached) {
  auto skeleton = open_skeleton(pins, tables);
  if (!skeleton) return skeleton.error();
  const Program program(xdp_program__from_bpf_obj((*skeleton)->obj, section));
  if (const long error = libxdp_get_error(program.get()); error != 0) {
    return Error::from_code("prepare the XDP program", static_cast<int>(error));
  }
  xdp_program__set_xdp_frags_support(program.get(), true);
  for (const auto& interface : interfaces) {
    const int ifindex = static_cast<int>(if_nametoindex(interface.c_str()));
    auto attachment = attach_one(program.get(), interface, ifindex, mode);
    if (!attachment) {
      for (const auto& done : attached) {
        xdp_program__detach(program.get(), done.ifindex, to_xdp(mode), 0);
      }
      attached.clear();
      return attachment.error();
    }
    attached.push_back(std::move(*attachment));
  }
  return {};
}

// The dispatcher of libxdp before 1.5 declares that it leaves packets as they are, and a kernel
// that knows the difference (6.12 of Debian does) then refuses a program that changes their size:
// such a program must run alone.
Result<void> attach_missing(const std::string& pins, const std::vector<std::string>& interfaces,
                            AttachMode mode, const Tables& tables, std::vector<std::string>& notes,
                            std::vector<Attachment>& attached) {
  auto done = load_and_attach(pins, interfaces, mode, tables, attached);
  if (done || done.error().code != EINVAL) return done;
  // Also on a reload, beside the sweeper's thread, which never reads the environment.
  setenv("LIBXDP_SKIP_DISPATCHER", "1", 1);  // NOLINT(concurrency-mt-unsafe)
  done = load_and_attach(pins, interfaces, mode, tables, attached);
  if (done) {
    notes.emplace_back(
        "attached alone: this kernel does not take xlvs under libxdp's dispatcher, "
        "so no other XDP program can share its interfaces");
  }
  return done;
}

}  // namespace

Result<std::vector<Attachment>> attach(const std::string& pins,
                                       const std::vector<std::string>& interfaces, AttachMode mode,
                                       const Tables& tables, std::vector<std::string>& notes) {
  quiet_libraries();
  auto planned = plan(pins, interfaces);
  if (!planned) return planned.error();
  const bool fresh = !open_pinned_map(pins::path(pins, pins::services));
  if (const auto made = pins::make_folder(pins); !made) return made.error();
  std::vector<Attachment> attached;
  if (!planned->missing.empty()) {
    const auto done = attach_missing(pins, planned->missing, mode, tables, notes, attached);
    if (!done) {
      if (fresh) pins::remove_folder(pins);
      return done.error();
    }
  }
  const auto settings = MappedArray<struct settings>::open(pins::path(pins, pins::settings));
  if (!settings) return settings.error();
  for (const auto& adopted : planned->adopted) {
    if (adopted.mode == mode) continue;
    notes.push_back(adopted.interface + " stays in " + std::string(word(adopted.mode)) +
                    " mode: to change it, stop the agent, detach and attach again");
  }
  attached.insert(attached.begin(), planned->adopted.begin(), planned->adopted.end());
  forget_gone(*settings);
  for (const auto& attachment : attached) {
    if (const auto known = introduce(*settings, attachment); !known) return known.error();
  }
  return attached;
}

std::vector<std::string> kept_sizes(const std::string& pins, const Tables& tables) {
  const std::array<std::pair<const char*, uint32_t>, 6> wanted{
      {{pins::services, tables.services},
       {pins::tables, tables.slots},
       {pins::backends, tables.backends},
       {pins::flows, tables.flows},
       {pins::pending, tables.pending},
       {pins::fragments, tables.fragments}}};
  std::vector<std::string> notes;
  for (const auto& [name, size] : wanted) {
    const auto pinned = open_pinned_map(pins::path(pins, name));
    if (!pinned || pinned->size == size) continue;
    notes.push_back(std::string(name) + " keeps its " + std::to_string(pinned->size) +
                    " entries instead of " + std::to_string(size) +
                    ": the tables of a running data plane do not change their size");
  }
  return notes;
}

Result<std::vector<Attachment>> attachments(const std::string& pins) {
  quiet_libraries();
  const auto services = open_pinned_map(pins::path(pins, pins::services));
  if (!services) return services.error();
  std::vector<Attachment> attached;
  const std::unique_ptr<struct if_nameindex, decltype(&if_freenameindex)> names(::if_nameindex(),
                                                                                &if_freenameindex);
  for (const auto* entry = names.get(); entry != nullptr && entry->if_index != 0; ++entry) {
    const int ifindex = static_cast<int>(entry->if_index);
    const Found found = find_on(ifindex, services->id);
    if (found.ours != nullptr) {
      attached.push_back(describe(entry->if_name, ifindex, found.programs.get(), true));
    }
  }
  return attached;
}

Result<std::vector<std::string>> detach(const std::string& pins,
                                        const std::vector<std::string>& interfaces) {
  quiet_libraries();
  const auto services = open_pinned_map(pins::path(pins, pins::services));
  if (!services && services.error().code == ENOENT) return std::vector<std::string>{};
  if (!services) return services.error();
  const auto settings = MappedArray<struct settings>::open(pins::path(pins, pins::settings));
  auto attached = attachments(pins);
  if (!attached) return attached.error();

  std::vector<std::string> detached;
  for (const auto& attachment : *attached) {
    const bool wanted = interfaces.empty() || std::find(interfaces.begin(), interfaces.end(),
                                                        attachment.interface) != interfaces.end();
    if (!wanted) continue;
    const Found found = find_on(attachment.ifindex, services->id);
    const int error =
        xdp_program__detach(found.ours, attachment.ifindex, to_xdp(attachment.mode), 0);
    if (error != 0) return Error::from_code("detach from " + attachment.interface, error);
    if (settings) forget(*settings, attachment.ifindex);
    detached.push_back(attachment.interface);
  }
  if (detached.size() == attached->size()) pins::remove_folder(pins);
  return detached;
}

bool is_attached(const Attachment& attachment) {
  if (if_nametoindex(attachment.interface.c_str()) != static_cast<unsigned>(attachment.ifindex)) {
    return false;
  }
  uint32_t program = 0;
  const int error = bpf_xdp_query_id(attachment.ifindex, 0, &program);
  return error == 0 && program == attachment.program;
}

Result<void> detach_all(const std::string& pins, const std::vector<Attachment>& attachments) {
  // By the pins, which is how libxdp's dispatcher is left to others.
  if (const auto detached = detach(pins, {}); !detached) return detached.error();
  std::string left;
  for (const auto& attachment : attachments) {
    if (!is_attached(attachment)) continue;
    const uint32_t flags =
        attachment.mode == AttachMode::native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE;
    const bool alone = !attachment.dispatched;
    if (alone && bpf_xdp_detach(attachment.ifindex, flags, nullptr) == 0) continue;
    left += (left.empty() ? "" : ", ") + attachment.interface;
  }
  if (left.empty()) return {};
  return Error{"xlvs is still attached to " + left +
               "; remove it with: ip link set dev INTERFACE xdp off"};
}

}  // namespace xlvs::data_plane
