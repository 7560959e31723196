// SPDX-License-Identifier: MIT
#include "tests/vm/differential/sequences.h"

#include "loader/state/words.h"

namespace xlvs::differential {

namespace {

struct Row {
  Scheduler scheduler;
  std::vector<uint16_t> weights;  // of servers 1, 2, 3, which came in that order
  Then then;
  const char* chosen;
};

const std::vector<Row> rows = {
    {Scheduler::rr, {1, 1}, Then::close, "212121212121212121212121212121"},
    {Scheduler::rr, {1, 1, 1}, Then::close, "321321321321321321321321321321"},
    {Scheduler::rr, {1, 0, 1}, Then::close, "313131313131313131313131313131"},
    {Scheduler::wrr, {2, 1}, Then::close, "211211211211211211211211211211"},
    {Scheduler::wrr, {3, 2, 1}, Then::close, "321121321121321121321121321121"},
    {Scheduler::lc, {1, 1, 1}, Then::hold, "321321321321321321321321321321"},
    {Scheduler::lc, {1, 1, 1}, Then::close, "321321321321321321321321321321"},
    {Scheduler::wlc, {2, 1}, Then::hold, "211211211211211211211211211211"},
    {Scheduler::sed, {3, 2, 1}, Then::hold, "121321121321121321121321121321"},
    {Scheduler::nq, {3, 2, 1}, Then::hold, "321121121321121321121321121321"},
    {Scheduler::fo, {1, 3, 2}, Then::close, "222222222222222222222222222222"},
    {Scheduler::ovf, {5, 10, 7}, Then::hold, "2222222222233333333111111!!!!!"},
    // Sources 10.2.0.1 to .30.
    {Scheduler::sh, {1, 1, 1}, Then::close, "232121213132323112123312132313"},
    // Vips 10.0.0.101 to .130.
    {Scheduler::dh, {1, 1, 1}, Then::close, "321232131223131123212121313132"},
};

Setup setup_of(const Row& row, uint16_t port) {
  Setup setup{.port = port, .scheduling = {.scheduler = row.scheduler, .strict_ipvs = true}};
  for (const uint16_t weight : row.weights) {
    setup.servers.push_back({static_cast<uint8_t>(setup.servers.size() + 1), weight});
  }
  return setup;
}

Open open(const Row& row, size_t number) {
  const auto one = static_cast<uint8_t>(number + 1);
  const Client client = row.scheduler == Scheduler::sh
                            ? Client{0, one, 40000}
                            : Client{0, 1, static_cast<uint16_t>(40000 + number)};
  return {client, row.then};
}

}  // namespace

std::vector<Sequence> sequences(uint16_t port) {
  std::vector<Sequence> all;
  for (const Row& row : rows) {
    Sequence sequence{.name = std::string(word(row.scheduler)), .chosen = row.chosen};
    for (const uint16_t weight : row.weights) sequence.name += " " + std::to_string(weight);
    for (size_t number = 0; number < sequence.chosen.size(); ++number) {
      if (row.scheduler == Scheduler::dh || sequence.cases.empty()) {
        sequence.cases.push_back({setup_of(row, port++)});
      }
      Case& one = sequence.cases.back();
      if (row.scheduler == Scheduler::dh) one.setup.vip = static_cast<uint8_t>(number + 1);
      one.steps.emplace_back(open(row, number));
    }
    all.push_back(std::move(sequence));
  }
  return all;
}

}  // namespace xlvs::differential
