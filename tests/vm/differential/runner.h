// SPDX-License-Identifier: MIT
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/vm/differential/case.h"
#include "tests/vm/differential/judge.h"
#include "tests/vm/differential/side.h"

namespace xlvs::differential {

// What came of a case.
struct Report {
  std::string script;                // both configurations and every step, with both answers
  std::optional<std::string> wrong;  // what is not as it should be; the script ends there
  std::vector<Answer> chosen;        // IPVS's answers to first packets
  size_t packets = 0;
};

// Runs cases against IPVS and xlvs side by side.
class Runner {
 public:
  Runner(Side& ipvs, Side& xlvs) : ipvs_(ipvs), xlvs_(xlvs) {}

  Report run(const Case& what);

 private:
  struct Connection {
    Client client;
    Served by;
    enum class State : uint8_t { opening, open, closed, reset, aborted, ended };
    State state = State::opening;
  };

  static Connection::State next(Connection::State state, Packet packet);
  void take(const Open& open);
  void take(const More& more);
  void take(const Expire& expire);
  template <typename Change>
  void take(const Change& change);
  void send(Connection& connection, Packet packet);
  void compare_counts();
  void note(const std::string& line) { report_.script += line + "\n"; }

  Side& ipvs_;
  Side& xlvs_;
  Setup setup_;
  Tally given_by_ipvs_;
  Tally given_by_xlvs_;
  std::vector<Connection> connections_;
  Report report_;
};

}  // namespace xlvs::differential
