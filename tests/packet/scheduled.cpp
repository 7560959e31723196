// SPDX-License-Identifier: MIT
#include "tests/packet/scheduled.h"

namespace xlvs::test {
namespace {

std::vector<slot> slots_of(const std::vector<tables::Candidate>& candidates) {
  std::vector<slot> slots(candidates.size());
  for (size_t i = 0; i < slots.size(); ++i) {
    slots[i].backend = candidates[i].id;
    slots[i].weight = candidates[i].weight;
  }
  return slots;
}

}  // namespace

Director director_with(uint8_t backends, Family family, const Sizes& sizes) {
  Director director(sizes);
  for (uint8_t number = 1; number <= backends; ++number) {
    director.add_backend(
        {.endpoint = {backend_of(family, number), scheduled_port}, .mac = backend_mac(number)});
  }
  return director;
}

std::vector<tables::Candidate> listed(const std::vector<uint32_t>& weights) {
  std::vector<tables::Candidate> list;
  for (auto id = static_cast<uint32_t>(weights.size()); id > 0; --id) {
    list.push_back({.id = id, .weight = weights[id - 1], .share = weights[id - 1], .seed = id});
  }
  return list;
}

void schedule_among(Director& director, uint32_t service, const Scheduling& scheduling,
                    const std::vector<tables::Candidate>& list) {
  table_region how{};
  how.scheduler = static_cast<uint8_t>(scheduling.scheduler);
  how.hash = static_cast<uint8_t>(scheduling.hash) & 3;
  how.strict = scheduling.strict_ipvs;
  Scheduling small = scheduling;  // a test makes many tables, and its map is small
  small.slots = 1021;
  const auto table = tables::make(small, list, {});
  std::optional<std::vector<slot>> members;
  if (table.serving) members = slots_of(*table.serving);
  director.set_table(service, how, slots_of(table.slots), members);
  for (const auto& candidate : list) director.set_weight(candidate.id, candidate.weight);
}

void schedule_by(Director& director, uint32_t service, const Scheduling& scheduling,
                 const std::vector<uint32_t>& weights) {
  schedule_among(director, service, scheduling, listed(weights));
}

char server_of(const Outcome& outcome) {
  return outcome.verdict == FORWARD_DR ? static_cast<char>('0' + outcome.frame.at(5) - 0x80) : '!';
}

char connect(Director& director, const Address& to, uint16_t from, Then then) {
  const Wire wire{to.is_v4() ? Family::v4 : Family::v6, Tags::none};
  const Packet to_vip =
      wire.link(client_mac, director_mac) / wire.ip(client_of(wire.family), to, 64);
  const char chosen =
      server_of(director.run(to_vip / TCP{.sport = from, .dport = scheduled_port, .syn = true}));
  if (chosen == '!') return chosen;
  director.run(to_vip / TCP{.sport = from, .dport = scheduled_port, .ack = true});
  if (then == Then::close) {
    director.run(to_vip / TCP{.sport = from, .dport = scheduled_port, .fin = true, .ack = true});
  }
  return chosen;
}

}  // namespace xlvs::test
