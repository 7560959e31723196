// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "loader/state/configuration.h"

// The configuration's words for its enums, which are also those of the log and of `list`.
namespace xlvs {

template <typename E, size_t size>
using WordTable = std::array<std::pair<std::string_view, E>, size>;

namespace words {

constexpr WordTable<Protocol, 3> protocols{
    {{"tcp", Protocol::tcp}, {"udp", Protocol::udp}, {"sctp", Protocol::sctp}}};
constexpr WordTable<Forwarding, 4> forwardings{{{"dr", Forwarding::dr},
                                                {"nat", Forwarding::nat},
                                                {"local", Forwarding::local},
                                                {"tun", Forwarding::tun}}};
constexpr WordTable<TunnelType, 3> tunnel_types{
    {{"ipip", TunnelType::ipip}, {"gre", TunnelType::gre}, {"gue", TunnelType::gue}}};
constexpr WordTable<Scheduler, SCHEDULER_COUNT> schedulers{{
#define X(name, word, table) {#word, Scheduler::word},
    SCHEDULERS(X)
#undef X
}};
constexpr WordTable<HashOf, 3> hashes{{{"source", HashOf::source},
                                       {"source_port", HashOf::source_port},
                                       {"5tuple", HashOf::five_tuple}}};
constexpr WordTable<OnFailure, 2> on_failures{
    {{"drain", OnFailure::drain}, {"remove", OnFailure::remove}}};
constexpr WordTable<OnStop, 2> on_stops{{{"detach", OnStop::detach}, {"keep", OnStop::keep}}};
constexpr WordTable<AttachMode, 2> modes{
    {{"native", AttachMode::native}, {"generic", AttachMode::generic}}};
constexpr WordTable<CheckType, 3> check_types{
    {{"none", CheckType::none}, {"tcp", CheckType::tcp}, {"http", CheckType::http}}};

template <typename E, size_t size>
constexpr std::string_view find(const WordTable<E, size>& table, E value) {
  for (const auto& [word, candidate] : table) {
    if (candidate == value) return word;
  }
  return {};
}

}  // namespace words

constexpr std::string_view word(Protocol value) { return words::find(words::protocols, value); }
constexpr std::string_view word(Forwarding value) { return words::find(words::forwardings, value); }
constexpr std::string_view word(TunnelType value) {
  return words::find(words::tunnel_types, value);
}
constexpr std::string_view word(Scheduler value) { return words::find(words::schedulers, value); }
constexpr std::string_view word(HashOf value) { return words::find(words::hashes, value); }
constexpr std::string_view word(AttachMode value) { return words::find(words::modes, value); }

// "1 service", "2 services"
inline std::string counted(size_t count, const std::string& what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

}  // namespace xlvs
