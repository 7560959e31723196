// SPDX-License-Identifier: MIT
#pragma once

#include <map>
#include <optional>
#include <string>

#include "tests/vm/differential/answer.h"
#include "tests/vm/differential/case.h"

// What is right? docs/differences-from-ipvs.md says where the two differ by intent.
namespace xlvs::differential {

// Does xlvs choose server by server as IPVS does? Not by twos, which draws; nor by mh, another
// hash; nor by dh, which by intent does not refuse.
bool is_exact(Scheduler scheduler);

// What one director has given to each server: who may be given more?
class Tally {
 public:
  void change(const Step& change);
  void count(const Setup& setup, uint8_t server, int change = 1);
  [[nodiscard]] bool may_serve(const Setup& setup, uint8_t server) const;
  [[nodiscard]] bool somebody_may(const Setup& setup) const;

 private:
  struct Load {
    uint32_t total = 0;
    bool full = false;
  };
  void settle(const Server& server);

  std::map<uint8_t, Load> loads_;
};

// What one director has said, and what it had given before it was asked.
struct Verdict {
  Answer answer;
  const Tally& tally;
};

// What is wrong with the answers to a connection's first packet; nothing if they are as they should
// be.
std::optional<std::string> judge_choice(const Setup& setup, const Verdict& ipvs,
                                        const Verdict& xlvs);

// Who has a connection; 0: it was refused.
struct Served {
  uint8_t ipvs = 0;
  uint8_t xlvs = 0;
};

// What is wrong with the answers to a further packet of a connection.
std::optional<std::string> judge_more(const Setup& setup, const Served& by, const Answer& ipvs,
                                      const Answer& xlvs);

}  // namespace xlvs::differential
