// SPDX-License-Identifier: MIT
#include "tests/vm/differential/judge.h"

#include <algorithm>

#include "tests/harness/describe.h"

namespace xlvs::differential {

namespace {

using Kind = Answer::Kind;

bool is_choice(const Answer& answer) {
  return answer.kind == Kind::served || answer.kind == Kind::unreachable;
}

// A frame for the same server is the same byte by byte.
std::optional<std::string> judge_frames(const Answer& ipvs, const Answer& xlvs) {
  if (ipvs.kind != Kind::served || ipvs.server != xlvs.server || ipvs.frame == xlvs.frame) {
    return std::nullopt;
  }
  return "the frames differ\n" + test::difference(ipvs.frame, xlvs.frame);
}

std::optional<std::string> judge_same(const Answer& ipvs, const Answer& xlvs) {
  if (ipvs.kind != xlvs.kind || ipvs.server != xlvs.server) return "they differ";
  return judge_frames(ipvs, xlvs);
}

// Whoever serves: not one that must not, and nobody is refused whom somebody could serve.
std::optional<std::string> judge_alone(const Setup& setup, const Verdict& one, bool may_refuse) {
  if (one.answer.kind == Kind::served) {
    if (one.tally.may_serve(setup, one.answer.server)) return std::nullopt;
    return std::to_string(one.answer.server) + " takes no connections now";
  }
  if (may_refuse || !one.tally.somebody_may(setup)) return std::nullopt;
  return "refused, though somebody could serve";
}

}  // namespace

bool is_exact(Scheduler scheduler) {
  return scheduler != Scheduler::twos && scheduler != Scheduler::mh && scheduler != Scheduler::dh;
}

void Tally::settle(const Server& server) {
  Load& load = loads_[server.number];
  if (server.max > 0 && load.total >= server.max) {
    load.full = true;
  } else if (server.min > 0 ? load.total < server.min : load.total * 4 < server.max * 3) {
    load.full = false;
  } else if (server.max == 0) {
    load.full = false;
  }
}

void Tally::change(const Step& change) {
  if (const auto* put = std::get_if<Put>(&change)) settle(put->server);
}

void Tally::count(const Setup& setup, uint8_t server, int change) {
  const Server* known = setup.find(server);
  if (known == nullptr || setup.scheduling.one_packet) return;
  loads_[server].total += static_cast<uint32_t>(change);
  settle(*known);
}

bool Tally::may_serve(const Setup& setup, uint8_t server) const {
  const Server* known = setup.find(server);
  const auto load = loads_.find(server);
  return known != nullptr && known->weight > 0 && (load == loads_.end() || !load->second.full);
}

bool Tally::somebody_may(const Setup& setup) const {
  return std::any_of(setup.servers.begin(), setup.servers.end(),
                     [&](const Server& one) { return may_serve(setup, one.number); });
}

std::optional<std::string> judge_choice(const Setup& setup, const Verdict& ipvs,
                                        const Verdict& xlvs) {
  if (!is_choice(ipvs.answer)) return "IPVS neither serves nor refuses";
  if (!is_choice(xlvs.answer)) return "xlvs neither serves nor refuses";
  const Scheduling& how = setup.scheduling;
  if (is_exact(how.scheduler)) return judge_same(ipvs.answer, xlvs.answer);
  // dh: whom IPVS refuses, others serve.
  if (how.scheduler == Scheduler::dh) {
    if (ipvs.answer.kind == Kind::served) return judge_same(ipvs.answer, xlvs.answer);
    return judge_alone(setup, xlvs, false);
  }
  const bool strict = how.scheduler == Scheduler::mh && how.strict_ipvs;
  if (auto wrong = judge_alone(setup, ipvs, strict)) return "IPVS: " + *wrong;
  if (auto wrong = judge_alone(setup, xlvs, strict)) return "xlvs: " + *wrong;
  return std::nullopt;
}

std::optional<std::string> judge_more(const Setup& setup, const Served& by, const Answer& ipvs,
                                      const Answer& xlvs) {
  // Of a removed server: IPVS is silent, by xlvs its connections go on.
  const bool away = setup.find(by.ipvs) == nullptr;
  if (by.ipvs != 0 && ipvs.server != (away ? 0 : by.ipvs)) return "IPVS has changed its mind";
  if (by.xlvs != 0 && xlvs.server != by.xlvs) return "xlvs has changed its mind";
  return judge_frames(ipvs, xlvs);
}

}  // namespace xlvs::differential
