// SPDX-License-Identifier: MIT
#pragma once

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstring>
#include <string>

#include "loader/base/fd.h"

// What a driver says of its interface (linux/ethtool.h).
namespace xlvs::ethtool {

inline Fd open_socket() { return Fd{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)}; }

// `command` begins with its number and has room for the answer. False: it does not say.
inline bool ask(const Fd& socket, const std::string& interface, void* command) {
  ifreq request{};
  std::strncpy(request.ifr_name, interface.c_str(), IFNAMSIZ - 1);
  request.ifr_data = static_cast<char*>(command);
  return socket && ioctl(socket.get(), SIOCETHTOOL, &request) == 0;
}

}  // namespace xlvs::ethtool
