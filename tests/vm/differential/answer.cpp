// SPDX-License-Identifier: MIT
#include "tests/vm/differential/answer.h"

#include <algorithm>

#include "tests/vm/differential/case.h"

namespace xlvs::differential {

namespace {

constexpr size_t ethernet = 14;
constexpr uint8_t icmp = 1;
constexpr uint8_t tcp = 6;
constexpr uint8_t icmpv6 = 58;
constexpr uint8_t reset_flag = 4;

uint8_t at(const test::Bytes& frame, size_t offset) {
  return offset < frame.size() ? frame[offset] : uint8_t{0};
}

uint8_t server_of(const test::Bytes& frame) {
  for (uint8_t number = 1; number <= most_servers; ++number) {
    const Mac mac = test::backend_mac(number);
    if (std::equal(mac.bytes.begin(), mac.bytes.end(), frame.begin())) return number;
  }
  return 0;
}

Answer::Kind kind_of(const test::Bytes& frame) {
  using enum Answer::Kind;
  const bool is_v4 = at(frame, ethernet) >> 4 == 4;
  const size_t transport = ethernet + (is_v4 ? size_t{4} * (at(frame, ethernet) & 15U) : 40);
  const uint8_t protocol = at(frame, ethernet + (is_v4 ? 9 : 6));
  const uint8_t type = at(frame, transport);
  const uint8_t code = at(frame, transport + 1);
  if (protocol == icmp && type == 3 && code == 3) return unreachable;
  if (protocol == icmpv6 && type == 1 && code == 4) return unreachable;
  if (protocol == tcp && (at(frame, transport + 13) & reset_flag) != 0) return reset;
  return other;
}

}  // namespace

Answer answer_of(const test::Bytes& frame) {
  if (const uint8_t server = server_of(frame); server != 0) {
    return {Answer::Kind::served, server, frame};
  }
  return {kind_of(frame), 0, frame};
}

std::string Answer::text() const {
  switch (kind) {
    case Kind::none:
      return "-";
    case Kind::served:
      return std::to_string(server);
    case Kind::unreachable:
      return "!";
    case Kind::reset:
      return "R";
    case Kind::other:
      break;
  }
  return "?";
}

bool any_inactive(const std::vector<Count>& counts) {
  return std::any_of(counts.begin(), counts.end(),
                     [](const Count& one) { return one.inactive > 0; });
}

std::string text(const std::vector<Count>& counts) {
  std::string text;
  for (const Count& one : counts) {
    text += (text.empty() ? "" : ", ") + std::to_string(one.server) + ": " +
            std::to_string(one.active) + "+" + std::to_string(one.inactive);
  }
  return text;
}

}  // namespace xlvs::differential
