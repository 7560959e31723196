// SPDX-License-Identifier: MIT
#include "loader/plane/driver_counters.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <optional>

#include "loader/plane/ethtool.h"

namespace xlvs {

namespace {

// A command of ethtool's: a head and what follows it.
template <typename Head>
std::vector<std::byte> command(const Head& head, size_t follows) {
  std::vector<std::byte> bytes(sizeof head + follows);
  std::memcpy(bytes.data(), &head, sizeof head);
  return bytes;
}

uint32_t count_of(const Fd& socket, const std::string& interface) {
  auto info = command(ethtool_sset_info{.cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1U << ETH_SS_STATS},
                      sizeof(uint32_t));
  if (!ethtool::ask(socket, interface, info.data())) return 0;
  uint32_t count = 0;
  std::memcpy(&count, info.data() + sizeof(ethtool_sset_info), sizeof count);
  return count;
}

// Two drivers' answers that are not of one time are no counters: then nothing.
std::vector<DriverCounter> named_counters(const Fd& socket, const std::string& interface) {
  const uint32_t count = count_of(socket, interface);
  auto names =
      command(ethtool_gstrings{.cmd = ETHTOOL_GSTRINGS, .string_set = ETH_SS_STATS, .len = count},
              size_t{count} * ETH_GSTRING_LEN);
  auto values = command(ethtool_stats{.cmd = ETHTOOL_GSTATS, .n_stats = count},
                        size_t{count} * sizeof(uint64_t));
  if (count == 0 || !ethtool::ask(socket, interface, names.data()) ||
      !ethtool::ask(socket, interface, values.data())) {
    return {};
  }
  std::vector<DriverCounter> counters;
  for (size_t i = 0; i < count; ++i) {
    const auto* name = reinterpret_cast<const char*>(names.data() + sizeof(ethtool_gstrings) +
                                                     i * ETH_GSTRING_LEN);
    DriverCounter one{interface, std::string(name, strnlen(name, ETH_GSTRING_LEN))};
    std::memcpy(&one.frames, values.data() + sizeof(ethtool_stats) + i * sizeof one.frames,
                sizeof one.frames);
    if (counts_losses(one.name)) counters.push_back(std::move(one));
  }
  return counters;
}

// sysfs may be another network namespace's; this is the socket's.
std::optional<uint64_t> tx_dropped(const std::string& interface) {
  // Inter-| Receive | Transmit: eight numbers each, the fourth are drops.
  constexpr int place = 8 + 4;
  std::ifstream file("/proc/thread-self/net/dev");
  for (std::string name; file >> name;) {
    if (name == interface + ":") {
      uint64_t number = 0;
      for (int i = 0; i < place; ++i) file >> number;
      return file ? std::optional(number) : std::nullopt;
    }
    file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return std::nullopt;
}

}  // namespace

bool counts_losses(std::string_view name) {
  const auto has = [name](std::string_view part) {
    return name.find(part) != std::string_view::npos;
  };
  constexpr std::array<std::string_view, 6> losses{"err",       "full",  "tx_drop",
                                                   "xmit_drop", "abort", "redirect_drop"};
  return has("xdp") && std::any_of(losses.begin(), losses.end(), has);
}

std::vector<DriverCounter> read_driver_counters(const std::vector<std::string>& interfaces) {
  const Fd socket = ethtool::open_socket();
  std::vector<DriverCounter> all;
  if (!socket) return all;
  for (const auto& interface : interfaces) {
    if (const auto dropped = tx_dropped(interface)) {
      all.push_back({interface, "tx_dropped", *dropped});
    }
    auto named = named_counters(socket, interface);
    std::move(named.begin(), named.end(), std::back_inserter(all));
  }
  return all;
}

}  // namespace xlvs
